"""Conformance statements are held to the code: what a README says a system speaks is what its doors take, and nothing else."""

import ast
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from stepwedge import kit
from stepwedge.model.patient import Patient, PersonName
from stepwedge.report import conformance, proposed
from stepwedge.sim.dimse import DimseDoor
from stepwedge.sim.fhir.door import FhirDoor
from stepwedge.sim.fhir.offer import Offer
from stepwedge.sim.fhir.service import Request
from stepwedge.sim.hl7 import Hl7Door, Reply
from stepwedge.sim.messages import Item
from stepwedge.wire.dictionary import find, vr_of
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.hl7 import compose, header, parse

ROLES = kit.simulators()
SPEAKS_HL7 = ["ehr", "engine", "mpi", "pacs", "ris"]
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
KEYWORD = re.compile(r"`([A-Z][A-Za-z]+)`")


def written(role):
    return conformance.readme(role).read_text(encoding="utf-8")


def by_hand(role):
    """Return what people wrote: the README without the part from the code."""
    return written(role).partition(conformance.BEGIN)[0]


@pytest.fixture
def built(tmp_path):
    """Build systems without opening a door."""
    made = []

    def build(role):
        made.append(conformance.build(role, tmp_path / role))
        return made[-1]

    yield build
    for simulator in made:
        simulator.bench.store.close()


def door(simulator, kind):
    return next(one for one in simulator.doors if isinstance(one, kind))


@pytest.mark.parametrize("role", ROLES)
def test_a_readme_says_what_the_code_has(role):
    found = conformance.complaints(written(role), conformance.statement(role))
    assert not found, f"simulators/{role}/README.md; see stepwedge matrix --conformance {role}"


def test_a_handler_that_nobody_described_is_reported(built):
    ris = built("ris")
    book = door(ris, Hl7Door)
    book._handlers = {**book._handlers, "ADT^A60": lambda *_: Reply()}
    found = conformance.complaints(written("ris"), conformance.describe("ris", ris))
    assert len(found) == 2
    assert "A60" in found[0]
    assert "A60" not in found[1]


def test_a_sop_class_more_and_an_association_less_are_reported(built):
    pacs = built("pacs")
    acceptor = door(pacs, DimseDoor).acceptor
    acceptor.accepts = {**acceptor.accepts, "1.2.840.10008.5.1.4.34.5": (EXPLICIT_LE,)}
    acceptor.max_associations -= 1
    found = "\n".join(conformance.complaints(written("pacs"), conformance.describe("pacs", pacs)))
    assert "1.2.840.10008.5.1.4.34.5" in found
    assert "| 63, then rejected 2/3/2 |" in found
    assert found.count("\n") == 2


def test_a_service_an_interaction_and_a_quirk_are_reported(built, monkeypatch):
    ris = built("ris")

    async def on_action(*_):
        return 0

    monkeypatch.setattr(type(door(ris, DimseDoor).acceptor.provider), "on_action", on_action)
    service = door(ris, FhirDoor)._service
    service.offers["Location"] = Offer("Location", ("read",))
    monkeypatch.delitem(kit.load_simulator("ris").QUIRKS, "siu.lost")
    found = "\n".join(conformance.complaints(written("ris"), conformance.describe("ris", ris)))
    assert "N-ACTION" in found
    assert "| Location | read |" in found
    assert f"| {len(kit.load_simulator('ris').QUIRKS)} | " in found


def test_what_the_code_has_not_is_reported():
    told = conformance.statement("mpi")
    spoken = written("mpi").replace("| `most` | 50 |", "| `most` | 60 |")
    assert [one.partition(":")[0] for one in conformance.complaints(spoken, told)] == [
        "the code has, the README has not",
        "the README has, the code has not",
    ]
    assert not conformance.complaints(conformance.renewed(spoken, told), told)
    assert conformance.complaints("nothing", told) == [
        f"there is no part between {conformance.BEGIN!r} and {conformance.END!r}"
    ]


@pytest.mark.parametrize("role", ROLES)
def test_every_setting_has_a_default_and_a_meaning(role):
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", conformance.statement(role), re.MULTILINE)
    assert rows
    assert not [name for name, default, meaning in rows if not default or not meaning]


def test_every_setting_that_is_read_for_all_is_told():
    """The bench, its doors and its clients read settings by name; each of the names is in the table of all systems."""
    text = "".join(file.read_text(encoding="utf-8") for file in Path(kit.__file__).parent.glob("sim/**/*.py"))
    read = set(re.findall(r'settings(?:\.get\(|\[)"(\w+)"', text))
    ports = {f"{name}_port" for name in conformance.PORTS}
    assert read | ports == set(conformance.EVERYWHERE)


# --- HL7


