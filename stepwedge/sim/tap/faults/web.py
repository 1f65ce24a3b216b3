"""W1, W2, W3 and W5: requests and answers of DICOMweb and FHIR that go wrong (RFC 9110, PS3.18, FHIR R4 section 3.2)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from stepwedge.sim.tap.fault import ANSWER, REQUEST, Argument
from stepwedge.sim.tap.http import WHICH, HttpMessages, answer

if TYPE_CHECKING:
    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.http import Http
    from stepwedge.sim.tap.line import Line
    from stepwedge.sim.tap.tap import Tap

_CHALLENGE: Final = 401


class HttpStatus(HttpMessages):
    """Answers a request in the receiver's place; the receiver never hears of it."""

    kind = "http-status"
    says = "a request is answered with a status: 401, 403, 409, 412, 413, 429, 503, a redirect"
    takes = (
        Argument("status", "the status code", 503, "number", 300, 599),
        *WHICH,
        Argument("retry", "Retry-After, in seconds; 0 is none", 0, "number", 0, 3600),
        Argument("location", "Location, with a redirect", "", "text"),
    )

    def request(self, line: Line, message: Http) -> None:
        """Answer the request that is due."""
        if not self.chosen(line, message.to):
            line.give(REQUEST, message.raw)
            return
        status, headers = int(self.args["status"]), {}
        if self.args["retry"]:
            headers["retry-after"] = str(int(self.args["retry"]))
        if self.args["location"]:
            headers["location"] = self.args["location"]
        if status == _CHALLENGE:
            headers["www-authenticate"] = "Bearer"
        self.acted(f"{status} to {message.to}", line, REQUEST, len(message.raw))
        self.answered_here(line)
        content = b""
        if line.tap.edge.door == "fhir":
            headers["content-type"] = "application/fhir+json"
            content = outcome(f"HTTP {status}")
        line.give(ANSWER, answer(status, headers, content))


class HttpRequest(HttpMessages):
    """Changes a request on its way."""

    kind = "http-request"
    says = "a request arrives in part, with a wrong boundary, or with one part that is no object"
    takes = (
        Argument("what", "what is wrong", "cut", "text", choices=("cut", "boundary", "bad-part")),
        Argument("method", "which requests", "POST", "text"),
        WHICH[1],
    )

    def request(self, line: Line, message: Http) -> None:
        """Change the request that is due."""
        what = self.args["what"]
        if not message.body or not self.chosen(line, message.to):
            line.give(REQUEST, message.raw)
            return
        if what == "cut":
            self.acted("request cut", line, REQUEST, len(message.body) // 2)
            line.give(REQUEST, message.head + message.body[: len(message.body) // 2])
            line.reset(REQUEST)
            return
        if what == "boundary":
            changed = message.with_content(
                message.content,
                content_type=re.sub(
                    r'boundary="?([^";]+)"?', r"boundary=\1x", message.headers.get("content-type", "")
                ),
            )
        else:
            at = message.content.rfind(b"DICM")
            if at < 0:
                line.give(REQUEST, message.raw)
                return
            changed = message.with_content(message.content[:at] + b"NONE" + message.content[at + 4 :])
        self.acted(f"request changed: {what}", line, REQUEST, len(changed))
        line.give(REQUEST, changed)


class HttpAnswer(HttpMessages):
    """Changes an answer on its way."""

    kind = "http-answer"
    says = "an answer is cut off, lacks its last entry or part, or has no body"
    usual = ANSWER
    takes = (
        Argument("what", "what is wrong", "cut", "text", choices=("cut", "short", "empty")),
        *WHICH,
    )

    def reply(self, line: Line, message: Http) -> None:
        """Change the answer that is due."""
        what = self.args["what"]
        changed = b"" if what != "short" else shortened(message)
        if not message.content or (what == "short" and not changed) or not self.chosen(line, message.to):
            line.give(ANSWER, message.raw)
            return
        self.acted(f"answer to {message.to}: {what}", line, ANSWER, len(message.body))
        if what == "cut":
            line.give(ANSWER, message.head + message.body[: len(message.body) // 2])
            line.close()
        else:
            line.give(ANSWER, message.with_content(changed))


class HttpTwice(HttpMessages):
    """Makes a request again before its answer is handed on; the second answer is written down, and nobody's."""

    kind = "http-twice"
    says = "a request is made twice"
    takes = (Argument("method", "which requests", "POST", "text"), WHICH[1])

    def __init__(self, wish: Wish) -> None:
        """Have repeated nothing."""
        super().__init__(wish)
        self._again: dict[int, bytes] = {}
        self._first: dict[int, tuple[Line, bytes]] = {}

    def request(self, line: Line, message: Http) -> None:
        """Remember the request that is due."""
        if line.number not in self._again and self.chosen(line, message.to):
            self._again[line.number] = message.raw
        line.give(REQUEST, message.raw)

    def reply(self, line: Line, message: Http) -> None:
        """Make the request again when it is answered; hand on the first answer behind the second."""
        if line.number in self._first:
            _, first = self._first.pop(line.number)
            self.acted(f"{message.to or 'repeated'}: {message.head[9:12].decode()}", line, REQUEST)
            line.give(ANSWER, first)
        elif (again := self._again.pop(line.number, None)) is not None:
            self._first[line.number] = (line, message.raw)
            line.give(REQUEST, again)
        else:
            line.give(ANSWER, message.raw)

    async def lift(self, tap: Tap) -> None:
        """Reset the lines on which an answer is still held: what comes there would be nobody's."""
        for line, _ in self._first.values():
            line.reset()
        self._first.clear()
        await super().lift(tap)


def outcome(said: str) -> bytes:
    """Write an OperationOutcome (FHIR R4 section 2.31)."""
    issue = {"severity": "error", "code": "processing", "diagnostics": said}
    return json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()


def shortened(message: Http) -> bytes:
    """Return a body without its last entry (JSON array, FHIR bundle) or part (multipart); empty when there is none."""
    kind, content = message.headers.get("content-type", ""), message.content
    if kind.startswith("multipart/") and (found := re.search(r'boundary="?([^";]+)', kind)):
        mark = b"--" + found[1].encode()
        parts = content.split(mark)
        return mark.join([*parts[:-2], parts[-1]]) if len(parts) > 3 else b""  # noqa: PLR2004 - one part and both ends
    try:
        told: Any = json.loads(content)
    except ValueError:
        return b""
    if isinstance(told, dict) and told.get("entry"):
        return json.dumps(told | {"entry": told["entry"][:-1]}).encode()
    return json.dumps(told[:-1]).encode() if isinstance(told, list) and told else b""
