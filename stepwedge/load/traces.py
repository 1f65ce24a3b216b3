"""OpenTelemetry traces of sampled exams: one trace for each, one span for each part of its way from the order to the ward.

Written as OTLP over HTTP in JSON (opentelemetry-proto 1.x, OTLP specification 1.x section "OTLP/HTTP"), with the standard library
alone and only when ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set. A run is judged the same whether its traces arrived or not; that they did
not is said. Nothing leaves but counts, times and made-up numbers.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from stepwedge.errors import BadInput
from stepwedge.load.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
TRACES: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
HEADERS: Final = "OTEL_EXPORTER_OTLP_HEADERS"
SERVICE: Final = "OTEL_SERVICE_NAME"
BATCH: Final = 200
"""Exams sent at once."""
_SECONDS: Final = 10.0
_INTERNAL, _ERROR = 1, 2  # SpanKind and StatusCode of the protocol
_TOLD: Final = ("exam", "exception", "procedure", "priority", "version", "accession", "study", "cut")


@dataclass(frozen=True)
class Collector:
    """Where traces go.

    Attributes:
        headers: sent with each request; they may hold a secret, and are never shown.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    service: str = "stepwedge-load"

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Collector | None:
        """Return the collector that the environment names; None when it names none."""
        url = environment.get(TRACES) or ""
        if not url and (base := environment.get(ENDPOINT)):
            url = f"{base.rstrip('/')}/v1/traces"
        if not url:
            return None
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
            raise BadInput(
                ENDPOINT, "http://HOST:PORT without credentials", "another address", "secrets go to headers"
            )
        pairs = (one.partition("=") for one in environment.get(HEADERS, "").split(",") if "=" in one)
        headers = {name.strip(): unquote(value.strip()) for name, _, value in pairs}
        return cls(url, headers, environment.get(SERVICE) or "stepwedge-load")

    def send(self, spans: Iterable[dict[str, Any]], resource: Mapping[str, Any]) -> str:
        """Send spans; return why they did not arrive, or that some were refused; empty when all are there."""
        scope = {"scope": {"name": "stepwedge.load"}, "spans": list(spans)}
        about = {"service.name": self.service, **resource}
        body = json.dumps(
            {"resourceSpans": [{"resource": {"attributes": attributes(about)}, "scopeSpans": [scope]}]}
        )
        headers = {"Content-Type": "application/json", **self.headers}
        parts = urlsplit(self.url)
        make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        link = make(
            parts.hostname or "", parts.port, timeout=_SECONDS
        )  # http.client follows no redirect: secrets stay here
        try:
            link.request(
                "POST", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", body, headers
            )
            answer = link.getresponse()
            if answer.status // 100 != 2:  # noqa: PLR2004 - any success (RFC 9110)
                return f"the collector answered {answer.status}"
            told = json.loads(answer.read(1 << 16) or b"{}")
            refused = int((told.get("partialSuccess") or {}).get("rejectedSpans", 0))
        except (OSError, http.client.HTTPException, ValueError, AttributeError, TypeError) as trouble:
            return f"the collector could not be told: {type(trouble).__name__}"
        finally:
            link.close()
        return f"the collector refused {refused} spans" if refused else ""


def export(folder: Path, collector: Collector | None = None) -> str:
    """Send the sampled exams of a run; return what became of it as a sentence, empty when nobody asked for traces."""
    collector = collector or Collector.of()
    if collector is None:
        return ""
    plan = Plan.read(folder)
    resource = {"stepwedge.case": plan.case, "stepwedge.seed": plan.seed, "stepwedge.times": plan.times}
    sent, batch = 0, list[dict[str, Any]]()
    for exam in exams(folder):
        batch += spans(exam, f"{plan.case}/{plan.seed}/{plan.began}")
        sent += 1
        if sent % BATCH == 0:
            if trouble := collector.send(batch, resource):
                return f"traces of {sent} exams: {trouble}"
            batch.clear()
    if batch and (trouble := collector.send(batch, resource)):
        return f"traces of {sent} exams: {trouble}"
    return f"traces of {sent} sampled exams sent"


def exams(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the sampled exams of a run as they were written down."""
    for path in sorted((folder / "exams").glob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def spans(exam: Mapping[str, Any], run: str) -> Iterator[dict[str, Any]]:
    """Yield the spans of one exam: the whole, and what led to each moment of it; the same run and exam have the same ids."""
    trace = _id(32, run, exam["exam"])
    root, began = _id(16, run, exam["exam"], "exam"), float(exam["began"])
    times = sorted((float(at), name) for name, at in exam["times"].items())
    ended = max(float(exam.get("ended") or 0.0), *(at for at, _ in times), 0.0)
    first = min((at for at, _ in times), default=ended)
    told = {f"stepwedge.{name}": exam[name] for name in _TOLD if exam.get(name) not in {None, ""}}
    told["stepwedge.modality"] = (exam.get("facts") or {}).get("modality", "")
    status = {"code": _ERROR, "message": str(exam["cut"])} if exam.get("cut") else {}
    start = min(float(exam.get("due", first)), first)
    yield _span(
        trace, root, "", f"exam {exam.get('procedure', '')}".strip(), began + start, began + ended, told
    ) | {"status": status}
    before = start
    for at, name in times:
        yield _span(trace, _id(16, run, exam["exam"], name), root, name, began + before, began + at, {})
        before = at


def _span(
    trace: str, span: str, parent: str, name: str, begin: float, end: float, told: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "traceId": trace,
        "spanId": span,
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": _INTERNAL,
        "startTimeUnixNano": str(round(begin * 1e9)),
        "endTimeUnixNano": str(round(end * 1e9)),
        "attributes": attributes(told),
    }


def attributes(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return values as attributes of the protocol; 64-bit integers are texts there."""
    return [{"key": key, "value": _value(value)} for key, value in told.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": str(value)}


def _id(digits: int, *parts: Any) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:digits]
