"""Ports that stay the same over restarts.

Free ports are looked for below the range from which systems give out client ports (RFC 6335 and the defaults of Linux,
32768 upwards): a client that dials a port in that range while nobody listens can be connected to itself.
"""

from __future__ import annotations

import asyncio
import errno
import json
import random
from typing import TYPE_CHECKING, Final, TypeVar

from stepwedge.errors import BadInput, Broken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

T = TypeVar("T")
LOOPBACK: Final = "127.0.0.1"
FIRST, LAST = 20000, 32000
_TRIES = 200
_TRIES_SAME, _PAUSE = 13, 0.25
"""How often a remembered port is tried while somebody passing by has it, and the seconds between."""


class Ports:
    """The listening ports of one host process, by actor and door, remembered in a file.

    Attributes:
        host: the name or address at which others reach this process.
        bind: the address it listens on.
    """

    def __init__(self, path: Path, host: str = LOOPBACK, bind: str = LOOPBACK) -> None:
        self.host, self.bind = host, bind
        self._path = path
        self._known: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        self._random = random.Random()  # noqa: S311 - where to look first, nothing secret

    async def listen(
        self, name: str, door: str, wish: int | None, serve: Callable[[int], Awaitable[T]]
    ) -> tuple[T, int]:
        """Call ``serve(port)`` with the wished or remembered port, or with free ones until one can be had."""
        if wish is not None and not 0 < wish <= 65535:  # noqa: PLR2004 - RFC 9293
            raise BadInput(f"{name}.{door}_port", "a port from 1 to 65535", str(wish))
        if port := wish or self._known.get(f"{name}.{door}"):
            tries = 1 if wish else _TRIES_SAME
            return await self._same(port, tries, serve, f"{name}: port {port} for {door}"), port
        for _ in range(_TRIES):
            port = self._random.randrange(FIRST, LAST)
            try:
                server = await serve(port)
            except OSError:
                continue
            self._known[f"{name}.{door}"] = port
            draft = self._path.with_suffix(".part")
            draft.write_text(json.dumps(self._known, indent=1))
            draft.replace(self._path)
            return server, port
        raise Broken(f"{name}: no free port for {door} between {FIRST} and {LAST} on {self.bind}")

    async def _same(self, port: int, tries: int, serve: Callable[[int], Awaitable[T]], what: str) -> T:
        """Call ``serve`` with the one port that will do."""
        while True:
            tries -= 1
            try:
                return await serve(port)
            except OSError as trouble:
                if not tries or trouble.errno != errno.EADDRINUSE:
                    raise Broken(f"{what} cannot be had ({trouble.strerror}); end what uses it") from trouble
            await asyncio.sleep(_PAUSE)
