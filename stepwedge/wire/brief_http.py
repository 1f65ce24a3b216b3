"""Short HTTP/1.1 exchanges that leave no doubt where they end (RFC 9112), read without a state machine, sans-io.

A search on a kept connection is nearly always one GET without a body and one answer with a Content-Length. What is not
exactly that is not read here, and left to whoever knows the whole of the standard.
"""

from __future__ import annotations

import re
from typing import Final

MOST: Final = 64 << 10
"""Bytes of one request, or of one answer, that is short."""
_FIELDS: Final = rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*)\r\n"
_REQUEST: Final = re.compile(rb"GET ([!-~]+) HTTP/1\.1\r\n" + _FIELDS)
_STATUS: Final = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) [\t -~]*\r\n" + _FIELDS)
_ELSEWHERE: Final = frozenset({b"transfer-encoding", b"upgrade", b"expect", b"trailer"})
_BODILESS: Final = frozenset({204, 304})

Headers = dict[bytes, bytes]


def request(data: bytes) -> tuple[str, Headers] | None:
    """Return target and headers of a GET without a body that is all of ``data``; None for anything else."""
    found = _REQUEST.fullmatch(data) if len(data) <= MOST else None
    headers = _headers(found[2]) if found else None
    if found is None or headers is None or b"host" not in headers or b"content-length" in headers:
        return None
    return found[1].decode("latin-1"), headers


def answer(data: bytes) -> tuple[int, Headers, bytes] | int | None:
    """Return status, headers and body of an answer with a length that is all of ``data``.

    Returns:
        The bytes that are missing while more is to come, None for anything else.
    """
    found = _STATUS.match(data)
    if found is None:
        return 1 if data and b"\r\n\r\n" not in data and len(data) <= MOST else None
    headers, status = _headers(found[2]), int(found[1])
    length = headers.get(b"content-length", b"") if headers else b""
    if headers is None or not length.isdigit() or len(length) > len(str(MOST)) or status in _BODILESS:
        return None
    missing = found.end() + int(length) - len(data)
    if missing < 0 or len(data) + missing > MOST:
        return None
    return missing or (status, headers, data[found.end() :])


def _headers(fields: bytes) -> Headers | None:
    """Return header fields by lower-case name; None when one is there twice, or speaks of more than this exchange."""
    lines = fields.split(b"\r\n")[:-1]
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        headers[name.lower()] = value.strip(b" \t")
    if len(headers) < len(lines) or not _ELSEWHERE.isdisjoint(headers):
        return None
    return headers if headers.get(b"connection", b"keep-alive").lower() == b"keep-alive" else None
