"""HTTP that passes to a system that is not ours, read into the journal as that system would have written it down."""

from __future__ import annotations

import contextlib
import json
import re
import zlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from stepwedge.errors import RemoteProtocolError
from stepwedge.evidence.redact import refusal
from stepwedge.sim import keys
from stepwedge.sim.resources.naming import keys_of as keys_of_resource
from stepwedge.sim.web_client import keys_of, kind_of
from stepwedge.wire import fhir, part10
from stepwedge.wire.elements import IMPLICIT_LE, decode
from stepwedge.wire.encodings import plain
from stepwedge.wire.multipart import Reader, parameters
from stepwedge.wire.overheard import Part
from stepwedge.wire.overheard_http import CLIENT, SERVER, HttpExchange, OverheardHttp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from stepwedge.evidence.exchange import Exchange, Keys
    from stepwedge.sim.bench import Bench
    from stepwedge.sim.tap.tap import Edge
    from stepwedge.wire.overheard import Room
    from stepwedge.wire.overheard_http import Told

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_PARTS: Final = 10_000
MOST_OPENED: Final = 64 << 20
"""Bytes that a compressed body may grow to."""


class WebWitness:
    """Both directions of one HTTP/1.1 connection."""

    def __init__(self, bench: Bench, edge: Edge, room: Room, root: str = "") -> None:
        """Describe what happens on the ``bench`` of the system at the far end, which answers below ``root``."""
        self.bench, self._edge, self._root = bench, edge, root
        self._connection = OverheardHttp(room)

    def asked(self, data: bytes, at: float) -> Iterator[Exchange]:
        """Take what was handed to the system."""
        return self._described(self._connection.heard(CLIENT, data, at), at)

    def answered(self, data: bytes, at: float) -> Iterator[Exchange]:
        """Take what the system said."""
        return self._described(self._connection.heard(SERVER, data, at), at)

    def over(self, at: float) -> Iterator[Exchange]:
        """Tell what was never answered."""
        return self._described(self._connection.over(at), at)

    def missed(self, why: str, at: float) -> Iterator[Exchange]:
        """Tell that reading ends here."""
        return self._described(self._connection.lose(why, at), at)

    def _described(self, told: Iterable[Told], at: float) -> Iterator[Exchange]:
        for one in told:
            if isinstance(one, HttpExchange):
                yield self._exchange(one)
            else:
                yield self.bench.exchange(
                    "web",
                    "in",
                    "unreadable",
                    began=at,
                    took=0.0,
                    peer=self._edge.caller,
                    outcome="garbled",
                    facts={"error": one.error, "tap": str(self._edge)},
                )

    def _exchange(self, one: HttpExchange) -> Exchange:
        url = urlsplit(one.target)
        path, query = unquote(url.path).removeprefix(self._root), url.query
        facts: dict[str, Any] = {"path": path, "query": query, "tap": str(self._edge)}
        if one.error:
            facts["error"] = one.error
        if isinstance(one.body, Part) or isinstance(one.answer, Part):
            facts["sha256"] = [getattr(body, "sha256", "") for body in (one.body, one.answer)]
        sizes = [getattr(body, "size", len(body)) for body in (one.body, one.answer)]
        found = keys_of(path, query, (one.headers, b""), (one.answer_headers, b""))
        bodies = []
        for headers, said in ((one.headers, one.body), (one.answer_headers, one.answer)):
            body = opened(headers, said)
            read = None if body is None else speaks_of(headers, body)
            bodies.append(b"" if read is None or body is None else body)
            if said and (coding := headers.get(b"content-encoding")):
                facts["content_encoding"] = coding.decode("latin-1")
            found = keys.merge(found, read or {})
        if any(refusal(self.bench.identity, patients=[patient]) for patient in found.get("patient", ())):
            path, found, bodies = "/", {}, [b"", b""]
            facts = {"refused": "identifiers that are not synthetic", "tap": str(self._edge)}
        if any(size and not body for size, body in zip(sizes, bodies, strict=True)):
            facts["withheld"] = sizes
        return self.bench.exchange(
            "web",
            "in",
            f"{one.method} {kind_of(path)}",
            began=one.began,
            took=one.took,
            peer=self._edge.caller,
            outcome=one.outcome if one.outcome != "answered" else str(one.status),
            keys=found,
            facts=facts,
            request=bodies[0],
            response=bodies[1],
        )


def opened(headers: Mapping[bytes, bytes], body: bytes) -> bytes | None:
    """Return a body without its Content-Encoding (RFC 9110 section 8.4.1); None when it is not whole, or grows too long."""
    coding = headers.get(b"content-encoding", b"identity").strip().lower()
    if isinstance(body, Part):
        return None
    if coding == b"identity" or not body:
        return body
    if coding not in {b"gzip", b"x-gzip", b"deflate"}:
        return None
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        plain_body = unpacking.decompress(body, MOST_OPENED)
    except zlib.error:
        return None
    return plain_body if unpacking.eof else None


def speaks_of(headers: Mapping[bytes, bytes], body: bytes) -> Keys | None:
    """Return whom a body speaks of; None when nobody here can tell, and it must not be kept."""
    if not body:
        return {}
    said = headers.get(b"content-type", b"").decode("latin-1")
    with contextlib.suppress(RemoteProtocolError, ValueError, KeyError, fhir.FhirError):
        kind, named = parameters(said)
        if kind in {"application/dicom+json", "application/json"}:
            return _of_json(json.loads(body), sure=kind == "application/dicom+json")
        if kind in {fhir.MEDIA_TYPE, "application/json+fhir"}:
            return keys_of_resource(fhir.read(body))
        if kind == "application/dicom":
            return _of_file(body)
        if kind == "multipart/related" and named.get("type", "").lower() == "application/dicom":
            return _of_parts(said, body)
    return None


def _of_json(value: Any, *, sure: bool) -> Keys | None:
    """Return the keys of a DICOM JSON model (PS3.18 annex F), which some servers call plain JSON."""
    sets = value if isinstance(value, list) else [value]
    modelled = all(isinstance(one, dict) and all(map(_TAG.fullmatch, one)) for one in sets)
    return keys.of_json_model(value) if sure or modelled else None


def _of_parts(content_type: str, body: bytes) -> Keys:
    reader = Reader(content_type, count_limit=_PARTS)
    reader.receive_data(body)
    found: Keys = {}
    for part in reader.parts():
        found = keys.merge(found, _of_file(part.body))
    reader.end()
    return found


def _of_file(raw: bytes) -> Keys:
    file = part10.read(raw)
    data, syntax = plain(file.data, file.transfer_syntax)
    header = decode(data, explicit=syntax != IMPLICIT_LE, stop_before_pixels=True)
    return keys.of_dimse(file.sop_class, file.sop_instance, [header])