@pytest.mark.parametrize("role", SPEAKS_HL7)
def test_what_is_not_described_is_refused(built, role):
    """The rows about refusals are true of the door itself: an unknown event is 201, an unknown message 200."""
    book = door(built(role), Hl7Door)
    for kind, number in (("ADT^Z99", "201"), ("ZZZ^Z01", "200")):
        raw = compose(
            [
                header(kind, control=kind, now=NOW, sender=("TEST", "STEPWEDGE")),
                ("PID", {3: ["SW1", "", "", "STEPWEDGE"], 5: ["Doe"]}),
            ]
        )
        answer = parse(book.take(raw, "test").reply)
        known = {one.partition("^")[0] for one in book.takes}
        expected = number if known & {"ADT"} or number == "200" else "200"
        assert (answer["MSA-1"], answer["ERR-3.1"]) == ("AR", expected), kind


def events(text):
    """Return the triggers that prose names: ``ADT^A01 to A03, A08`` are four."""
    found, code, last, span = set(), "", "", False
    for word in re.findall(r"[A-Z]{3}\^[A-Z]\d\d|\b[A-Z]\d\d\b|\bto\b|[^\s\w]|\w+", text):
        if "^" in word:
            code, _, trigger = word.partition("^")
        elif re.fullmatch(r"[A-Z]\d\d", word):
            trigger = word
        else:
            span = word == "to" if word.isalpha() else span and word == ","
            continue
        if span and last and last[0] == trigger[0]:
            found |= {f"{code}^{last[0]}{n:02}" for n in range(int(last[1:]), int(trigger[1:]))}
        found.add(f"{code}^{trigger}")
        last, span = trigger, False
    return found


def test_prose_about_events_is_understood():
    assert events("ADT^A01 to A03, A08; SIU^S12") == {"ADT^A01", "ADT^A02", "ADT^A03", "ADT^A08", "SIU^S12"}


@pytest.mark.parametrize("role", [role for role in SPEAKS_HL7 if role != "engine"])
def test_what_people_wrote_names_every_message_that_is_taken(built, role):
    section = re.search(r"## HL7 v2 over MLLP\n(.*?)\n## ", by_hand(role), re.DOTALL)[1]
    rows = "\n".join(line for line in section.splitlines() if line.startswith("|"))
    taken = set(door(built(role), Hl7Door).takes)
    assert taken <= events(rows), taken - events(rows)


# --- FHIR


@pytest.mark.parametrize("role", ["ehr", "pacs", "ris"])
def test_the_statement_of_a_fhir_door_is_its_capability_statement(built, role):
    simulator = built(role)
    service = door(simulator, FhirDoor)._service
    told = service.handle(Request("GET", "metadata")).resource["rest"][0]["resource"]
    lines = conformance.describe(role, simulator).splitlines()
    for one in told:
        interactions = ", ".join(each["code"] for each in one["interaction"])
        names = " ".join(f"`{each['name']}`" for each in one["searchParam"])
        assert f"| {one['type']} | {interactions} | {names} |" in lines


# --- C-FIND


def keys_of(elements):
    """Return every keyword of an entry, those inside sequences too, codes and references aside."""
    found = set(elements)
    for value in elements.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            found |= set(value[0])
    return found


PARTS = {"CodeValue", "CodingSchemeDesignator", "CodeMeaning", "LocalNamespaceEntityID"}
"""What stands inside the items of code sequences and issuers, in every one the same."""


def rows_after(role, heading):
    """Return the keywords of a table: first cell to keywords."""
    table = by_hand(role).partition(heading)[2].split("\n\n")[1].splitlines()[2:]
    return {line.split("|")[1].strip(): set(KEYWORD.findall(line)) for line in table}


def test_every_key_of_the_worklist_is_told_and_matches(built):
    """All that an entry has is in the README, and is a key: its own value finds the entry, another value does not."""
    ris = built("ris")
    books, scanners = ris.state, door(ris, DimseDoor).acceptor.provider
    with ris.bench.change(books):
        patient = Patient("SW00000001", PersonName("Doe", "Jane"), "19700101", "F")
        books.admit(patient)
        order, _ = books.place(Item("NW", placer="P1", procedure="CTCHEST"), patient, "2.5.1", NOW)
        books.schedule(order, NOW)
    (entry,) = list(scanners.worklist.find({}))
    told = rows_after("ris", "**Keys of the worklist**")
    assert keys_of(entry) - PARTS - {"SpecificCharacterSet"} == set().union(*told.values())
    step = entry["ScheduledProcedureStepSequence"][0]
    valued = [
        *(
            ({key: value}, {key: other(key)})
            for key, value in entry.items()
            if value and not isinstance(value, list)
        ),
        *(
            (
                {"ScheduledProcedureStepSequence": [{key: value}]},
                {"ScheduledProcedureStepSequence": [{key: other(key)}]},
            )
            for key, value in step.items()
            if value and not isinstance(value, list)
        ),
    ]
    assert len(valued) > 15
    for same, another in valued:
        assert len(list(scanners.worklist.find(same))) == 1, same
        assert not list(scanners.worklist.find(another)), another


