"""Is it the disk? A system whose disk is full must say so in each protocol's own words, and go on when there is room again."""

from __future__ import annotations

import errno
import sqlite3
from typing import Final

OUT_OF_RESOURCES: Final = 0xA700
"""C-STORE status Refused: Out of Resources (PS3.4 table B.2-1), and FailureReason of STOW-RS (PS3.18 table I.2-2)."""
INSUFFICIENT_STORAGE: Final = 507
"""RFC 4918 section 11.5."""
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def full(trouble: BaseException) -> bool:
    """Tell whether trouble means that there is no room on the disk; SQLite has words of its own for it."""
    if isinstance(trouble, sqlite3.OperationalError):
        return getattr(trouble, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(trouble, OSError) and trouble.errno in _NO_ROOM
