"""What `stepwedge explain` says."""

from __future__ import annotations

import pytest

from stepwedge.actors.words import words
from stepwedge.checks.check import checks
from stepwedge.errors import BadInput
from stepwedge.scenario.check import Known
from stepwedge.scenario.explain import explain

KNOWN = Known({"ehr": "ehr", "ris": "ris", "pacs": "pacs", "ct": "modality", "reader": "reader"})


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        (
            "ehr.place_order",
            ["order an imaging procedure", "RAD-2 Placer Order Management", "must be given", "accession"],
        ),
        ("ct", ["plays the role modality", "ct.start_exam", "[RAD-6]"]),
        ("modality.acquire", ["acquire images"]),
        ("worklist.entry", ["RAD-5 Query Modality Worklist", "asked on the wire", "DICOM keywords"]),
        ("message.received", ["what a simulated actor received", "a marker message behind it proves it"]),
        ("checks", ["worklist.entry", "images.intact"]),
        ("rules", ["INV-1", "INV-12"]),
        ("inv-9", ["INV-9", "source"]),
        ("rad-13", ["Procedure Update", "message.received"]),
        ("flows", ["flow.scheduled_exam"]),
        ("flow.stored_exam", ["_flows/stored_exam.yaml", "gives", "ct.store_images"]),
        (
            "scenarios/cancel/after-worklist.yaml",
            ["cancel-after-worklist", "before-start, scan-anyway", "when $scan"],
        ),
    ],
)
def test_topics(topic, said):
    text = explain(topic, KNOWN)
    assert [part for part in said if part not in text] == []


@pytest.mark.parametrize(
    ("topic", "near"), [("ehr.plce_order", "ehr.place_order"), ("worklist.entri", "worklist.entry")]
)
def test_an_unknown_topic_names_the_nearest(topic, near):
    with pytest.raises(BadInput, match=f"did you mean '{near}'"):
        explain(topic, KNOWN)


def test_everything_there_is_can_be_explained():
    for word in words():
        assert word.does in explain(word.full, KNOWN)
    for check in checks():
        assert check.says in explain(check.name, KNOWN)
