"""Matchers: what holds, what differs, and what can never hold against nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge.checks.difference import Difference
from stepwedge.checks.matchers import compare, describe, missing, problems

HOLDS = [
    ("CT", "CT"),
    (3, "3"),
    (3, "3.0"),
    ("3", 3),
    (1.5, "1.50"),
    (True, True),
    ("CT", ["CT"]),
    (["DERIVED", "SECONDARY"], "DERIVED\\SECONDARY"),
    ([1, 2], [1, 2]),
    ({"one_of": ["CA", "OC"]}, "OC"),
    ({"one_of": [{"matches": "C."}, "OC"]}, "CA"),
    ({"not": "CA"}, "SC"),
    ({"not": {"one_of": ["CA", "OC"]}}, "SC"),
    ({"not": {"absent": True}}, "SC"),
    ({"matches": "20261124.*"}, "202611240930"),
    ({"matches": "(?s)a.*b"}, "a\nb"),
    ({"kind": "uid"}, "2.25.184093201773465019386403297655810417063"),
    ({"kind": "date"}, "20261124"),
    ({"kind": "date"}, "2026-11-24"),
    ({"kind": "time"}, "0930"),
    ({"kind": "time"}, "093015.123456"),
    ({"kind": "text"}, "x"),
    ({"kind": "number"}, "-1.5"),
    ({"between": [1, 10]}, "9"),
    ({"between": ["20261124", "20261127"]}, "20261125"),
    ({"absent": True}, None),
    ({"absent": True}, ""),
    ({"absent": True}, []),
    ({"absent": False}, "x"),
    ({"approx": 10}, "10.000001"),
    ({"approx": {"value": 1, "within": 0.5}}, 1.4),
    ({"same_as": {"a": 1}}, {"a": 1}),
    ({"same_as": "x"}, "x"),
    ({"Modality": "CT"}, {"Modality": "CT", "PatientID": "SW1"}),
    ({"Modality": "CT"}, [{"Modality": "MR"}, {"Modality": "CT"}]),
    ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": "1"}}}),
    ({"a": {"absent": True}}, {}),
    ({"a": {"absent": True}}, None),
    (None, None),
    ({}, {"anything": 1}),
]
DIFFERS = [
    ("CT", "MR"),
    ("CT", "ct"),
    ("CT", None),
    ("CT", ""),
    (3, "x"),
    (3, None),
    (0, ""),
    (0, None),
    (0, False),
    (1, True),
    (False, None),
    ("00123", "123"),
    ("CT", ["CT", "SR"]),
    (["A"], ["A", "B"]),
    (["A", "B"], ["B", "A"]),
    ([], ["A"]),
    ({"one_of": ["CA", "OC"]}, "SC"),
    ({"one_of": [None, "CA"]}, None),
    ({"not": "CA"}, "CA"),
    ({"not": "CA"}, None),
    ({"not": "CA"}, ""),
    ({"not": {"absent": True}}, None),
    ({"matches": "20261124"}, "202611240930"),
    ({"matches": ".*"}, None),
    ({"matches": ".*"}, ""),
    ({"kind": "uid"}, "1.02.3"),
    ({"kind": "uid"}, "1." + "2" * 64),
    ({"kind": "uid"}, None),
    ({"kind": "date"}, "20260230"),
    ({"kind": "time"}, "2561"),
    ({"kind": "text"}, "   "),
    ({"kind": "number"}, "1,5"),
    ({"kind": "number"}, "NaN"),
    ({"between": [1, 10]}, "11"),
    ({"between": [1, 10]}, None),
    ({"absent": True}, "x"),
    ({"absent": False}, ""),
    ({"approx": 10}, "10.1"),
    ({"approx": 10}, None),
    ({"approx": 10}, "ten"),
    ({"same_as": {"a": 1}}, {"a": 1, "b": 2}),
    ({"same_as": ""}, ""),
    ({"same_as": None}, None),
    ({"Modality": "CT"}, {}),
    ({"Modality": "CT"}, []),
    ({"Modality": "CT"}, None),
    ({"Modality": "CT", "a": 1}, [{"Modality": "CT"}, {"a": 1}]),
    ({"a": {"b": 1}}, {"a": "text"}),
]


@pytest.mark.parametrize(("spec", "value"), HOLDS, ids=map(str, range(len(HOLDS))))
def test_holds(spec, value):
    assert compare("x", spec, value) == []


@pytest.mark.parametrize(("spec", "value"), DIFFERS, ids=map(str, range(len(DIFFERS))))
def test_differs(spec, value):
    found = compare("x", spec, value)
    assert found
    assert all(each.path.startswith("x") and each.expected for each in found)


def test_numbers_and_text_that_looks_like_one_compare_by_value_but_text_and_text_by_letter():
    assert compare("", 123, "00123") == []
    assert compare("", "123", "00123") == [Difference("", "123", "00123")]


def test_path_names_the_place_inside():
    spec = {"ScheduledProcedureStepSequence": {"Modality": "CT"}}
    found = compare("entry", spec, {"ScheduledProcedureStepSequence": [{"Modality": "MR"}]})
    assert found == [Difference("entry.ScheduledProcedureStepSequence.Modality", "CT", "MR")]


def test_of_a_sequence_the_nearest_item_is_shown():
    found = compare("", {"a": 1, "b": 2}, [{"a": 9, "b": 9}, {"a": 1, "b": 3}])
    assert found == [Difference("b", "2", "3")]


def test_expected_reads_like_a_sentence():
    assert describe({"one_of": ["CA", "OC", "DC"]}) == "one of CA, OC, DC"
    assert describe({"not": {"one_of": ["CA"]}}) == "not one of CA"
    assert describe({"between": [1, 3]}) == "1 to 3"
    assert describe({"type": "ORM^O01", "control": {"absent": True}}) == "type = ORM^O01 · control = nothing"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"control": {"oneof": ["CA"]}}, "did you mean 'one_of'"),
        ({"one_of": "CA"}, "list"),
        ({"one_of": []}, "something in it"),
        ({"kind": "guid"}, "uid, date, time, text, number"),
        ({"matches": "("}, "regular expression"),
        ({"between": [1]}, "lowest"),
        ({"absent": "yes"}, "true or false"),
        ({"approx": "many"}, "number"),
        ({"a": {"one_of": ["x"], "not": "y"}}, "cannot stand beside"),
        ({"one_of": [{"kind": "guid"}]}, "unknown kind"),
        ({"not": {"kind": "guid"}}, "unknown kind"),
        ([{"kind": "guid"}], "unknown kind"),
    ],
)
def test_what_can_never_be_compared_is_said_when_the_file_is_checked(spec, words):
    assert any(words in text for _, text in problems(spec))


@pytest.mark.parametrize(
    "spec", [{"one_of": "$codes"}, {"between": ["$low", 3]}, {"approx": "$x"}, {"PatientID": "$p.id"}]
)
def test_values_bound_later_are_not_judged_early(spec):
    assert list(problems(spec)) == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(spec=VALUES, value=VALUES)
def test_never_raises_on_what_a_peer_may_send(spec, value):
    if not list(problems(spec)):
        compare("x", spec, value)


@given(value=VALUES)
def test_nothing_never_satisfies_a_matcher_but_absent(value):
    for spec in (
        {"not": value},
        {"one_of": [value]},
        {"same_as": value},
        {"kind": "text"},
        {"matches": ".*"},
    ):
        if not (isinstance(value, dict) and set(value) & {"absent", "not"}):
            for nothing in (None, "", [], {}):
                assert compare("x", spec, nothing)


@given(value=VALUES.filter(lambda value: not missing(value)))
def test_a_value_is_the_same_as_itself(value):
    assert compare("x", {"same_as": value}, value) == []
