"""The same value is the same invention in one run and another in the next, and holds nothing of what it stands for."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from stepwedge.lab.recording.surrogates import Surrogates
from stepwedge.model.identifiers import PATIENT_PREFIX, is_synthetic_uid

ONE, OTHER = Surrogates(), Surrogates()
UIDS = st.from_regex(r"\A1\.[0-9]{1,9}(\.(0|[1-9][0-9]{0,9})){2,6}\Z")


@given(st.text(min_size=1).filter(str.strip))
def test_a_number_is_the_same_invention_in_one_run_and_another_in_the_next(value):
    assert ONE.identifier(value) == ONE.identifier(f" {value} ")
    assert ONE.identifier(value) != OTHER.identifier(value)
    assert ONE.identifier(value).startswith(PATIENT_PREFIX)


@given(st.lists(st.text(min_size=1, max_size=12).map(str.strip).filter(bool), unique=True, max_size=50))
def test_different_numbers_stay_different(values):
    assert len({ONE.identifier(one) for one in values}) == len(values)


@given(UIDS)
def test_a_uid_becomes_one_of_ours(uid):
    assert is_synthetic_uid(ONE.uid(uid))
    assert ONE.uid(uid) == ONE.uid(uid + "\0") != OTHER.uid(uid)
    assert len(ONE.uid(uid)) <= 64


def test_a_uid_of_the_standard_stays_and_one_that_only_looks_so_does_not():
    assert ONE.uid("1.2.840.10008.5.1.4.1.1.2") == "1.2.840.10008.5.1.4.1.1.2"
    assert is_synthetic_uid(ONE.uid("1.2.840.10008.4711"))


def test_a_name_is_the_same_person_however_it_is_cut():
    assert ONE.name("DOE JANE") == ONE.name("doe^jane^") != ONE.name("DOE JIM")
    assert any(ONE.name(f"N{at}") != OTHER.name(f"N{at}") for at in range(3))
    assert ONE.name(" ^ ") is None


@given(st.sampled_from(["MÜLLER ZOË", "金糸雀", "КАНАРЕЙКА"]))
def test_letters_outside_ascii_stay_outside(name):
    found = ONE.name(name).dicom()
    assert not found.isascii()
    found.encode("latin-1")
    assert name not in found


@given(st.dates(date(1890, 1, 1), date(2026, 10, 1)), st.text(min_size=1, max_size=9))
def test_a_birth_date_moves_and_never_out_of_a_life(born, patient):
    found = ONE.birth_date(f"{born:%Y%m%d}", patient)
    moved = date(int(found[:4]), int(found[4:6]), int(found[6:]))
    assert moved != born
    assert 1938 < moved.year <= 2100


def test_a_corrected_birth_date_stays_as_far_from_the_first_as_it_was():
    first, then = (ONE.birth_date(day, "4711") for day in ("19700101", "19700111"))
    parse = lambda text: date(int(text[:4]), int(text[4:6]), int(text[6:]))  # noqa: E731
    assert (parse(then) - parse(first)).days == 10
    assert ONE.birth_date("not a date", "4711") == ONE.birth_date("", "4711") == ""


def test_what_is_forgotten_cannot_be_invented_again():
    run = Surrogates(b"a secret")
    before = run.identifier("4711")
    assert Surrogates(b"a secret").identifier("4711") == before
    run.forget()
    assert run.identifier("4711") != before
