"""What faults share that look at whole HTTP/1.1 messages (RFC 9112): one is handed on as it came, or acted upon."""

from __future__ import annotations

from abc import ABC
from collections import deque
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from stepwedge.sim.tap.fault import ANSWER, REQUEST, Argument, Fault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stepwedge.sim.tap.fault import Side, Wish
    from stepwedge.sim.tap.line import Line
    from stepwedge.sim.tap.tap import Tap

DOORS: Final = ("web", "fhir")
MOST: Final = 64 << 20
"""Bytes of one message that are kept; a longer one passes as it comes."""
_HEAD: Final = b"\r\n\r\n"
_MOST_HEAD: Final = 64 << 10
_BODILESS: Final = frozenset({204, 304})
WHICH: Final = (
    Argument("method", "which requests, such as POST; all when empty", "", "text"),
    Argument("path", "what stands in their target, such as /studies; anything when empty", "", "text"),
)
"""How a scenario names the requests that are meant."""


@dataclass(frozen=True, slots=True)
class Http:
    """One message: start line, header section and body as they passed.

    Attributes:
        to: for an answer, the request it answers; for a request, itself: method and target.
    """

    head: bytes
    body: bytes
    to: str = ""

    @property
    def raw(self) -> bytes:
        """The message as it came."""
        return self.head + self.body

    @property
    def headers(self) -> dict[str, str]:
        """Fields by lower case name; the last one of a name."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name
        }

    @property
    def content(self) -> bytes:
        """The body without its transfer coding (RFC 9112 section 7.1)."""
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.body
        found, rest = bytearray(), self.body
        while rest:
            line, _, rest = rest.partition(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            if not size:
                break
            found += rest[:size]
            rest = rest[size + 2 :]
        return bytes(found)

    def with_content(self, content: bytes, **fields: str) -> bytes:
        """Write it again with another body of its true length; ``fields`` replace others of their name, with _ for -."""
        changed = {name.replace("_", "-"): value for name, value in fields.items()}
        gone = {"content-length", "transfer-encoding", *changed}
        first, *lines = self.head[: -len(_HEAD)].decode("latin-1").split("\r\n")
        kept = [line for line in lines if line.partition(":")[0].lower() not in gone]
        kept += [f"{name}: {value}" for name, value in changed.items()]
        said = "\r\n".join([first, *kept, f"content-length: {len(content)}"])
        return said.encode("latin-1") + _HEAD + content


def answer(status: int, headers: Mapping[str, str], content: bytes = b"") -> bytes:
    """Write an answer."""
    reason = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Status"
    fields = {**headers, "content-length": str(len(content))}
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode("latin-1") + _HEAD + content


class HttpMessages(Fault, ABC):
    """Is asked about every whole request and answer; what has begun when it is put on passes as it is."""

    doors = DOORS

    def __init__(self, wish: Wish) -> None:
        """Have seen nothing."""
        super().__init__(wish)
        self._kept: dict[tuple[int, Side], tuple[Line, bytearray]] = {}
        self._asked: dict[int, deque[str]] = {}
        self._seen: dict[int, int] = {}

    def request(self, line: Line, message: Http) -> None:
        """Decide about a request."""
        line.give(REQUEST, message.raw)

    def reply(self, line: Line, message: Http) -> None:
        """Decide about an answer."""
        line.give(ANSWER, message.raw)

    def chosen(self, line: Line, to: str) -> bool:
        """Tell whether what belongs to a request is to be acted upon: one that is meant, behind so many, so often."""
        method, _, target = to.partition(" ")
        if self.args.get("method", "") not in {"", method} or self.args.get("path", "") not in target:
            return False
        before = self._seen.get(line.number, 0)
        self._seen[line.number] = before + 1
        if before < self.wish.after.units or self.spent:
            return False
        self.hits += 1
        return True

    def arrived(self, line: Line, side: Side, data: bytes, ends: Sequence[int]) -> None:
        """Put messages together."""
        del ends
        here = (line.number, side)
        _, kept = self._kept.setdefault(here, (line, bytearray()))
        if not kept and not _begins(data, side):
            line.give(side, data)  # the rest of something that nobody was asked about
            return
        kept += data
        while kept and not line.over:
            size = self._size(line, side, kept)
            if size is None or len(kept) > MOST:
                line.give(side, bytes(kept))
                kept.clear()
                return
            if len(kept) < size or not size:
                return
            raw = bytes(kept[:size])
            del kept[:size]
            self._decide(line, side, raw)

    def _size(self, line: Line, side: Side, kept: bytearray) -> int | None:
        """Return how long the first message is; 0 when that is not known yet, None when it ends with the connection."""
        end = kept.find(_HEAD)
        if end < 0:
            return None if len(kept) > _MOST_HEAD else 0
        end += len(_HEAD)
        message = Http(bytes(kept[:end]), b"")
        headers = message.headers
        if side == ANSWER:
            status = int(message.head[9:12]) if message.head[9:12].isdigit() else 0
            to = next(iter(self._asked.get(line.number, ())), "")
            if status in _BODILESS or to.startswith("HEAD "):
                return end
            if "content-length" not in headers and "transfer-encoding" not in headers:
                return None
        if "chunked" in headers.get("transfer-encoding", ""):
            last = kept.find(b"0\r\n\r\n", end)
            while last > end and kept[last - 2 : last] != b"\r\n":
                last = kept.find(b"0\r\n\r\n", last + 1)
            return last + 5 if last >= 0 else 0
        length = headers.get("content-length", "0")
        return end + int(length) if length.isdigit() else None

    def _decide(self, line: Line, side: Side, raw: bytes) -> None:
        head, _, body = raw.partition(_HEAD)
        asked = self._asked.setdefault(line.number, deque())
        if side == REQUEST:
            to = " ".join(head.partition(b"\r\n")[0].decode("latin-1").split(" ")[:2])
            asked.append(to)
            self.request(line, Http(head + _HEAD, body, to))
        else:
            self.reply(line, Http(head + _HEAD, body, asked.popleft() if asked else ""))

    def answered_here(self, line: Line) -> None:
        """Take note that the last request will have no answer from the other end."""
        self._asked[line.number].pop()

    def ended(self, line: Line, side: Side) -> None:
        """Let go what is not whole before the end."""
        if (line.number, side) in self._kept:
            self._let_go(line, side)
        line.finish(side)

    def _let_go(self, line: Line, side: Side) -> None:
        kept = self._kept[line.number, side][1]
        line.give(side, bytes(kept))
        kept.clear()

    async def lift(self, tap: Tap) -> None:
        """Let go what is not whole."""
        del tap
        for (_, side), (line, _) in self._kept.items():
            self._let_go(line, side)

    def remains(self) -> str:
        """Tell of bytes that are still kept."""
        left = sum(len(kept) for line, kept in self._kept.values() if not line.over)
        return f"{left} bytes of messages that are not whole" if left else ""


def _begins(data: bytes, side: Side) -> bool:
    """Tell whether a message begins here, as far as its first bytes show."""
    if side == ANSWER:
        return data.startswith(b"HTTP/1.")
    return data[:1].isupper() and b" HTTP/1." in data.partition(b"\r\n")[0]
