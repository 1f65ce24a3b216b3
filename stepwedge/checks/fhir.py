"""What a FHIR server shows: resources and their versions, studies that agree with the archive, refusals of what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors import asking, asking_fhir
from stepwedge.actors.words import Parameter, did_you_mean
from stepwedge.checks import matchers
from stepwedge.checks.check import Candidate, Look, Question, Vocabulary, check, look, only
from stepwedge.checks.difference import Difference
from stepwedge.checks.messages import COUNT
from stepwedge.errors import BadInput
from stepwedge.sim.resources import naming
from stepwedge.wire import fhir, fhir_validate

if TYPE_CHECKING:
    from stepwedge.wire.fhir import Resource

TYPE: Final = Parameter("type", required=True, says="resource type, such as DiagnosticReport")
NUMBERS: Final = ("MR", "PLAC", "FILL", "ACSN", "VN")
"""Types of identifiers (HL7 table 0203) that can be named in brackets: ``identifier[ACSN]``."""


@dataclass(frozen=True, slots=True)
class View:
    """A resource whose elements are named by dotted paths, ``identifier[ACSN]`` by the type of an identifier."""

    resource: Resource

    def get(self, key: str, /) -> Any:
        """Return the value at a path: one by itself, several as a list, None when there is none."""
        name, bracket, rest = key.partition("[")
        if bracket:
            return naming.typed(self.resource, rest.rstrip("]"), name) or None
        found = fhir.at(self.resource, key)
        return found[0] if len(found) == 1 else found or None


def _path_complaint(key: str) -> str:
    name, bracket, rest = key.partition("[")
    if bracket and rest.rstrip("]") not in NUMBERS:
        return f"{rest!r} is none of {', '.join(NUMBERS)}{did_you_mean(rest, NUMBERS)}"
    good = all(part.isalnum() and part[:1].islower() for part in name.split("."))
    return "" if good else f"{key!r} is no path in a resource, such as code.coding.code"


PATHS: Final = Vocabulary(
    "paths in the resource, such as code.coding.code or identifier[ACSN]", _path_complaint
)
PARAMETERS: Final = Vocabulary("FHIR search parameters of the type, with their modifiers", lambda _key: "")


def _kind(question: Question) -> str:
    kind = str(question.args["type"])
    if kind not in fhir_validate.resource_types():
        known = sorted(fhir_validate.resource_types())
        near = did_you_mean(kind, known).strip(" ;")
        raise BadInput("with.type", f"one of {', '.join(known)}", kind, near)
    return kind


def _asked(question: Question) -> tuple[list[Candidate], list[Difference]]:
    """Search as the step says; every answer must be valid FHIR of the type."""
    kind = _kind(question)
    keys = {key: str(value) for key, value in question.where.items()}
    asked = asking_fhir.resources(question.cast, question.from_, kind, keys)
    strange = [
        Difference(f"{kind}/{one.get('id')}: {issue.expression}", "valid FHIR R4", issue.text)
        for one in asked.answers
        for issue in fhir_validate.problems(one)
    ]
    shown = [Candidate(f"{kind}/{one.get('id')}", View(one), asked.evidence) for one in asked.answers]
    return shown, strange


@check(
    "fhir.resource",
    says="the system shows it as FHIR resource",
    ihe="FHIR R4",
    observes="wire",
    place="from",
    where=PARAMETERS,
    is_=PATHS,
    takes=(TYPE, COUNT),
)
def resource(question: Question) -> Look:
    """Search a resource type; ``is`` names elements by path. What comes must be valid FHIR R4."""
    candidates, strange = _asked(question)
    found = look(candidates, {}, question.is_, what="resources", count=question.args.get("count"))
    return Look(found.matched, [*found.differences, *strange], found.closest, found.seen, found.evidence)


@check(
    "fhir.absent",
    says="the system shows no such FHIR resource",
    ihe="FHIR R4",
    observes="wire",
    place="from",
    where=PARAMETERS,
    takes=(TYPE,),
)
def absent(question: Question) -> Look:
    """Search a resource type; nothing may come."""
    candidates, strange = _asked(question)
    left = [Difference(_kind(question), "no such resource", one.label) for one in candidates]
    evidence = [number for one in candidates for number in one.evidence]
    gone = [] if left else [Candidate("nothing found", None)]
    return Look(gone, [*left, *strange], left[0].found if left else "", len(candidates), evidence)


@check(
    "fhir.versions",
    says="every version of the FHIR resource can still be read",
    ihe="FHIR R4",
    observes="wire",
    place="from",
    where=PARAMETERS,
    is_=PATHS,
    takes=(TYPE,),
)
def versions(question: Question) -> Look:
    """Search one resource and ask for its history; a path in ``is`` is a list over all versions, oldest first, repeats once."""
    candidates, strange = _asked(question)
    if len(candidates) != 1:
        return Look(differences=[Difference(_kind(question), "exactly one resource", str(len(candidates)))])
    one = candidates[0].value.resource
    asked = asking_fhir.versions(question.cast, question.from_, _kind(question), str(one["id"]))
    told = [View(each) for each in reversed(asked.answers)]
    found = {key: _once([view.get(key) for view in told]) for key in question.is_ or {}}
    differences = matchers.compare("", question.is_ or {}, found) + strange
    label = f"{candidates[0].label}, {len(told)} versions: {matchers.show(found)}"
    shown = Candidate(label, found, asked.evidence)
    return Look([] if differences else [shown], differences, label, len(told), list(asked.evidence))


def _once(values: list[Any]) -> list[Any]:
    """Return the values without those that only repeat the one before."""
    return [value for place, value in enumerate(values) if place == 0 or value != values[place - 1]]


@check(
    "fhir.study_agrees",
    says="the archive shows the same study as FHIR ImagingStudy and over DICOM",
    ihe="FHIR R4, RAD-14",
    observes="wire",
    place="from",
    doors={"qido-rs": "qido-rs", "c-find": "c-find"},
    where=only("study"),
    chosen_by=("study",),
    requires=("fhir-imaging-study",),
)
def study_agrees(question: Question) -> Look:
    """Compare ImagingStudy with what queries show: patient, accession number, modalities, series, instances, counts."""
    uid = str(question.where["study"])
    cast, pacs = question.cast, question.from_
    asked = asking_fhir.resources(cast, pacs, "ImagingStudy", {"identifier": f"urn:dicom:uid|urn:oid:{uid}"})
    if len(asked.answers) != 1:
        return Look(differences=[Difference(f"ImagingStudy {uid}", "exactly one", str(len(asked.answers)))])
    (told,) = asked.answers
    differences = [
        Difference(issue.expression, "valid FHIR R4", issue.text) for issue in fhir_validate.problems(told)
    ]
    evidence = list(asked.evidence)
    for door in question.through or ("qido-rs",):
        studies = asking.studies(cast, pacs, door, {"StudyInstanceUID": uid})
        instances = asking.instances(cast, pacs, door, uid)
        evidence += [*studies.evidence, *instances.evidence]
        for row in studies.answers[:1]:
            differences += [each.below(door) for each in _compared(told, row, instances.answers)]
        if len(studies.answers) != 1:
            differences.append(Difference(door, f"one study {uid}", str(len(studies.answers))))
    label = f"ImagingStudy/{told.get('id')}: {told.get('numberOfInstances')} instances"
    found = Candidate(label, View(told), tuple(evidence))
    return Look([] if differences else [found], differences, label, 1, evidence)


def _compared(told: Resource, row: dict[str, Any], instances: list[dict[str, Any]]) -> list[Difference]:
    series = {str(one.get("SeriesInstanceUID")) for one in instances}
    sops = {str(one.get("SOPInstanceUID")) for one in instances}
    modalities = row.get("ModalitiesInStudy", "")
    listed = modalities if isinstance(modalities, list) else str(modalities).split("\\")
    subject = (told.get("subject") or {}).get("identifier") or {}
    pairs = {
        "subject": (str(row.get("PatientID", "")), str(subject.get("value", ""))),
        "identifier[ACSN]": (str(row.get("AccessionNumber", "")), naming.typed(told, "ACSN")),
        "modality": (sorted(filter(None, listed)), sorted(fhir.at(told, "modality.code"))),
        "numberOfSeries": (len(series), told.get("numberOfSeries")),
        "numberOfInstances": (len(sops), told.get("numberOfInstances")),
        "series.uid": (sorted(series), sorted(fhir.at(told, "series.uid"))),
        "series.instance.uid": (sorted(sops), sorted(fhir.at(told, "series.instance.uid"))),
    }
    return [
        Difference(path, matchers.show(wanted), matchers.show(shown))
        for path, (wanted, shown) in pairs.items()
        if wanted != shown
    ]


@check(
    "fhir.refused",
    says="the system refuses a resource that is wrong, and says where",
    ihe="FHIR R4",
    observes="wire",
    place="from",
    is_=only("status", "expression", "code"),
    takes=(
        Parameter("resource", "record", required=True, says="the resource that is offered to be created"),
    ),
)
def refused(question: Question) -> Look:
    """Offer a resource with POST; it must be answered 4xx with an OperationOutcome."""
    offered = question.args["resource"]
    reply, number = asking_fhir.offer(question.cast, question.from_, offered)
    issues = [View(one) for one in fhir.at(reply.resource, "issue")]
    told = {
        "status": reply.status,
        "expression": [text for one in issues for text in fhir.at(one.resource, "expression")],
        "code": [text for one in issues for text in fhir.at(one.resource, "code")],
    }
    differences = []
    if not 400 <= reply.status < 500:  # noqa: PLR2004 - RFC 9110: the client's error
        differences.append(Difference("status", "a refusal (400 to 499)", str(reply.status)))
    elif reply.resource.get("resourceType") != "OperationOutcome":
        found = str(reply.resource.get("resourceType", "nothing"))
        differences.append(Difference("answer", "an OperationOutcome", found))
    for key, wanted in (question.is_ or {}).items():
        value = told[key]
        fits = any(
            not matchers.compare(key, wanted, one) for one in (value if isinstance(value, list) else [value])
        )
        if not fits:
            differences.append(Difference(key, matchers.describe(wanted), matchers.show(value)))
    label = f"HTTP {reply.status}: {fhir.diagnostics(reply.resource)}"
    shown = Candidate(label, told, (number,))
    final = bool(differences) and 200 <= reply.status < 300  # noqa: PLR2004 - it was taken, no later look undoes that
    return Look([] if differences else [shown], differences, label, 1, [number], final=final)
