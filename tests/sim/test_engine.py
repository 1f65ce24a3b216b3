"""The interface engine, pure: routes, edits, tables, fates, settings."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.wire.hl7 import HL7Error, compose, header, parse

kit.load_simulator("engine")

from stepwedge_simulators.engine.habits import EngineHabits  # noqa: E402 - the package exists once it is loaded
from stepwedge_simulators.engine.quirks import QUIRKS  # noqa: E402
from stepwedge_simulators.engine.routes import DEFAULT  # noqa: E402
from stepwedge_simulators.engine.settings import Settings  # noqa: E402
from stepwedge_simulators.engine.state import (  # noqa: E402
    DEAD,
    DELIVERED,
    HANDED_BACK,
    REPLAYED,
    WAITING,
    Engine,
)
from stepwedge_simulators.engine.translation import Normal, Table, apply, normalise  # noqa: E402

from stepwedge.wire.hl7_edit import Draft  # noqa: E402

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
AT = "20261124093000"
ALL = {"ris": "SW_RIS", "pacs": "SW_PACS", "ehr": "SW_EHR"}


def message(kind="ADT^A04", *segments, control="C1", application="SW_EHR", charset=""):
    head = header(kind, control=control, now=NOW, sender=(application, "SW"), receiver=("SW_ENGINE", "SW"))
    pid = ("PID", {3: ["SW1", "", "", "STEPWEDGE"], 5: ["Doe", "Jane"], 8: "F"})
    return parse(compose([head, pid, *segments], charset=charset))


def engine(**settings):
    read = Settings.read(settings, "engine")
    return Engine(1, "engine", routes=read.routes, tables=read.tables, habits=EngineHabits())


def drafted(raw):
    return Draft(parse(raw))


ZSEG = b"MSH|^~\\&|A|B|C|D|20261124||ADT^A04|1|P|2.5.1\rPID|||SW1^^^STEPWEDGE\rZAC|a^^c||~x^y&&z|^^^\r"


def test_what_is_not_edited_keeps_every_byte():
    assert drafted(ZSEG).body(EngineHabits().segment) == ZSEG


@pytest.mark.parametrize(
    ("place", "value", "line"),
    [
        ("ZAC-1.2", "b", b"ZAC|a^b^c||~x^y&&z|^^^"),
        ("ZAC-2", "two", b"ZAC|a^^c|two|~x^y&&z|^^^"),
        ("ZAC-3[2].2.2", "q", b"ZAC|a^^c||~x^y&q&z|^^^"),
        ("ZAC-6.2", "far", b"ZAC|a^^c||~x^y&&z|^^^||^far"),
        ("ZAC-1.3", "a^b|c", b"ZAC|a^^a\\S\\b\\F\\c||~x^y&&z|^^^"),
        ("ZAC-1", '""', b'ZAC|""||~x^y&&z|^^^'),
    ],
)
def test_an_edit_changes_its_place_alone(place, value, line):
    draft = drafted(ZSEG)
    draft.put(place, value, "test")
    assert draft.body() == ZSEG.replace(b"ZAC|a^^c||~x^y&&z|^^^", line)
    assert list(draft.changed) == [f"ZAC[1]-{place.partition('-')[2][0]}"]


@given(st.text(alphabet="ab|^~\\& é", max_size=12), st.integers(1, 9), st.integers(1, 5))
def test_what_was_written_is_read(value, field, component):
    raw = message("ADT^A04", ("ZAC", {1: "x"}), charset="UNICODE UTF-8").raw
    draft = drafted(raw)
    draft.put(f"ZAC-{field}.{component}", value, "test")
    assert parse(draft.body())[f"ZAC-{field}.{component}"] == value


def test_a_table_translates_every_segment_and_chains():
    raw = message("ADT^A04", ("OBX", {2: "ST", 5: "a"}), ("OBX", {2: "ST", 5: "b"}), ("OBX", {2: "ST"})).raw
    draft = drafted(raw)
    apply(draft, Table("one", ("OBX-5",), {"a": "b", "": "none"}))
    apply(draft, Table("two", ("OBX[1]-5",), {"b": "c"}))
    assert parse(draft.body()).all("OBX-5") == ["c", "b", "none"]
    assert draft.changed["OBX[1]-5"] == "table two version 1"


def test_a_code_without_a_row_is_kept_or_refused():
    apply(drafted(ZSEG), Table("keep", ("PID-3.1",), {"x": "y"}))
    with pytest.raises(HL7Error, match="table strict version 1 has no row for 'SW1'"):
        apply(drafted(ZSEG), Table("strict", ("PID-3.1",), {"x": "y"}, "refuse"))


def test_proprietary_segments_become_standard_ones():
    draft = drafted(ZSEG)
    normalise(draft, Normal({"ZAC-1.3": "PID-8", "ZAC-9": "PID-9"}, ("ZAC",)))
    assert draft.body().endswith(b"\rPID|||SW1^^^STEPWEDGE|||||c\r")
    assert draft.changed == {"PID[1]-8": "moved from ZAC-1.3", "ZAC[1]": "dropped as proprietary"}


@pytest.mark.parametrize(
    ("kind", "segments", "sender", "to"),
    [
        ("ADT^A08", (), "ehr", ["ris", "pacs"]),
        ("OMG^O19", (("ORC", {1: "NW"}),), "ehr", ["ris"]),
        ("OMI^O23", (("ORC", {1: "NW"}),), "ris", ["pacs"]),
        ("ORM^O01", (("ORC", {1: "NW"}), ("ZDS", {1: "1.2"})), "ris", ["pacs"]),
        ("ORM^O01", (("ORC", {1: "SC"}),), "ris", ["ehr"]),
        ("ORU^R01", (), "ris", ["ehr"]),
        ("ORU^R01", (), "reader", ["ris"]),
    ],
)
def test_the_usual_ways(kind, segments, sender, to):
    _, parcels = engine().take(message(kind, *segments), sender, ALL, AT)
    assert [one.copy.to for one in parcels] == to
    assert [parse(one.body)["MSH-5"] for one in parcels] == [ALL[name] for name in to]
    assert {one.copy.control for one in parcels} == {"C1"}


def test_the_usual_ways_leave_out_who_is_not_here_and_a_route_of_ones_own_does_not():
    _, parcels = engine().take(message(), "ehr", {"ris": "R"}, AT)
    assert [one.copy.to for one in parcels] == ["ris"]
    with pytest.raises(HL7Error, match="leads to pacs, but only ris can be reached"):
        engine(routes=[{"to": ["pacs"]}]).take(message(), "ehr", {"ris": "R"}, AT)


def test_what_no_route_takes_is_refused_and_a_route_to_nowhere_takes_it_on_purpose():
    with pytest.raises(HL7Error, match="no route takes ADT\\^A04 from lab") as told:
        engine().take(message(), "lab", ALL, AT)
    assert told.value.answer == "AR"
    letter, parcels = engine(routes=[{"name": "bin", "to": []}]).take(message(), "lab", ALL, AT)
    assert (letter.routes, parcels) == (("bin",), [])


def test_a_reload_is_for_later_messages_only():
    books = engine(routes=[{"to": ["ris"], "translate": ["sex"]}], tables={"sex": {"at": "PID-8"}})
    _, (before,) = books.take(message(), "ehr", ALL, AT)
    assert books.reload("sex", {"F": "W"}).version == 2
    _, (after,) = books.take(message(control="C2"), "ehr", ALL, AT)
    assert [parse(one.body)["PID-8"] for one in (before, after)] == ["F", "W"]
    assert after.copy.changed["PID[1]-8"] == "table sex version 2"


def test_what_cannot_be_translated_is_a_dead_letter_and_the_other_copy_leaves():
    books = engine(
        routes=[{"to": ["ris"], "translate": ["sex"]}, {"to": ["pacs"]}],
        tables={"sex": {"at": "PID-8", "rows": {"M": "M"}, "otherwise": "refuse"}},
    )
    _, (parcel,) = books.take(message(), "ehr", ALL, AT)
    assert parcel.copy.to == "pacs"
    (dead,) = books.copies.by("fate", DEAD)
    assert (dead.to, "no row for 'F'" in dead.reason) == ("ris", True)
    books.reload("sex", {"M": "M", "F": "F"})
    (again,) = books.replay(dead, "SW_RIS", {}, AT)
    assert (again.copy.control, parse(again.body)["PID-8"]) == ("C1", "F")
    assert books.copies[str(dead.number)].fate == REPLAYED


def test_a_corrected_letter_travels_under_a_control_id_of_its_own():
    books = engine()
    _, (ris, _) = books.take(message(), "ehr", ALL, AT)
    dead = books.decided(ris.copy, "AE", "AE: no", b"MSH|", AT)
    assert dead.fate == DEAD
    assert books.dead("C1") == dead
    (again,) = books.replay(dead, "SW_RIS", {"PID-8": "M"}, AT)
    assert parse(again.body)["PID-8"] == "M"
    assert parse(again.body).control == again.copy.control != "C1"
    assert books.decided(again.copy, "AA", "", b"MSH|", AT).fate == DELIVERED
    assert books.dead("C1") is None


def test_a_refusal_its_sender_was_told_is_handed_back():
    books = engine()
    _, (parcel,) = books.take(message("OMG^O19", ("ORC", {1: "NW"})), "ehr", ALL, AT)
    assert parcel.copy.fate == WAITING
    assert books.decided(parcel.copy, "AE", "AE: unknown procedure", b"MSH|", AT).fate == HANDED_BACK


@pytest.mark.parametrize(
    ("word", "tries", "again"),
    [
        ("lost", 1, True),
        ("timeout", 50, True),
        ("garbled", 1, True),
        ("AE", 2, True),
        ("AE", 3, False),
        ("CE", 1, True),
        ("AR", 1, False),
        ("CR", 1, False),
        ("refused", 1, False),
    ],
)
def test_the_answer_decides_whether_it_is_tried_again(word, tries, again):
    pause = EngineHabits().pause(word, tries, 3)
    assert (pause is not None) == again
    assert pause is None or 0 < pause <= 5


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"routes": {}}, "engine.routes: expected a list of routes"),
        ({"routes": [{"from": "ehr"}]}, "engine.routes[1].to: expected destinations, found none"),
        ({"routes": [{"to": ["ris"], "typ": "ADT"}]}, "did you mean 'type'"),
        ({"routes": [{"to": ["ris"], "reply": "receiver"}]}, "engine or destination"),
        ({"routes": [{"to": [], "reply": "destination"}]}, "nobody else could answer"),
        (
            {"routes": [{"to": ["ris"], "translate": ["sx"]}], "tables": {"sex": {"at": "PID-8"}}},
            "did you mean 'sex'",
        ),
        ({"routes": [{"to": ["ris"], "where": {"PID": "x"}}]}, "an HL7 path with segment and field"),
        ({"routes": [{"to": ["ris"], "normalise": {"drop": ["PID"]}}]}, "segments that can be missed"),
        ({"tables": {"sex": {"rows": {}}}}, "engine.tables.sex.at: expected the HL7 paths"),
        ({"tables": {"sex": {"at": "PID-8", "rows": {1: "F"}}}}, "put numbers in quotes"),
        ({"tables": {"sex": {"at": "PID-8", "otherwise": "refuze"}}}, "did you mean 'refuse'"),
        ({"tries": 0}, "engine.tries"),
        ({"within": True}, "engine.within"),
    ],
)
def test_settings_say_what_is_wrong_and_where(settings, text):
    with pytest.raises(BadInput) as told:
        Settings.read(settings, "engine")
    assert text in str(told.value)


def test_every_quirk_differs_from_the_habit_it_replaces():
    habits = EngineHabits()
    separators = parse(ZSEG).separators
    assert QUIRKS["queue.poison_blocks"].act(habits.pause, "AR", 9, 3) is not None
    assert QUIRKS["queue.no_retry_on_timeout"].act(habits.pause, "timeout", 1, 3) is None
    assert QUIRKS["queue.parallel_reorder"].act(habits.choose, 3) == 2
    assert QUIRKS["route.first_destination_only"].act(habits.destinations, ("a", "b")) == ("a",)
    damaged = QUIRKS["hl7.zseg_damage"].act(habits.segment, "ZAC|a^^c||d", separators)
    assert damaged == "ZAC|a^c|d"
    assert len(DEFAULT) == 10
