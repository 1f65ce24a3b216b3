"""Traces of sampled exams, told to a collector that listens here."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from stepwedge.errors import BadInput
from stepwedge.load import day, traces
from stepwedge.load.plan import Phase, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAM: dict[str, Any] = {
    "exam": 7, "procedure": "CTCHEST", "accession": "SW7", "facts": {"modality": "CT"}, "began": 1000.0, "cut": "",
    "times": {"registered": 1.0, "ordered": 1.25, "on the worklist": 1.5, "stored": 3.0, "readable": 3.25}, "ended": 3.5,
}  # fmt: skip


@contextmanager
def collector(status: int = 200, answer: bytes = b"{}") -> Iterator[tuple[str, list[tuple[str, Any, Any]]]]:
    heard: list[tuple[str, Any, Any]] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            heard.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    phase = Phase("steady", 0, 10, 3600, 0, 0.1, (1.0, 1.0))
    Plan("LOD-02", "Monday", "lab.yaml", 5, 10, day.load("s"), (phase,), began=1000.0).write(tmp_path)
    (tmp_path / "exams").mkdir()
    (tmp_path / "exams" / "000000007.json").write_text(json.dumps(EXAM))
    return tmp_path


def test_an_exam_is_one_trace_whose_parts_follow_each_other() -> None:
    root, *parts = traces.spans(EXAM, "run")
    assert "parentSpanId" not in root
    assert {one["parentSpanId"] for one in parts} == {root["spanId"]}
    assert {one["traceId"] for one in parts} == {root["traceId"]}
    assert (len(root["traceId"]), len(root["spanId"])) == (32, 16)
    assert len({one["spanId"] for one in (root, *parts)}) == 6
    assert [one["name"] for one in parts] == list(EXAM["times"])
    for one, after in pairwise(parts):
        assert one["endTimeUnixNano"] == after["startTimeUnixNano"]
    assert root["startTimeUnixNano"] == "1001000000000"
    assert root["endTimeUnixNano"] == "1003500000000"
    assert root["status"] == {}
    assert next(iter(traces.spans(EXAM, "run"))) == root, "the same exam has the same ids"


def test_an_exam_that_was_cut_is_an_error_even_before_anything_happened() -> None:
    (root,) = traces.spans(EXAM | {"times": {}, "cut": "LinkLost"}, "run")
    assert root["status"] == {"code": 2, "message": "LinkLost"}


def test_they_are_sent_where_the_environment_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as (url, heard):
        monkeypatch.setenv(traces.ENDPOINT, url + "/")
        monkeypatch.setenv(traces.HEADERS, "api-key=s%20ecret, other=1")
        assert traces.export(folder) == "traces of 1 sampled exams sent"
    ((path, headers, body),) = heard
    assert path == "/v1/traces"
    assert headers["api-key"] == "s ecret"
    (resource,) = body["resourceSpans"]
    told = {one["key"]: one["value"] for one in resource["resource"]["attributes"]}
    assert told["service.name"] == {"stringValue": "stepwedge-load"}
    assert told["stepwedge.seed"] == {"intValue": "5"}
    assert len(resource["scopeSpans"][0]["spans"]) == 6


def test_nobody_asked_for_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(traces.ENDPOINT, raising=False)
    monkeypatch.delenv(traces.TRACES, raising=False)
    assert traces.export(folder) == ""


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (500, b"", "the collector answered 500"),
        (302, b"", "the collector answered 302"),
        (200, b'{"partialSuccess": {"rejectedSpans": "2"}}', "refused 2 spans"),
        (200, b"<html>", "could not be told"),
        (200, b"[]", "could not be told"),
    ],
)
def test_what_did_not_arrive_is_said(folder: Path, status: int, answer: bytes, said: str) -> None:
    with collector(status, answer) as (url, _):
        assert said in traces.export(folder, traces.Collector(url))


def test_a_collector_that_is_not_there_is_said_and_its_secret_is_not(folder: Path) -> None:
    with collector() as (url, _):
        pass
    away = traces.Collector(url, {"authorization": "Bearer hush"})
    assert "could not be told" in (said := traces.export(folder, away))
    assert "hush" not in said + repr(away)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://user:word@host/", "host:4318"])
def test_an_address_that_is_none_is_bad_input(url: str) -> None:
    with pytest.raises(BadInput) as told:
        traces.Collector.of({traces.ENDPOINT: url})
    assert "word" not in str(told.value)
