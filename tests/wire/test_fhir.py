"""FHIR R4 resources: JSON with limits, the table of definitions against published models, validation, searching."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwedge.wire import fhir, fhir_matching, fhir_search
from stepwedge.wire.fhir import FhirError
from stepwedge.wire.fhir_validate import definitions, problems, resource_types

BAD_JSON = [
    (b"", 400),
    (b"nonsense", 400),
    (b"[]", 400),
    (b'{"a":1,"a":2}', 400),
    (b'{"a":NaN}', 400),
    (b'{"a":"\\ud800"}', 400),
    (b'{"a":"\x00"}', 400),
    (b"[" * 100_000, 400),
    (b'{"a":' * 60 + b"1" + b"}" * 60, 400),
    (b'{"a":' + b"9" * 5000 + b"}", 400),
    (b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Patient>&e;</Patient>', 415),
    (b" " * (fhir.LARGEST + 1), 413),
    (b'{"a":"\xff"}', 400),
]


@pytest.mark.parametrize(("raw", "status"), BAD_JSON)
def test_json_that_cannot_be_taken_is_refused_with_its_status(raw, status):
    with pytest.raises(FhirError) as refused:
        fhir.read(raw)
    assert refused.value.status == status


def test_decimals_keep_their_precision():
    raw = b'{"value":1.00,"other":0.10,"whole":7}'
    assert fhir.write(fhir.read(raw)) == raw


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_the_reader_fail_otherwise(raw):
    try:
        found = fhir.read(raw)
    except FhirError:
        return
    assert fhir.read(fhir.write(found)) == found


def _models():
    for name in sorted(resource_types()):
        module = importlib.import_module(f"fhir.resources.R4B.{name.lower()}")
        yield name, getattr(module, name)


def test_every_element_is_one_of_the_published_models():
    """R4B (4.3.0) has the same elements as R4 for every type of the table."""
    for name, model in _models():
        published = {
            field.alias or key
            for key, field in model.model_fields.items()
            if (field.json_schema_extra or {}).get("element_property")
        }
        common = {
            "id",
            "implicitRules",
            "language",
            "meta",
            "contained",
            "extension",
            "modifierExtension",
            "text",
        }
        ours = definitions()[name]
        plain = {one for one in ours if not one.endswith("[x]")}
        choices = tuple(one.removesuffix("[x]") for one in ours if one.endswith("[x]"))
        assert plain <= published, name
        left = {one for one in published - common - plain if not one.startswith(choices or ("\0",))}
        assert not left, name


@pytest.mark.parametrize(
    ("resource", "code", "expression"),
    [
        ({"resourceType": "Patient", "birthDate": "2000-15-31"}, "value", "Patient.birthDate"),
        ({"resourceType": "Patient", "birthDate": "2019-02-29"}, "value", "Patient.birthDate"),
        ({"resourceType": "Patient", "gender": "F"}, "code-invalid", "Patient.gender"),
        ({"resourceType": "Patient", "name": {"family": "A"}}, "structure", "Patient.name"),
        ({"resourceType": "Patient", "active": "yes"}, "value", "Patient.active"),
        ({"resourceType": "Patient", "id": "a/b"}, "value", "Patient.id"),
        ({"resourceType": "Patient", "id": "a" * 65}, "value", "Patient.id"),
        ({"resourceType": "Task", "status": "requested"}, "required", "Task.intent"),
        (
            {"resourceType": "Patient", "deceasedBoolean": True, "deceasedDateTime": "2020"},
            "structure",
            "Patient.deceasedDateTime",
        ),
        (
            {"resourceType": "Patient", "managingOrganization": {"reference": "Patient/1"}},
            "value",
            "Patient.managingOrganization.reference",
        ),
        (
            {"resourceType": "Patient", "managingOrganization": {"reference": "javascript:alert(1)"}},
            "value",
            "Patient.managingOrganization.reference",
        ),
        (
            {"resourceType": "Patient", "managingOrganization": {"reference": "#gone"}},
            "invalid",
            "Patient.managingOrganization.reference",
        ),
        (
            {"resourceType": "Patient", "implicitRules": "http://x.example"},
            "not-supported",
            "Patient.implicitRules",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_place(resource, code, expression):
    assert (code, expression) in [(one.code, one.expression) for one in problems(resource)]


@pytest.mark.parametrize("birth_date", ["1950", "1950-03", "1950-03-01"])
def test_partial_dates_are_dates(birth_date):
    assert problems({"resourceType": "Patient", "birthDate": birth_date}) == []


def _found(kind, resource, *pairs):
    return fhir_matching.matches(fhir_search.parse(kind, pairs, strict=True), resource)


PERSON = {
    "resourceType": "Patient",
    "id": "SW1",
    "identifier": [{"system": "urn:x", "value": "SW1"}],
    "name": [{"family": "Müller", "given": ["Zoë"]}],
    "birthDate": "1950-03",
    "active": True,
}


@pytest.mark.parametrize(
    ("name", "value", "matches"),
    [
        ("identifier", "SW1", True),
        ("identifier", "urn:x|SW1", True),
        ("identifier", "urn:y|SW1", False),
        ("identifier", "SW2,SW1", True),
        ("family", "mul", True),
        ("family:exact", "müller", False),
        ("family:exact", "Müller", True),
        ("family:contains", "LLE", True),
        ("gender:missing", "true", True),
        ("active:not", "true", False),
        ("birthdate", "1950", True),
        ("birthdate", "1950-03-01", False),
        ("birthdate", "ge1950-03-15", True),
        ("birthdate", "lt1950", False),
        ("birthdate", "ap1950-03-31", True),
        ("_id", "SW1", True),
    ],
)
def test_search_parameters(name, value, matches):
    assert _found("Patient", PERSON, (name, value)) is matches


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nonsense", "1"),
        ("birthdate", "xx1950"),
        ("birthdate", "1950-13"),
        ("family:below", "a"),
        ("_count", "-1"),
        ("_count", "many"),
        ("_sort", "nonsense"),
        ("_include", "Patient:family"),
        ("identifier", ""),
        ("family", "a" * 2000),
    ],
)
def test_a_search_that_cannot_be_answered_as_asked_is_an_error(name, value):
    with pytest.raises(FhirError) as refused:
        fhir_search.parse("Patient", [(name, value)], strict=True)
    assert refused.value.status == 400


def test_a_page_has_a_bound():
    assert fhir_search.parse("Patient", [("_count", "1000000000")]).count == fhir_search.LARGEST_PAGE
