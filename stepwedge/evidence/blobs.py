"""The files of payloads that are too large for a line of the journal, each named by its content's SHA-256."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from stepwedge.evidence.exchange import INLINE_LIMIT, Payload

if TYPE_CHECKING:
    from pathlib import Path


class Blobs:
    """One folder of such files; several processes may write into it.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        """Make the folder."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def fit(self, payload: Payload) -> Payload:
        """Return the payload as a line may hold it."""
        return self._filed(payload) if payload.size > INLINE_LIMIT and not payload.file else payload

    def _filed(self, payload: Payload) -> Payload:
        """Put a large payload into a file named by its hash."""
        sha256 = payload.sha256 or hashlib.sha256(payload.data).hexdigest()
        path = self.folder / sha256
        if not path.exists():
            draft = path.with_suffix(f".{os.getpid()}.part")
            draft.write_bytes(payload.data)
            draft.replace(path)
        return Payload.in_file(path, sha256, payload.size, payload.head)

    def adopt(self, file: Path, payload: Payload) -> Payload:
        """Return a large payload whose bytes a file holds that is never written again, by a second link to it.

        What becomes of the first link, this evidence stays. Where the file system has no links, or there is no such file, the
        payload comes back as it was.
        """
        if payload.size <= INLINE_LIMIT:
            return payload
        path = self.folder / payload.sha256
        try:
            os.link(file, path)
        except FileExistsError:
            pass
        except OSError:
            return payload
        return Payload.in_file(path, payload.sha256, payload.size, payload.head)
