"""The scenario language as models: what a scenario and a flow may contain.

These models are also the JSON Schema that editors use (``scenarios/scenario.schema.json``). What needs more than one
place of a file to judge - words, bindings, flows - is checked in :mod:`stepwedge.scenario.load`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema

LANGUAGE: Final = 1
KINDS: Final = ("given", "do", "expect", "never", "fault", "lift")
WITHIN: Final = 10.0
FOR: Final = 2.0
LONGEST: Final = 3600.0

_DURATION: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|min)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "min": 60.0}


def duration(text: object) -> float:
    """Return the seconds of a duration such as ``500ms``, ``5s`` or ``2min``."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds <= LONGEST:
        raise ValueError("a duration such as 500ms, 5s or 2min, above 0 and at most 60min")
    return seconds


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


NAME: Final = r"^[a-z][a-z0-9_]{0,63}$"
SLUG: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
WORD: Final = r"^\$?[a-z][a-z0-9_-]*\.[a-z][a-z0-9_]*$"
CHECK: Final = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?$"
REFERENCE: Final = r"^\$[a-z][A-Za-z0-9_.]*$"
EDGE: Final = r"^(\$[a-z][A-Za-z0-9_.]*|[a-z][a-z0-9_]*(->[a-z][a-z0-9_]*)?)$"
CONDITION: Final = r"^(not )?\$[a-z][A-Za-z0-9_.]*$"
Seconds = Annotated[
    float,
    BeforeValidator(duration),
    WithJsonSchema({"type": "string", "pattern": _DURATION.pattern, "examples": ["5s", "500ms", "2min"]}),
]
Name = Annotated[str, Field(pattern=NAME)]
Slug = Annotated[str, Field(pattern=SLUG, max_length=80)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], BeforeValidator(_listed), Field(min_length=1)]
Reference = Annotated[str, Field(pattern=REFERENCE)]
Count = Annotated[int, Field(ge=0, le=1 << 32)]
Condition = Annotated[str, Field(pattern=CONDITION)]
Word = Annotated[
    str,
    Field(
        pattern=WORD, description="actor.word, $name.word where each variant names the actor, or flow.name"
    ),
]
CheckName = Annotated[str, Field(pattern=CHECK, description="What is looked at, such as worklist.entry")]