def other(key):
    return {"DA": "19010101", "TM": "235959", "UI": "1.2.3", "US": 3, "PN": "Nobody"}.get(
        vr_of(key), "NOBODY"
    )


VALUES = {
    "DA": "20261124",
    "TM": "093000",
    "UI": "1.2.3",
    "PN": "Doe^Jane",
    "SQ": [{"CodeValue": "X"}],
    "US": 16,
    "CS": "X",
}


def test_every_key_of_the_archive_is_told_and_matches(built, ct_image):
    """What rows of each level have is what the README says of the level, no more and no less."""
    pacs = built("pacs")
    provider = door(pacs, DimseDoor).acceptor.provider
    query = sys.modules["stepwedge_simulators.pacs.query"]
    image = ct_image(1)
    missing = {key for key in query.KEPT - set(image) if key != "SpecificCharacterSet"}
    whole = image | {key: VALUES.get(vr_of(key), "1") for key in missing}
    data = encode(whole, explicit=True)
    filed = provider._vault.take(image["SOPClassUID"], image["SOPInstanceUID"], EXPLICIT_LE, data, "TEST")
    assert filed.status == 0
    told = rows_after("pacs", "**Keys of queries**")
    assert list(told) == list(query.LEVELS)
    expected = set()
    for level in query.LEVELS:
        expected |= told[level]
        (row,) = query.select(pacs.state, level, {})
        counted = {"NumberOfPatientRelatedStudies"} if level != "PATIENT" else set()  # of a patient alone
        assert set(row) - {"SpecificCharacterSet"} == expected - counted, level
        for key in told[level]:
            value = row[key]
            if value not in ("", []) and not isinstance(value, list) and vr_of(key) not in {"DS", "IS"}:
                first = value.partition("\\")[0] if isinstance(value, str) else value  # keys have one value
                assert query.select(pacs.state, level, {key: first}), key
                assert not query.select(pacs.state, level, {key: other(key)}), key


# --- text


@pytest.mark.parametrize("role", ROLES)
def test_every_uid_in_a_readme_has_its_name(role):
    """A mistyped digit makes a UID that PS3.6 does not know."""
    from pydicom.uid import UID

    newer = {"1.2.840.10008.5.1.4.1.1"}
    found = {uid.rstrip(".") for uid in re.findall(r"1\.2\.840\.10008[.\d]*", written(role))} - newer
    assert not [uid for uid in found if UID(uid).name == uid]


@pytest.mark.parametrize("role", ROLES)
def test_every_statement_speaks_of_security(role):
    text = by_hand(role)
    assert "`tls:`" in text
    assert "`nodes:`" in text or (role == "idp" and "nodes" in text)
    assert "1.2 and 1.3" in text or role == "auditor"
    assert "Audit" in text or "ITI-20" in text
    assert "no TLS" not in text


@pytest.mark.parametrize("role", ROLES)
def test_every_attribute_named_is_in_the_dictionary(role):
    """Keywords in key tables are DICOM's."""
    for heading in ("**Keys of the worklist**", "**Keys of queries**"):
        if heading in by_hand(role):
            for several in rows_after(role, heading).values():
                assert all(find(one) for one in several)


# --- what is proposed to others


def test_every_sop_class_that_a_system_calls_with_is_told():
    assert {uid for uid, _ in proposed.proposed("ris")} == {"1.2.840.10008.3.1.2.3.3"}
    scanner = dict(proposed.proposed("modality"))
    assert set(scanner) == {
        proposed.STORAGE,
        "1.2.840.10008.1.1",
        "1.2.840.10008.1.20.1",
        "1.2.840.10008.3.1.2.3.3",
        "1.2.840.10008.5.1.4.31",
    }
    assert ("1.2.840.10008.5.1.4.34.6.4", proposed.CALLING_BACK) in proposed.proposed("pacs")
    assert not [role for role in ("auditor", "ehr", "engine", "idp", "mpi") if proposed.proposed(role)]


def test_a_call_more_is_found_wherever_it_stands():
    module = SimpleNamespace(ONE="1.2.1", wire=SimpleNamespace(TWO="1.2.2"))
    text = """
class Desk:
    async def ask(self, contexts):
        async with calling(self._bench, "pacs", [ONE, wire.TWO, *classes]) as association:
            await association.echo()
        async with self._network.calling("pacs", contexts):
            pass

def tell(change):
    change.send(dimse_send("pacs", "report_event", ONE, "1.2.3", {}, control="1", context=wire.TWO))
"""
    assert set(proposed._of_module(module, ast.parse(text))) == {
        ("1.2.1", proposed.SCU),
        ("1.2.2", proposed.SCU),
        (proposed.STORAGE, proposed.SCU),
        ("1.2.2", proposed.CALLING_BACK),
    }
