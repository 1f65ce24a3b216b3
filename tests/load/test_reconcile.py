"""What was promised under load against what is shown: every lie is found, and an honest hospital gives no red."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from stepwedge.load.ledger import Account, Ledger
from stepwedge.load.reconcile import (
    PROMISES,
    ImageSeen,
    OrderSeen,
    Reconciliation,
    ReportSeen,
    Shown,
    StudySeen,
    reconcile,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENT, ACCESSION, STUDY, STEP = "SWP1", "SW1", "2.25.1", "2.25.9"
IMAGES = ("2.25.1.1", "2.25.1.2")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """One exam, acknowledged from its order to its report."""
    ledger = Ledger(tmp_path, "worker")
    whose: dict[str, Any] = {"patient": PATIENT, "accession": ACCESSION, "exam": 1}
    for state in ("attempted", "acknowledged"):
        ledger.write("order", "LP1", state, **whose)
        ledger.write("study", STUDY, state, **whose, planned=2)
        for sop in IMAGES:
            ledger.write("instance", sop, state, study=STUDY, sha256=f"pixels of {sop}", **whose)
        ledger.write("mpps", STEP, state, **whose)
        ledger.write("mpps", f"{STEP}#end", state, **whose)
        ledger.write("report", "R1", state, text="No lesion.", **whose)
    return ledger


def shown() -> Shown:
    """Return what an honest hospital shows of that exam."""
    return Shown(
        studies={PATIENT: [StudySeen(STUDY, PATIENT, ACCESSION)]},
        listed={STUDY: Counter(IMAGES)},
        opened={STUDY: {sop: [ImageSeen(f"pixels of {sop}", PATIENT, ACCESSION)] for sop in IMAGES}},
        orders={"LP1": [OrderSeen("LP1", ACCESSION, PATIENT)]},
        reports={ACCESSION: [ReportSeen(ACCESSION, PATIENT, "Findings: No lesion.", "final")]},
        performed={STEP: ["COMPLETED"]},
    )


def judged(tmp_path: Path, told: Shown) -> Reconciliation:
    return reconcile(Account.read(tmp_path), told)


def test_an_honest_hospital_keeps_every_promise(tmp_path: Path, ledger: Ledger) -> None:
    said = judged(tmp_path, shown())
    assert said.word == "met", said.findings
    assert said.counts["instance"] == {
        "attempted": 2,
        "acknowledged": 2,
        "refused": 0,
        "unknown": 0,
        "arrived": 0,
    }
    assert "2 images" in said.sentence
    assert {"I1", "I2", "I5", "I6", "I7"} <= set(+said.compared)


def _lose_image(told: Shown) -> None:
    del told.listed[STUDY][IMAGES[0]], told.opened[STUDY][IMAGES[0]]


def _cannot_open(told: Shown) -> None:
    del told.opened[STUDY][IMAGES[0]]


def _invent_image(told: Shown) -> None:
    told.listed[STUDY]["2.25.666"] = 1


def _invent_study(told: Shown) -> None:
    told.studies[PATIENT].append(StudySeen("2.25.777", PATIENT, ""))


def _double_image(told: Shown) -> None:
    told.listed[STUDY][IMAGES[0]] = 2


def _double_open(told: Shown) -> None:
    told.opened[STUDY][IMAGES[0]] *= 2


def _double_order(told: Shown) -> None:
    told.orders["LP1"] *= 2


def _double_study(told: Shown) -> None:
    told.studies[PATIENT] *= 2


def _alter(told: Shown) -> None:
    told.opened[STUDY][IMAGES[0]] = [ImageSeen("other pixels", PATIENT, ACCESSION)]


def _rewrite_report(told: Shown) -> None:
    told.reports[ACCESSION] = [ReportSeen(ACCESSION, PATIENT, "A lesion.", "final")]


def _other_patient(told: Shown) -> None:
    told.studies[PATIENT] = [StudySeen(STUDY, "SWP2", ACCESSION)]


def _swap_report(told: Shown) -> None:
    told.reports[ACCESSION] = [ReportSeen(ACCESSION, "SWP2", "No lesion.", "final")]


def _other_accession(told: Shown) -> None:
    told.orders["LP1"] = [OrderSeen("LP1", "SW2", PATIENT)]


def _never_completed(told: Shown) -> None:
    told.performed[STEP] = ["IN PROGRESS"]


LIES: dict[str, tuple[Callable[[Shown], Any], str]] = {
    "a lost image": (_lose_image, "I1"),
    "a lost study": (lambda told: told.studies.clear(), "I1"),
    "an image that cannot be opened": (_cannot_open, "I1"),
    "a lost order": (lambda told: told.orders.clear(), "I1"),
    "a lost report": (lambda told: told.reports.clear(), "I1"),
    "a lost step": (lambda told: told.performed.clear(), "I1"),
    "an image that nobody sent": (_invent_image, "I2"),
    "a study that nobody sent": (_invent_study, "I2"),
    "an image listed twice": (_double_image, "I5"),
    "an image handed out twice": (_double_open, "I5"),
    "an order twice": (_double_order, "I5"),
    "a study twice": (_double_study, "I5"),
    "other pixels": (_alter, "I6"),
    "another text": (_rewrite_report, "I6"),
    "a study of somebody else": (_other_patient, "I7"),
    "a report of somebody else": (_swap_report, "I7"),
    "an order under another number": (_other_accession, "I7"),
    "a step that never ended": (_never_completed, "I7"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found(tmp_path: Path, ledger: Ledger, lie: str) -> None:
    told, (tell, promise) = shown(), LIES[lie]
    tell(told)
    said = judged(tmp_path, told)
    assert said.word == "missed"
    assert promise in {one.promise for one in said.broken}
    assert PROMISES[promise] in said.sentence


def test_what_was_refused_and_is_there_was_not_refused(tmp_path: Path, ledger: Ledger) -> None:
    ledger.write("instance", "2.25.1.3", "attempted", study=STUDY)
    ledger.write("instance", "2.25.1.3", "refused", study=STUDY)
    assert judged(tmp_path, shown()).word == "met"
    told = shown()
    told.listed[STUDY]["2.25.1.3"] = 1
    told.opened[STUDY]["2.25.1.3"] = [ImageSeen("", PATIENT, ACCESSION)]
    assert [one.promise for one in judged(tmp_path, told).broken] == ["I3"]


def test_what_nobody_answered_is_there_whole_or_not_at_all(tmp_path: Path, ledger: Ledger) -> None:
    ledger.write("instance", "2.25.1.3", "attempted", study=STUDY, sha256="pixels")
    assert judged(tmp_path, shown()).counts["instance"]["unknown"] == 1
    told = shown()
    told.listed[STUDY]["2.25.1.3"] = 1
    told.opened[STUDY]["2.25.1.3"] = [ImageSeen("pixels", PATIENT, ACCESSION)]
    whole = judged(tmp_path, told)
    assert (whole.word, whole.counts["instance"]["arrived"]) == ("met", 1)
    del told.opened[STUDY]["2.25.1.3"]
    assert [one.promise for one in judged(tmp_path, told).broken] == ["I4"]


def test_one_accession_number_for_two_orders_is_a_doubled_one(tmp_path: Path, ledger: Ledger) -> None:
    ledger.write("order", "LP2", "acknowledged", patient="SWP2", accession=ACCESSION)
    told = shown()
    told.orders["LP2"] = [OrderSeen("LP2", ACCESSION, "SWP2")]
    assert "I5" in {one.promise for one in judged(tmp_path, told).broken}


def test_a_merged_patient_goes_by_the_surviving_number(tmp_path: Path, ledger: Ledger) -> None:
    ledger.write("merge", "M1", "acknowledged", survivor="SWP5", prior=PATIENT)
    assert "I7" in {one.promise for one in judged(tmp_path, shown()).broken}
    moved = shown()
    moved.studies = {"SWP5": [StudySeen(STUDY, "SWP5", ACCESSION)]}
    moved.opened[STUDY] = {sop: [ImageSeen(f"pixels of {sop}", "SWP5", ACCESSION)] for sop in IMAGES}
    moved.orders["LP1"] = [OrderSeen("LP1", ACCESSION, "SWP5")]
    moved.reports[ACCESSION] = [ReportSeen(ACCESSION, "SWP5", "No lesion.")]
    assert judged(tmp_path, moved).word == "met", judged(tmp_path, moved).findings


def test_what_could_not_be_read_is_not_good(tmp_path: Path, ledger: Ledger) -> None:
    told = shown()
    told.orders.clear()
    told.trouble["order", "LP1"] = "no answer within 10 s"
    said = judged(tmp_path, told)
    assert said.word == "untold"
    assert "nobody can tell" in said.sentence


def test_a_torn_ledger_and_an_empty_one_tell_nothing(tmp_path: Path, ledger: Ledger) -> None:
    ledger.close()
    with (tmp_path / "ledger-worker.jsonl").open("a") as file:
        file.write('{"kind": "ord')
    assert judged(tmp_path, shown()).word == "untold"
    assert reconcile(Account.read(tmp_path / "nothing"), Shown()).word == "untold"


def test_only_so_many_findings_are_written_down_and_all_are_counted(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "worker")
    for number in range(120):
        ledger.write("order", f"LP{number}", "acknowledged")
    told = judged(tmp_path, Shown()).to_json()
    assert told["found"] == {"I1": 120}
    assert len(told["findings"]) == 50