class Model(BaseModel):
    """Refuses unknown keys and never turns one type into another."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Step(Model):
    """What every step may say."""

    title: Text | None = Field(None, description="A plain sentence for the report, instead of the word's own")
    with_: dict[str, Any] = Field({}, alias="with", description="Arguments")
    when: Condition | None = Field(
        None, description="Take the step only when this holds: $scan, or not $scan"
    )
    requires: Texts = Field(
        [], description="Claims of the system under test without which the step is left out"
    )
    ihe: Text | None = Field(None, description="The IHE transaction, such as RAD-5")
    at: Text | None = Field(None, description="The actor where it is observed")
    from_: Text | None = Field(None, alias="from", description="The actor that is asked")
    to: Text | None = Field(None, description="The actor it goes to")
    through: Texts = Field([], description="The doors to ask through (c-find, qido-rs); all must agree")


class Act(Step):
    """A step that makes something happen."""

    as_: Name | dict[Name, Name] | None = Field(
        None, alias="as", description="The name of the result, or result key: name"
    )
    reply: dict[str, Any] | None = Field(None, description="Matchers for the answer, such as {outcome: AE}")


class Given(Act):
    """Arrange; trouble here is the lab's, not the system's under test."""

    given: Word


class Do(Act):
    """Act."""

    do: Word


class Watch(Step):
    """A step that looks."""

    where: dict[str, Any] = Field({}, description="Which one is meant")


class Expect(Watch):
    """Must become true within a time."""

    expect: CheckName
    is_: Any = Field(None, alias="is", description="What must hold: a value, a matcher, or a mapping of them")
    within: Seconds = WITHIN
    as_: Name | None = Field(None, alias="as", description="The name of what was found")


class Never(Watch):
    """Must not happen: proven by a fence where the channel has one, else watched for a time."""

    never: CheckName
    is_: Any = Field(None, alias="is", description="What must not hold")
    for_: Seconds = Field(FOR, alias="for")


class After(Model):
    """Where on each connection a fault acts: behind so many PDUs or frames of its side, and so many bytes of what follows."""

    pdu: Count | Reference = Field(0, description="Whole DICOM PDUs")
    frame: Count | Reference = Field(0, description="Whole MLLP frames")
    bytes: Annotated[int, Field(ge=-1, le=1 << 32)] | Reference = Field(
        0, description="Bytes of what follows; -1 is all but the last one of the next PDU or frame"
    )
    connection: Count | Reference = Field(
        0, description="Only on this one of the connections on which something is said, from 1"
    )


class FaultText(Model):
    """Trouble on a link between two actors, put there by a tap; or of a whole system that has a process or container of its own."""

    on: Annotated[
        str, Field(pattern=EDGE, description="A link, such as ris->pacs, or a whole system, such as pacs")
    ]
    kind: Text = Field(description="What happens: stepwedge explain faults lists them")
    door: Text | None = Field(
        None, description="hl7, dicom, worklist, web, fhir or syslog; all that are tapped when left out"
    )
    side: Text | None = Field(
        None, description="request (from the caller) or answer; the kind's own when left out"
    )
    after: After | None = Field(None, description="Where it acts on each connection; at once when left out")
    for_: Seconds | None = Field(None, alias="for", description="How long; until it is lifted when left out")
    times: int = Field(0, ge=0, le=1000, description="How often at most; 0 is on every connection")
    repeat: bool = Field(
        default=False,
        description="While it is on, repeat acts whose outcome nobody knows, as their words allow",
    )


class Fault(Step):
    """Let trouble begin; it ends by a lift, after its time, or with the case."""

    fault: FaultText
    as_: Name | None = Field(None, alias="as", description="The name it is lifted by")


class Lift(Step):
    """Let trouble end; a fault that did not act makes the case inconclusive."""

    lift: Reference = Field(description="The fault: $name of its as")
    as_: Name | None = Field(None, alias="as", description="The name of what it did: count, acts")


def kind_of(step: Any) -> str | None:
    """Return which of the kinds a step is, for pydantic."""
    return next((kind for kind in KINDS if kind in step), None) if isinstance(step, dict) else None


AnyStep = Annotated[
    Union[  # noqa: UP007 - a union of annotated members reads better on lines of its own
        Annotated[Given, Tag("given")],
        Annotated[Do, Tag("do")],
        Annotated[Expect, Tag("expect")],
        Annotated[Never, Tag("never")],
        Annotated[Fault, Tag("fault")],
        Annotated[Lift, Tag("lift")],
    ],
    Discriminator(kind_of),
]


class Scenario(Model):
    """One scenario: one file."""

    language: Literal[1] = Field(1, description="The version of this language")
    scenario: Slug
    catalogue: Texts = Field(
        [], description="Entries of the scenario catalogue that this covers, such as CAN-02"
    )
    title: Text
    story: Text = Field(description="What happens, and why it matters, for a reader who knows the ward")
    severity: Literal["blocker", "critical", "normal", "minor", "trivial"] = "normal"
    tags: Annotated[list[Slug], Field()] = []
    concern: Text | None = Field(None, description="The acceptance concern it belongs to")
    ihe: Texts = Field([], description="Profiles or transactions beyond those of the steps")
    requires: Texts = Field([], description="Claims without which the scenario is skipped")
    variants: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=200)] = Field(
        [], description="One run each; id and any further names"
    )
    steps: Annotated[list[AnyStep], Field(min_length=1)]


class FlowParameter(Model):
    """One parameter of a flow; without a default it must be given."""

    says: Text
    default: Any = None


class Flow(Model):
    """A run of steps that scenarios share."""

    language: Literal[1] = 1
    flow: Name
    title: Text
    parameters: dict[Name, FlowParameter] = {}
    gives: dict[Name, Reference] = {}
    steps: Annotated[list[AnyStep], Field(min_length=1)]


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario file."""
    schema = Scenario.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stepwedge scenario",
        **schema,
    }


if __name__ == "__main__":
    import json
    import sys

    json.dump(json_schema(), sys.stdout, indent=1)
    sys.stdout.write("\n")
