"""References: what they read, and that nothing else is ever read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge.scenario.bindings import Reference, Unbound, literal, references, resolve

SCOPE = {
    "order": {
        "accession": "SW1",
        "steps": [{"code": "A"}, {"code": "B"}],
        "count": 2,
        "done": False,
        "none": None,
    },
    "text": "abc",
    "entry": {"AccessionNumber": "SW1", "00400100": [{"Modality": "CT"}], "7": "seven"},
}

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("$order.accession", "SW1"),
        ("$order.count", 2),
        ("$order.done", False),
        ("$order.none", None),
        ("$order.steps.1.code", "B"),
        ("$order.steps", [{"code": "A"}, {"code": "B"}]),
        ("$entry.AccessionNumber", "SW1"),
        ("$entry.00400100.0.Modality", "CT"),
        ("$entry.7", "seven"),
        ("$(text)", "abc"),
        ("no. $(order.count) of $(order.accession)", "no. 2 of SW1"),
        ("$(order.done) $(order.none)|", "false |"),
        ("costs $$5", "costs $5"),
        ("$$(text)", "$(text)"),
        ("plain", "plain"),
        ("110514^Incorrect worklist entry selected^DCM", "110514^Incorrect worklist entry selected^DCM"),
        ({"a": ["$text", {"b": "$order.count"}]}, {"a": ["abc", {"b": 2}]}),
        (5, 5),
    ],
)
def test_what_is_read(written, value):
    assert resolve(written, SCOPE) == value


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("$ordr", "nothing is bound as $ordr; did you mean 'order'?"),
        ("$order.acession", "$order has no 'acession', only accession, steps, count, done, none"),
        ("$order.steps.2", "$order.steps has 2 items, there is no .2 (the first is .0)"),
        ("$order.steps.first", "$order.steps is a list, it has no part 'first'"),
        ("$text.upper", "$text is 'abc', it has no part 'upper'"),
        ("$order.count.__class__", "$order.count is 2, it has no part '__class__'"),
        ("$order.__class__", "$order has no '__class__'"),
        ("x $(nobody.x) y", "nothing is bound as $nobody"),
    ],
)
def test_what_is_missing(written, said):
    with pytest.raises(Unbound) as missing:
        resolve(written, SCOPE)
    assert str(missing.value).startswith(said)
    assert missing.value.bound == ("nothing is bound" not in said)


@pytest.mark.parametrize(
    "written", ["$", "a $b", "$a b", "$(a", "$(a.)", "${a}", "$A", "$a..b", "{{ a }}", "$a$b", "$(a b)", "$5"]
)
def test_what_is_no_reference_is_told(written):
    assert any(isinstance(found, str) for _, found in references(written))


def test_where_references_stand():
    found = dict(references({"with": {"order": "$order", "notes": ["x", "$(text) and $(order.count)"]}}))
    assert found[("with", "order")] == Reference("order")
    assert ("with", "notes", 1) in found


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("order.accession", ""),
        ("order.steps.0.code", ""),
        ("order.acession", "$order has no 'acession', only accession, steps; did you mean 'accession'?"),
        ("unknown.anything", ""),
        ("nobody", "nothing is bound as $nobody"),
    ],
)
def test_what_can_be_known_before_anything_runs(reference, said):
    shapes = {"order": {"accession": None, "steps": None}, "unknown": None}
    assert Reference.of(reference).missing(shapes).startswith(said)
    assert bool(Reference.of(reference).missing(shapes)) == bool(said)


@given(plain_values)
def test_literals_come_back_unchanged(value):
    assert resolve(literal(value), {}) == value


@given(st.text(alphabet="$(){}.ab1 _"))
def test_a_text_without_complaint_resolves_or_is_unbound(text):
    if any(isinstance(found, str) for _, found in references(text)):
        return
    scope = {"a": {"b": "x"}, "b": "y"}
    try:
        value = resolve(text, scope)
    except Unbound:
        return
    assert isinstance(value, str | dict)


def test_an_object_with_get_is_read_by_name():
    class View:
        def get(self, key):
            return {"PID-3.1": "SW1", "patient": "SW1"}.get(key)

    assert resolve("$found.patient", {"found": View()}) == "SW1"
    with pytest.raises(Unbound):
        resolve("$found.nothing", {"found": View()})
