"""An exam of a load against systems that lie, hang or refuse: what nobody answered is unknown, and a lie is seen by asking."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from mute import silent_port, yes_sayer
from tiny_pacs import TinyPacs

from stepwedge.errors import StepwedgeError
from stepwedge.lab import hospital, labfile
from stepwedge.load import scanner as scanning
from stepwedge.load import site as siting
from stepwedge.load.arrivals import Arrival
from stepwedge.load.ehr import Numbers, Ward, receivers
from stepwedge.load.exam import Exam
from stepwedge.load.ledger import Account
from stepwedge.load.measures import Series
from stepwedge.load.pictures import Shelf
from stepwedge.model.order import Order
from stepwedge.sim.address import Address, Endpoint, Entity
from stepwedge.sim.messages import read_patient
from stepwedge.wire.hl7 import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stepwedge.lab.hospital import Running
    from stepwedge.load.site import Site

USUAL: dict[str, Any] = {
    "modality": "CT",
    "procedure": "CTCHEST",
    "images": 3,
    "stat": False,
    "version": "2.5.1",
    "exception": "none",
    "sampled": True,
    "priors": 1,
    "clinicians": 1,
    "waits": {},
}


def play(site: Site, number: int = 1, **facts: Any) -> Exam:
    """Play one exam; an exam that is cut short is not our trouble."""
    exam = Exam(site, Shelf(77), Arrival(site.now(), "exam", number, USUAL | facts))
    try:
        exam.play()
    except StepwedgeError:
        assert exam.cut
    site.measures.tick(site.now() + 5)
    return exam


def written(site: Site) -> dict[str, Any]:
    (path,) = (site.folder / "exams").glob("*.json")
    told: dict[str, Any] = json.loads(path.read_text())
    return told


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with hospital.start(labfile.load(None), tmp_path_factory.mktemp("hospital"), 5) as one:
        yield one


def everybody(running: Running, **others: Address) -> tuple[dict[str, Address], dict[str, str]]:
    """Return who is where, some replaced, and the lines to the simulated ones."""
    told = running.told["actors"]
    directory = {name: Address.parse(one["address"]) for name, one in told.items()} | others
    return directory, {name: one["admin"] for name, one in told.items() if name not in others}


# --- honest systems ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "exception"),
    list(
        enumerate(
            ("none", "duplicate", "update", "reschedule", "merge", "unidentified", "addendum", "corrected"),
            100,
        )
    ),
)
def test_an_exam_reaches_the_ward(
    running: Running, site: Callable[..., Site], number: int, exception: str
) -> None:
    directory, admins = everybody(running)
    here = site(directory, admins=admins)
    exam = play(here, number, exception=exception, version="2.3.1" if number % 2 else "2.5.1")
    assert not exam.cut
    assert "at the ward" in exam.times
    series = Series.read(here.folder / "measures")
    assert not [name for name in series.names() if series.total(name).bad]
    assert {"scan end to readable", "order to worklist", "sign to EHR"} <= set(series.names())
    account = Account.read(here.folder / "ledger")
    assert not [one for kind in account.entries for one in account.of(kind) if one.state != "acknowledged"]  # type: ignore[arg-type]
    told = written(here)
    assert told["accession"] == exam.scan.accession
    assert len({one["sop"] for one in told["instances"]}) == 3
    assert told["report"]["text"] == exam.reading.text


@pytest.mark.parametrize(("number", "exception"), [(120, "cancel"), (121, "no_show")])
def test_who_does_not_come_is_not_scanned(
    running: Running, site: Callable[..., Site], number: int, exception: str
) -> None:
    directory, admins = everybody(running)
    here = site(directory, admins=admins)
    assert "begun" not in play(here, number, exception=exception).times
    assert not Account.read(here.folder / "ledger").of("instance")


def test_what_a_filler_answered_to_a_cancellation_is_told_to_the_ehr(
    running: Running, site: Callable[..., Site]
) -> None:
    directory, admins = everybody(running)
    exam = play(site(directory, admins=admins), 122, exception="cancel")
    admin = running.cast()["ehr"].admin
    assert admin is not None
    assert admin.ask("order", {"placer": exam.order.placer})["status"] == "cancelled"


def test_images_can_come_over_the_web_and_on_several_associations(
    running: Running, site: Callable[..., Site]
) -> None:
    directory, admins = everybody(running)
    here = site(directory, admins=admins)
    assert not play(here, 130, door="stow-rs").cut
    object.__setattr__(here.plan, "associations", 3)
    assert not play(here, 131, images=7).cut
    series = Series.read(here.folder / "measures")
    assert series.total("STOW-RS").count == 1
    assert series.total("C-STORE").count == 7


# --- liars -------------------------------------------------------------------------------------------------------


def test_an_archive_that_drops_what_it_acknowledges_is_seen(
    running: Running, site: Callable[..., Site]
) -> None:
    """It answers success to each image: only who asks for the study learns that nothing is there."""
    archive = TinyPacs("acks-and-drops")
    port = archive.start()
    try:
        directory, admins = everybody(running, pacs=Address(dicom=Entity("TINYPACS", "127.0.0.1", port)))
        here = site(directory, seconds=3.0, admins=admins)
        exam = play(here, 140)
    finally:
        archive.stop()
    series = Series.read(here.folder / "measures")
    assert series.total("C-STORE").bad == 0
    assert series.total("scan end to readable").unknown == 1
    assert "readable" not in exam.times
    assert len(Account.read(here.folder / "ledger").of("instance", "acknowledged")) == 3


def test_an_archive_that_refuses_is_refused_not_unknown(running: Running, site: Callable[..., Site]) -> None:
    archive = TinyPacs("refuses-everything")
    port = archive.start()
    try:
        directory, admins = everybody(running, pacs=Address(dicom=Entity("TINYPACS", "127.0.0.1", port)))
        here = site(directory, seconds=5.0, admins=admins)
        exam = play(here, 141)
    finally:
        archive.stop()
    assert "refused" in exam.cut
    row = Series.read(here.folder / "measures").total("C-STORE")
    assert (row.count, row.refused) == (3, 3)
    assert len(Account.read(here.folder / "ledger").of("instance", "refused")) == 3


def test_an_archive_that_hangs_leaves_images_unknown(
    running: Running, site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siting, "TIMEOUT", 0.4)
    with silent_port() as port:
        directory, admins = everybody(running, pacs=Address(dicom=Entity("NOBODY", "127.0.0.1", port)))
        here = site(directory, seconds=3.0, admins=admins)
        assert "NoAnswer" in play(here, 142).cut
    row = Series.read(here.folder / "measures").total("C-STORE")
    assert row.unknown == row.count > 1  # it was tried again
    assert Account.read(here.folder / "ledger").of("study", "attempted")


def test_a_ris_that_acknowledges_and_forgets_is_seen(running: Running, site: Callable[..., Site]) -> None:
    """It says AA to everything; the worklist of the other RIS never shows the order."""
    with yes_sayer() as port:
        worklist = Address.parse(running.told["actors"]["ris"]["address"]).worklist
        ris = Address(hl7=Endpoint("127.0.0.1", port), worklist=worklist)
        directory, _ = everybody(running, ris=ris)
        here = site({"ris": directory["ris"], "pacs": Address()}, seconds=1.5)
        exam = play(here, 150)
    assert exam.cut == "the worklist never showed it"
    assert Series.read(here.folder / "measures").total("order to worklist").unknown == 1
    assert len(Account.read(here.folder / "ledger").of("order", "acknowledged")) == 1


def test_a_ris_that_says_no_is_refused(running: Running, site: Callable[..., Site]) -> None:
    with yes_sayer(code=b"AE") as port:
        here = site({"ris": Address(hl7=Endpoint("127.0.0.1", port))}, seconds=2.0)
        assert "answered AE" in play(here, 151).cut
    row = Series.read(here.folder / "measures").total("ADT^A04")
    assert (row.count, row.refused) == (1, 1)


def test_a_ris_that_hangs_leaves_a_patient_unknown(
    site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siting, "TIMEOUT", 0.3)
    with silent_port() as port:
        here = site({"ris": Address(hl7=Endpoint("127.0.0.1", port))}, seconds=5.0)
        assert "NoAnswer" in play(here, 152).cut
    row = Series.read(here.folder / "measures").total("ADT^A04")
    assert (row.count, row.unknown) == (2, 2)  # the same message, once more
    account = Account.read(here.folder / "ledger")
    assert [one.state for one in account.of("patient")] == ["attempted"]


# --- identifiers and messages ------------------------------------------------------------------------------------


def test_identifiers_never_meet_and_fit() -> None:
    numbers = [Numbers(7, kind, number) for kind in "12" for number in (0, 1, 9, 10_000_001, 99_999_999)]
    made = [one.patient_id(which) for one in numbers for which in (0, 1)]
    made += [one.placer() for one in numbers] + [one.control() for one in numbers for _ in range(3)]
    assert len(set(made)) == len(made)
    assert max(map(len, made)) <= 20


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])
@pytest.mark.parametrize("sex", ["M", "F", "O"])
def test_a_compiled_message_says_who_the_patient_is(
    site: Callable[..., Site], version: str, sex: str
) -> None:
    here = site({"ris": Address(hl7=Endpoint("127.0.0.1", 1), application="RIS")})
    numbers = Numbers(7, "1", "MFO".index(sex))
    ward = Ward(here, numbers, numbers.person(), version)
    for kind in ("A04", "A08", "A40"):
        raw = ward._render(kind, "ris", prior="SW9")
        assert read_patient(parse(raw)) == ward.patient
    order = Order("LP1", ward.patient.id, "CTCHEST", "CT chest", priority="stat", version=version)
    message = parse(ward._render("NW", "ris", order=order))
    assert (message["ORC-2.1"], message["PID-8"], message["MSH-5.1"]) == ("LP1", sex, "RIS")


def test_patients_are_told_to_an_engine_alone_where_there_is_one(site: Callable[..., Site]) -> None:
    door = Address(hl7=Endpoint("127.0.0.1", 1))
    assert receivers(site({"pacs": door, "ris": door, "ehr": door})) == ["ris", "pacs"]
    assert receivers(site({"ris": door, "engine": door, "pacs": door})) == ["engine"]


def test_what_is_not_claimed_is_left_out_and_said(site: Callable[..., Site]) -> None:
    here = site({})
    object.__setattr__(here.plan, "claims", ("mwl",))
    assert here.can("mwl", "the worklist")
    assert not here.can("mpps", "performed steps")
    assert here.notes == {"performed steps: left out, mpps is not claimed"}


def test_a_rejection_for_good_is_not_tried_again() -> None:
    assert not scanning._for_now(scanning.Refused("rejected permanent: calling AE title not recognized"))
    assert scanning._for_now(scanning.Refused("rejected transient: local limit exceeded"))
