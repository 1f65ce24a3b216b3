"""One thing said and what was answered, as one observer saw it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Direction = Literal["in", "out"]
Protocol = Literal["hl7", "dimse", "web", "syslog", "act"]
Keys = dict[str, list[str]]

INLINE_LIMIT = 64 << 10
"""Bytes of one payload kept in the journal line itself; more goes into a file named by its hash."""


@dataclass(frozen=True, slots=True)
class Payload:
    """Raw bytes as they were on the wire: either here, or in a file (an absolute path) with hash and size.

    Attributes:
        sha256: hash of the file, or of ``data`` when it is known already.
        size: bytes that :meth:`read` returns.
        head: what stands before them to make a file that others read, such as DICOM file meta information; not in the hash.
    """

    data: bytes = b""
    file: str = ""
    sha256: str = ""
    size: int = 0
    head: bytes = b""

    @classmethod
    def of(cls, data: bytes) -> Payload:
        """Keep bytes in memory."""
        return cls(data, size=len(data))

    @classmethod
    def in_file(cls, path: Path, sha256: str, size: int, head: bytes = b"") -> Payload:
        """Refer to a file that holds exactly these bytes already, behind the head."""
        return cls(file=str(path.absolute()), sha256=sha256, size=size, head=head)

    def read(self) -> bytes:
        """Return the bytes, wherever they are; a file that no longer has the hash is not returned."""
        if not self.file:
            return self.head + self.data
        data = Path(self.file).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise ValueError(f"{self.file} does not hold the bytes that were recorded")
        return self.head + data

    def to_json(self) -> dict[str, Any]:
        """Write as ``{"text"}``, ``{"base64"}`` or ``{"file", "sha256", "size"}``, that one with ``head`` in base64 if there is one."""
        if self.file:
            head = {"head": base64.b64encode(self.head).decode("ascii")} if self.head else {}
            return {"file": self.file, "sha256": self.sha256, "size": self.size, **head}
        data = self.head + self.data
        if not data:
            return {}
        if b"\0" not in data:
            try:
                return {"text": data.decode()}
            except UnicodeDecodeError:
                pass
        return {"base64": base64.b64encode(data).decode("ascii")}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Payload:
        """Read what :meth:`to_json` wrote."""
        if "file" in value:
            head = base64.b64decode(value.get("head", ""))
            return cls(file=value["file"], sha256=value["sha256"], size=value["size"], head=head)
        if "text" in value:
            return cls.of(value["text"].encode())
        return cls.of(base64.b64decode(value.get("base64", "")))


NOTHING = Payload()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, or the trouble instead of it.

    Attributes:
        number: place in the journal, from 1.
        at: start, seconds since 1970 (wall clock).
        took: seconds until the answer was complete.
        actor: who observed it, such as ``pacs``.
        direction: ``in`` when the peer asked, ``out`` when the actor did.
        kind: ``ORM^O01``, ``C-STORE``, ``GET /studies``, or the word of an act.
        peer: actor name when known, else AE title, application or ``host:port``.
        outcome: MSA-1, DIMSE status as four hex digits, HTTP status, the verdict word of an act; when there was no answer
            ``lost``, ``timeout``, ``refused`` or ``garbled`` (an answer that breaks the protocol).
        keys: identifiers it speaks of: patient prior accession placer filler study series sop mpps transaction control.
        facts: what was read from it, JSON values by protocol.
        case: the case it was made for, when known.
    """

    number: int
    at: float
    took: float
    actor: str
    direction: Direction
    protocol: Protocol
    kind: str
    peer: str = ""
    outcome: str = ""
    keys: Keys = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    request: Payload = NOTHING
    response: Payload = NOTHING
    case: str = ""

    def to_json(self) -> dict[str, Any]:
        """Write as JSON values."""
        return {
            "number": self.number,
            "at": self.at,
            "took": self.took,
            "actor": self.actor,
            "direction": self.direction,
            "protocol": self.protocol,
            "kind": self.kind,
            "peer": self.peer,
            "outcome": self.outcome,
            "keys": self.keys,
            "facts": self.facts,
            "request": self.request.to_json(),
            "response": self.response.to_json(),
            "case": self.case,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Exchange:
        """Read what :meth:`to_json` wrote."""
        payloads = {name: Payload.from_json(value[name]) for name in ("request", "response")}
        return cls(**{**value, **payloads})
