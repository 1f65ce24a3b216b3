"""Narrowing finds all that matching finds: compared with a search through everything."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepwedge import kit
from stepwedge.sim.tables import Table

pacs = kit.load_simulator("pacs")
from stepwedge_simulators.pacs import narrowing, query  # noqa: E402  loaded from its folder just above
from stepwedge_simulators.pacs.habits import PacsHabits  # noqa: E402
from stepwedge_simulators.pacs.state import Archive, Instance, folded, patient_key  # noqa: E402

TEXT = st.text("aAbß\u0130\u0131iIſsK\u212ak^ ", max_size=4)
IDS = st.sampled_from(["SW1", "SW12", "sw1", "SW2", "", " SW3"])
DATES = st.sampled_from(["20260101", "2026.01.01", "20260115", "20261231", "2026", "", "20270101\\20260101"])
MODALITIES = st.sampled_from(["CT", "MR", "SR", ""])
ROWS = st.lists(
    st.tuples(st.integers(0, 4), IDS, TEXT, IDS, DATES, MODALITIES), max_size=8
)  # study, patient, name, accession, date, modality
RANGES = st.one_of(
    DATES, st.sampled_from(["20260101-20260131", "-20260115", "20260115-", "-", "2026-2027", "202601-202602"])
)
WILD = st.tuples(st.one_of(TEXT, IDS), st.sampled_from(["", "*", "?", "*?"])).map("".join)
KEYS = st.fixed_dictionaries(
    {},
    optional={
        "PatientName": WILD,
        "PatientID": WILD,
        "AccessionNumber": WILD,
        "StudyDate": RANGES,
        "ModalitiesInStudy": st.one_of(MODALITIES, st.sampled_from(["C*", "*", "?R"])),
        "Modality": MODALITIES,
        "StudyInstanceUID": st.sampled_from(["", "1.0", "1.1\\1.2", "1.9"]),
        "SOPInstanceUID": st.sampled_from(["", "9.0", "9.1\\9.3"]),
    },
)


def filled(rows):
    archive = Archive(1, "pacs", PacsHabits())
    for number, (study, patient, name, accession, date, modality) in enumerate(rows):
        header = {
            "PatientName": name,
            "AccessionNumber": accession,
            "StudyDate": date,
            "Modality": modality,
            "StudyInstanceUID": f"1.{study}",
            "SeriesInstanceUID": f"2.{number}",
            "SOPInstanceUID": f"9.{number}",
        }
        key = patient_key(patient)
        archive.file(
            Instance(f"9.{number}", "1.2", f"2.{number}", f"1.{study}", key, "", "", str(number), header),
            "now",
        )
    return archive


def found(archive, level, keys):
    return sorted(map(repr, query.select(archive, level, keys)))


@settings(max_examples=300, deadline=None)
@example(
    rows=[(0, "SW1", "", "SW1", "20260101", "CT"), (0, "SW1", "", "SW12", "20260101", "CT")],
    keys={"AccessionNumber": "SW12"},
    level="IMAGE",
)
@example(
    rows=[(0, "SW1", "", "SW1", "20260101", "CT"), (0, "SW12", "", "SW1", "20260101", "CT")],
    keys={"PatientID": "SW12"},
    level="IMAGE",
)
@given(rows=ROWS, keys=KEYS, level=st.sampled_from(["PATIENT", "STUDY", "SERIES", "IMAGE"]))
def test_narrowing_loses_nothing(rows, keys, level):
    archive = filled(rows)
    with (
        mock.patch.object(narrowing, "studies", lambda archive, _: list(archive.studies)),
        mock.patch.object(narrowing, "people", lambda archive, _: archive.people.values()),
    ):
        everything = found(archive, level, keys)
    assert found(archive, level, keys) == everything


@pytest.mark.parametrize(
    ("keys", "most"),
    [
        ({"PatientName": "NAME7*"}, 11),
        ({"PatientName": "name77^x"}, 1),
        ({"PatientID": "SW77"}, 1),
        ({"PatientID": "SW7?"}, 11),
        ({"AccessionNumber": "A77"}, 1),
        ({"StudyDate": "20260107"}, 4),
        ({"StudyDate": "20260107-20260108"}, 8),
        ({"ModalitiesInStudy": "MR"}, 1),
        ({"ModalitiesInStudy": "CT", "StudyDate": "20260107"}, 4),
    ],
)
def test_only_what_the_narrowest_key_can_mean_is_looked_at(keys, most):
    archive = filled(
        [
            (n, f"SW{n}", f"Name{n}^X", f"A{n}", f"202601{n % 28 + 1:02}", "CT" if n else "MR")
            for n in range(100)
        ]
    )
    candidates = narrowing.studies(archive, keys)
    assert 0 < len(candidates) <= most
    assert query.select(archive, "STUDY", keys)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.one_of(st.none(), st.text("xyz", max_size=2)))))
def test_an_ordered_index_is_in_order_whatever_changes(changes):
    table = Table("t", str)
    table.index("text", lambda row: [row, row[:1]], ordered=True)
    for number, (key, row) in enumerate(changes):
        if row is not None:
            table[key] = row
        elif key in table:
            del table[key]
        if number % 3 == 0:
            table.between("text", "", "zzz")
    values = sorted({value for row in table.values() for value in (row, row[:1])})
    assert table.between("text", "", "zzz") == values
    assert table.between("text", "x", "y") == [value for value in values if "x" <= value <= "y"]


@given(TEXT, TEXT)
def test_names_that_match_fold_to_the_same_text(one, other):
    from stepwedge.wire.matching import matches

    if one.strip() and matches("PN", one, other):
        assert folded(one.strip()) == folded(other.strip())
