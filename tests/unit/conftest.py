"""A run folder as the engine writes it, small and complete, for tests of the reports: the fixture ``sample_run``."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

T0 = 1795492800.0

ADT = (
    "MSH|^~\\&|SW_EHR|STEPWEDGE|SW_RIS|STEPWEDGE|20261124093000||ADT^A04|C1|P|2.5.1\r"
    "PID|1||SW40718223^^^STEPWEDGE||MÜLLER^ANNA\r"
)
ORDER = "MSH|^~\\&|SW_EHR|STEPWEDGE|SW_RIS|STEPWEDGE|20261124093001||OMG^O19|C2|P|2.5.1\rORC|NW|P1\rOBR|1|P1||CTCHEST\r"
CANCEL = "MSH|^~\\&|SW_RIS|STEPWEDGE|SW_PACS|STEPWEDGE|20261124093005||OMI^O23|C5|P|2.5.1\rORC|SC|P1|F1||SC\r"


def exchange(number, actor, peer, direction, protocol, kind, outcome, **more):
    base = {
        "number": number,
        "at": T0 + number * 0.11,
        "took": 0.004,
        "actor": actor,
        "direction": direction,
        "protocol": protocol,
        "kind": kind,
        "peer": peer,
        "outcome": outcome,
        "keys": {},
        "facts": {},
        "request": {},
        "response": {},
        "case": "",
    }
    return base | more


def exchanges():
    yield exchange(1, "ehr", "", "in", "act", "register_patient", "passed", facts={"args": {}})
    for number, actor, peer, direction in ((2, "ehr", "ris", "out"), (3, "ris", "ehr", "in")):
        yield exchange(
            number, actor, peer, direction, "hl7", "ADT^A04", "AA",
            keys={"control": ["C1"]}, request={"text": ADT}, response={"text": "MSH|^~\\&|A\rMSA|AA|C1\r"},
        )  # fmt: skip
    yield exchange(
        4, "ehr", "ris", "out", "hl7", "OMG^O19", "AA", keys={"control": ["C2"]}, request={"text": ORDER}
    )
    yield exchange(
        5, "ris", "pacs", "out", "hl7", "OMI^O23", "AA", keys={"control": ["C5"]}, request={"text": CANCEL}
    )
    yield exchange(
        6,
        "ris",
        "ct",
        "in",
        "dimse",
        "C-FIND",
        "0000",
        facts={"model": "1.2.840.10008.5.1.4.31", "answers": [{}]},
    )
    yield exchange(7, "ris", "ct", "in", "dimse", "N-CREATE", "0000", keys={"mpps": ["2.25.7"]})
    for number in (8, 9, 10):
        yield exchange(
            number, "pacs", "ct", "in", "dimse", "C-STORE", "0000", keys={"sop": [f"2.25.{number}"]}
        )
    for number in (11, 12):
        yield exchange(number, "probe", "pacs", "out", "web", "GET /studies?x=1", "200")
    yield exchange(13, "probe", "pacs", "out", "dimse", "C-ECHO", "timeout")


FAILURE = """FAILED scenarios/cancel/after-worklist.yaml:29  expect message.received     gave up after 5.0 s, 21 looks
  at        pacs (simulated)  HL7 127.0.0.1:2576
  where     type one of ORM^O01, OMI^O23 · accession = SW000123
  expected  control one of CA, OC, DC
  closest   #0005 OMI^O23, 1.2 s after the cancel: control = SC
  standard  RAD-13 Procedure Update
  evidence  runs/20261124-0215/cancel-after-worklist[before-start]/0004.hl7
  replay    stepwedge run scenarios/cancel/after-worklist.yaml -k before-start --seed 4171"""

LAB = {
    "name": "simulated-hospital",
    "sut": {"name": "the simulated hospital", "version": "", "claims": []},
    "claims": [],
    "actors": {
        name: {"role": role, "simulated": True, "address": {"hl7": "mllp://127.0.0.1:2576"}}
        for name, role in {
            "ehr": "ehr",
            "ris": "ris",
            "pacs": "pacs",
            "ct": "modality",
            "reader": "reader",
        }.items()
    },
}


def case_records(case, title, verdict, *, failed=False):
    scenario, _, variant = case.rstrip("]").partition("[")
    yield {
        "record": "case", "case": case, "scenario": scenario, "variant": variant, "title": title,
        "story": "The technologist sees the patient on the console. The ward cancels. Nobody told the scanner.",
        "catalogue": "CAN-02", "file": "scenarios/cancel/after-worklist.yaml", "line": 1, "severity": "critical",
        "tags": ["cancel", "race"], "concern": "", "ihe": ["RAD-5"], "requires": ["mwl"], "started": "2026-11-24T09:30:00+00:00",
    }  # fmt: skip
    for one in exchanges():
        yield {"record": "exchange", "case": case, "exchange": one}
    step = {
        "record": "step", "case": case, "line": 20, "verdict": "passed", "took": 0.02, "within": None, "looks": 1,
        "message": "", "differences": [], "closest": "", "evidence": [4], "fenced": None, "left_out": None, "result": None,
    }  # fmt: skip
    yield step | {
        "index": 0,
        "kind": "given",
        "word": "ehr.register_patient",
        "title": "a patient is registered",
        "ihe": "RAD-1",
    }
    yield step | {
        "index": 1,
        "kind": "do",
        "word": "ehr.place_order",
        "title": "order an imaging procedure",
        "ihe": "RAD-2",
    }
    if failed:
        yield step | {
            "index": 2, "kind": "expect", "word": "message.received", "verdict": "failed", "took": 5.0, "looks": 21,
            "title": "the archive is told that the order is cancelled", "ihe": "RAD-13", "message": FAILURE,
            "differences": [{"path": "control", "expected": "one of CA, OC, DC", "found": "SC"}],
            "closest": "#0005 OMI^O23, 1.2 s after the cancel: control = SC", "within": 5.0,
        }  # fmt: skip
    yield step | {
        "index": 3, "kind": "never", "word": "message.received", "title": "no report arrives", "ihe": None, "fenced": True,
    }  # fmt: skip
    yield step | {
        "index": 4, "kind": "expect", "word": "images.intact", "title": "the images are unchanged", "ihe": "RAD-16",
        "verdict": None, "left_out": "the archive does not claim c-get",
    }  # fmt: skip
    rule = {"record": "rule", "case": case, "differences": [], "message": ""}
    yield rule | {
        "rule": "INV-3",
        "says": "one accession number everywhere",
        "verdict": "passed",
        "reached": 4,
    }
    yield rule | {"rule": "INV-7", "says": "pixels unchanged", "verdict": "passed", "reached": 0}
    if verdict:
        yield {
            "record": "verdict", "case": case, "verdict": verdict, "message": FAILURE if failed else "", "took": 5.4,
            "own_time": 0.03, "replay": f"stepwedge run {scenario} --seed 4171", "left_out": [], "fences": {"proven": 1, "waited": 0},
        }  # fmt: skip


def records(*, verdicts=("passed", "failed"), ended=True):
    yield {
        "record": "run", "id": "20261124-0215", "seed": 4171, "lab": LAB, "started": "2026-11-24T09:30:00+00:00",
        "argv": ["stepwedge", "run"], "versions": {"stepwedge": "0.1.0", "python": "3.11"}, "patience": 1.0,
    }  # fmt: skip
    for at, verdict in enumerate(verdicts):
        yield from case_records(
            f"cancel-after-worklist[v{at}]",
            f"Order cancelled <after> the worklist {at}",
            verdict,
            failed=verdict == "failed",
        )
    if ended:
        yield {"record": "end", "finished": "2026-11-24T09:30:11+00:00", "counts": {}, "exit": 1}


def write(folder: Path, **how):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(record) for record in records(**how)]
    (folder / "journal.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="session")
def sample_run():
    """Return the makers of sample runs: ``write(folder, verdicts=, ended=)``, ``records(...)``, ``exchanges()``."""
    return SimpleNamespace(write=write, records=records, exchanges=exchanges)
