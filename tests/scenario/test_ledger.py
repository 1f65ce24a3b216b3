"""The ledger of intents: before sending, on the disk, and unknown until the same identity was answered."""

from __future__ import annotations

import json

import pytest

from stepwedge.evidence.exchange import Exchange
from stepwedge.scenario.ledger import Ledger


def store(outcome, sop="2.25.1", number=1):
    return Exchange(
        number,
        float(number),
        0.1,
        "ct",
        "out",
        "dimse",
        "C-STORE",
        "pacs",
        outcome,
        {"sop": [sop]},
        {"sop": sop},
    )


def test_an_intent_is_on_the_disk_before_anything_is_sent(tmp_path):
    ledger = Ledger(tmp_path / "case" / "ledger.jsonl")
    ledger.attempt("ct.store_images", {"images": {"instances": [{"sop": "2.25.1"}]}})
    (line,) = ledger.file.read_text().splitlines()  # the file was not closed: it survives a kill
    assert json.loads(line) == {"state": "attempted", "word": "ct.store_images", "sop": ["2.25.1"]}


@pytest.mark.parametrize(
    ("outcomes", "state", "recovered"),
    [
        (["0000"], "acknowledged", 0),
        (["B007"], "acknowledged", 0),
        (["A700"], "refused", 0),
        (["lost"], "unknown", 0),
        (["timeout"], "unknown", 0),
        (["refused"], "unknown", 0),  # an abort answers for no instance
        (["lost", "0000"], "acknowledged", 1),
        (["lost", "0110"], "unknown", 0),  # the first try may have arrived
        (["A700", "0000"], "acknowledged", 0),
        (["0000", "lost"], "acknowledged", 1),
    ],
)
def test_what_became_of_it(tmp_path, outcomes, state, recovered):
    ledger = Ledger(tmp_path / "ledger.jsonl")
    ledger.read([store(outcome, number=at + 1) for at, outcome in enumerate(outcomes)])
    counts = ledger.account()
    assert counts["attempted"] == counts[state] == 1
    assert counts["recovered"] == recovered


class Facts:
    """One study as a door shows it."""

    def __init__(self, exchanges, listed):
        self.exchanges, self.listed, self.readback = exchanges, listed, self

    def doors(self):
        return ["c-find", "qido-rs"]

    def player(self, _role):
        return None

    def instances(self, door, _study):
        assert door == "qido-rs"  # sent by C-STORE, so read by the web
        return [{"SOPInstanceUID": sop} for sop in self.listed]


def acquired(*sops):
    made = [{"sop": sop, "pixels": "00", "series": "2.25.8"} for sop in sops]
    result = {"series": "2.25.8", "study": "2.25.9", "instances": made, "count": len(made), "mpps": "2.25.7"}
    return Exchange(
        1, 0.5, 0.1, "ct", "in", "act", "acquire", "", "passed", {}, {"args": {}, "result": result}
    )


@pytest.mark.parametrize(
    ("outcome", "listed", "said"),
    [
        ("0000", [], "there, because it was acknowledged"),
        ("A700", ["2.25.1"], "not there, because it was refused"),
        ("0000", ["2.25.1", "2.25.1"], "there once"),
        ("0000", ["2.25.1", "2.25.2"], "only what somebody sent"),
        ("0000", ["2.25.1"], ""),
        ("A700", [], ""),
    ],
)
def test_a_lying_archive_is_seen(tmp_path, outcome, listed, said):
    ledger, exchanges = Ledger(tmp_path / "ledger.jsonl"), [acquired("2.25.1"), store(outcome, number=2)]
    ledger.read(exchanges)
    finding = ledger.judge(Facts(exchanges, listed))
    assert [one.expected for one in finding.differences] == ([said] if said else [])


def test_what_stays_unknown_is_inconclusive(tmp_path):
    ledger, exchanges = Ledger(tmp_path / "ledger.jsonl"), [acquired("2.25.1"), store("lost", number=2)]
    ledger.read(exchanges)
    finding = ledger.judge(Facts(exchanges, []))
    assert finding.verdict == "inconclusive"
    assert "sop 2.25.1 ct->pacs" in finding.unsure
