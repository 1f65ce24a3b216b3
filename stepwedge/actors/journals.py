"""The journals of simulated systems that run each in a process of its own, read as one.

Their clocks are one clock: the systems share a machine, as containers do. So what they saw is put in order by the moment it
was over, as the one journal of a hospital in one process would hold it.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import select
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from stepwedge.errors import Broken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from stepwedge.actors.cast import Admin

_MOST: Final = 1000
"""Exchanges handed out at once, as one journal does."""


@dataclass(slots=True)
class Journals:
    """Reads several journals onwards, numbered and ordered as one.

    Attributes:
        admins: admin API of each system, by actor name.
        blobs: folder for payloads that a system keeps in files of its own.
        now: the clock, seconds since 1970.
        away: tells whether a system is under a fault that lets it answer nobody; its journal is read on afterwards.
        taps: the process in which taps stand, when there is one.
    """

    admins: Mapping[str, Admin]
    blobs: Path
    now: Callable[[], float] = time
    away: Callable[[str], bool] = lambda _: False
    taps: Admin | None = None
    _seen: dict[str, int] = field(default_factory=dict)
    _early: list[dict[str, Any]] = field(default_factory=list)
    _merged: list[dict[str, Any]] = field(default_factory=list)
    _forgotten: int = 0

    def journal(self, after: int, wait: float = 0.0) -> list[dict[str, Any]]:
        """Return exchanges with numbers above ``after``, waiting up to ``wait`` seconds for the first one.

        What was answered must not be asked for again: it is forgotten.
        """
        self._sweep()
        if wait > 0 and not self._new(after):
            if not self._early:
                self._first_news(wait)
            self._sweep()
        del self._merged[: max(after - self._forgotten, 0)]
        self._forgotten = max(self._forgotten, after)
        return self._merged[:_MOST]

    def health(self) -> dict[str, Any]:
        """Return what each system says of itself; raises ``Broken`` when one does not answer."""
        return {name: admin.health() for name, admin in self.admins.items()}

    def begin_fault(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Let a fault act in a tap."""
        return self._tapping().begin_fault(asked)

    def lift_fault(self, number: int) -> dict[str, Any]:
        """Lift a fault of a tap."""
        return self._tapping().lift_fault(number)

    def _tapping(self) -> Admin:
        if self.taps is None:
            raise Broken("no process of this lab has taps")
        return self.taps

    def _there(self) -> list[tuple[str, Admin]]:
        """Return the systems that can be asked."""
        return [(name, admin) for name, admin in self.admins.items() if not self.away(name)]

    def close(self) -> None:
        """End all connections."""
        for admin in self.admins.values():
            admin.close()

    def _new(self, after: int) -> bool:
        return self._forgotten + len(self._merged) > after

    def _sweep(self) -> None:
        """Take what is new everywhere.

        What was over only after we began may have a cause in a journal that was read before it happened; it is held back
        until the next sweep, which sees the cause too.
        """
        began = self.now()
        ready, self._early = self._early, []
        for name, admin in self._there():
            while batch := admin.journal(self._seen.get(name, 0)):
                self._seen[name] = int(batch[-1]["number"])
                for one in batch:
                    (ready if over(one) <= began else self._early).append(self._here(admin, one))
                if len(batch) < _MOST:
                    break
        for one in sorted(ready, key=over):
            one["number"] = self._forgotten + len(self._merged) + 1
            self._merged.append(one)

    def _here(self, admin: Admin, exchange: dict[str, Any]) -> dict[str, Any]:
        """Fetch payloads that lie on the system's own disk; what it has deleted meanwhile stays a name."""
        for part in ("request", "response"):
            payload = exchange[part]
            if "file" not in payload:
                continue
            path = self.blobs / payload["sha256"]
            if not path.exists():
                if (data := admin.payload(int(exchange["number"]), part)) is None:
                    continue
                self.blobs.mkdir(parents=True, exist_ok=True)
                draft = path.with_name(f"{path.name}.{os.getpid()}.part")  # Others fetch it here as well.
                draft.write_bytes(data)
                draft.replace(path)
            payload["file"] = str(path.absolute())
        return exchange

    def _first_news(self, wait: float) -> None:
        """Return as soon as one of the journals has grown; lost connections show in the sweep that follows."""
        with contextlib.ExitStack() as stack:
            sockets = []
            for name, admin in self._there():
                parts = urlsplit(admin.url)
                link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=wait + 1)
                stack.callback(link.close)
                try:
                    link.request("GET", f"/journal?after={self._seen.get(name, 0)}&wait={wait:.3f}")
                except OSError as trouble:
                    raise Broken(
                        f"{admin.url}: the simulated system cannot be reached ({trouble!r})"
                    ) from trouble
                sockets.append(link.sock)
            select.select(sockets, [], [], wait)


def over(exchange: Mapping[str, Any]) -> float:
    """Return when an exchange was over, seconds since 1970."""
    return float(exchange["at"]) + float(exchange["took"])
