"""What the archive knows: patients, instances, expected procedures, commitments, exceptions. Pure.

An instance's bytes lie in a file; the state refers to them by a name made from their hash. Patients are never copied into
instances: the patient of an instance is found through its key and the chain of merges, so one change reaches every object.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stepwedge.model.identifiers import ISSUER
from stepwedge.sim.hearing import Heard
from stepwedge.sim.tables import State
from stepwedge.wire.matching import sortable

from .rejection import Rejection, readmitted
from .routing import Plan, Routed
from .steps import Performed
from .tiers import ONLINE, Place, Removal
from .ups import Workitem
from .ups_watching import Subscription

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from .habits import PacsHabits

CONFLICT = 0xC201
"""C-STORE failure of ours for a known SOP Instance UID with other content (PS3.4 table B.2-1 leaves Cxxx to the SCP)."""
REJECTED = 0xC203
"""C-STORE failure of ours for an instance that a rejection note withdrew, where the site wants it refused (RAD-66)."""
NO_SUCH_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119


@dataclass(frozen=True, slots=True)
class Person:
    """One patient record.

    Attributes:
        name: DICOM PN.
        merged_into: key of the surviving record, once this one was merged away.
        told: an ADT message spoke of this patient, so the record outranks what images say.
        changed: when the record was last changed, as DICOM DT.
    """

    id: str
    issuer: str = ISSUER
    name: str = ""
    birth_date: str = ""
    sex: str = ""
    merged_into: str = ""
    told: bool = False
    changed: str = ""

    @property
    def key(self) -> str:
        """The same ID from two issuers is two patients (ITI-30)."""
        return patient_key(self.id, self.issuer)


@dataclass(frozen=True, slots=True)
class Instance:
    """One stored SOP instance.

    Attributes:
        patient: key of the patient record it was filed under.
        file: generated name of the file that holds the data set as it came.
        content: hash over header and pixels that is the same in every uncompressed transfer syntax.
        header: the attributes queries may ask for, as Elements.
        sender: AE title or ``STOW-RS``.
        adopted: accession number of the order that was made for it afterwards; the file has none.
    """

    sop: str
    sop_class: str
    series: str
    study: str
    patient: str
    transfer_syntax: str
    file: str
    content: str
    header: dict[str, Any]
    sender: str = ""
    at: str = ""
    adopted: str = ""


@dataclass(frozen=True, slots=True)
class Study:
    """One study, made by its first instance; it belongs to the patient that instance named."""

    uid: str
    patient: str
    accession: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """One imaging procedure that the RIS announced (RAD-4) or changed (RAD-13).

    Attributes:
        control: order control code of the last message (HL7 table 0119).
        status: ``scheduled``, ``cancelled`` and so on, as ``model.order`` words them.
    """

    accession: str
    patient: str
    study: str = ""
    placer: str = ""
    filler: str = ""
    control: str = ""
    status: str = ""
    start: str = ""
    station: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """One entry of the exception list, for a person to decide on."""

    kind: str
    text: str
    at: str
    sop: str = ""
    study: str = ""
    patient: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """One instance that the archive does not answer for, with its Failure Reason (PS3.3 C.14.1.1)."""

    sop: str
    sop_class: str
    reason: int


@dataclass(frozen=True, slots=True)
class Commitment:
    """One storage commitment transaction; it exists until its result was delivered, and after.

    Attributes:
        requester: AE title to report to.
        committed: (SOP Class UID, SOP Instance UID) of each instance answered for.
        reported: ``same``, ``new`` or ``next``, the association the result went to; empty while it is owed.
    """

    transaction: str
    requester: str
    committed: tuple[tuple[str, str], ...] = ()
    failed: tuple[Failure, ...] = ()
    reported: str = ""


@dataclass(frozen=True, slots=True)
class Filing:
    """What becomes of one received instance: the C-STORE status and comment."""

    status: int = 0
    comment: str = ""
    fate: str = "stored"


def patient_key(number: str, issuer: str = "") -> str:
    """Return the key of a patient record; an ID without issuer belongs to the hospital."""
    return f"{number}^^^{issuer or ISSUER}"


def parts(value: str) -> list[str]:
    """Return the values of an attribute, as matching compares them."""
    return [part.strip() for part in value.split("\\")]


def folded(name: str) -> str:
    """Return a name without regard to case, so that names that match (PS3.4 C.2.2.2.1) are the same text."""
    return name.replace("\u0130", "i").replace("\u0131", "i").casefold()


def dates(instance: Instance) -> list[str]:
    """Return the study dates of an instance, for the index."""
    return [sortable("DA", one) for one in parts(str(instance.header.get("StudyDate", "")))]


class Archive(State):
    """The tables of the archive, and what changes them."""

    def __init__(
        self, seed: int, name: str, habits: PacsHabits, *, resend: str = "hide", plan: Plan | None = None
    ) -> None:
        super().__init__(seed, name)
        self.plan = plan or Plan()
        self.habits = habits
        self.resend = resend
        self.people = self.table("people", Person)
        self.people.index("merged", lambda person: [person.merged_into])
        self.people.index("id", lambda person: parts(person.id), ordered=True)
        self.people.index("name", lambda person: parts(folded(person.name)), ordered=True)
        self.heard = self.table("heard", Heard)
        self.studies = self.table("studies", Study)
        self.studies.index("patient", lambda study: [study.patient])
        self.studies.index("accession", lambda study: parts(study.accession), ordered=True)
        self.instances = self.table("instances", Instance)
        self.instances.index("study", lambda one: [one.study])
        self.instances.index("patient", lambda one: [one.patient])
        self.instances.index("date", dates, ordered=True)
        self.instances.index(
            "accession", lambda one: parts(str(one.header.get("AccessionNumber", ""))), ordered=True
        )
        self.instances.index("modality", lambda one: [str(one.header.get("Modality", ""))])
        self.expected = self.table("expected", Expected)
        self.expected.index("study", lambda expected: [expected.study])
        self.notes = self.table("notes", Note)
        self.commitments = self.table("commitments", Commitment)
        self.performed = self.table("performed", Performed)
        self.performed.index("sop", lambda step: step.sops)
        self.rejections = self.table("rejections", Rejection)
        self.places = self.table("places", Place)
        self.removals = self.table("removals", Removal)
        self.workitems = self.table("workitems", Workitem)
        self.subscriptions = self.table("subscriptions", Subscription)
        self.routed = self.table("routed", Routed)
        self.routed.index("sop", lambda one: [one.sop])

    # --- patients

    def survivor(self, key: str) -> Person | None:
        """Return the record that stands for a patient now, through any chain of merges."""
        person = self.people.get(key)
        seen = {key}
        while person and person.merged_into and person.merged_into not in seen:
            seen.add(person.merged_into)
            person = self.people.get(person.merged_into)
        return person

    def aliases(self, key: str) -> list[str]:
        """Return the key and every key merged into it, directly or not."""
        found = [key]
        for one in found:
            found.extend(prior.key for prior in self.people.by("merged", one) if prior.key not in found)
        return found

    def update(self, number: str, issuer: str, values: Mapping[str, str | None], at: str = "") -> Person:
        """Register or update a patient; a value of None was absent from the message and leaves what is there.

        ``at`` is now, as DICOM DT.
        """
        key = patient_key(number, issuer)
        old = self.people.get(key) or Person(number, issuer or ISSUER)
        known = {name: value for name, value in values.items() if value is not None}
        person = replace(old, told=True, **known)
        if person != old:
            person = replace(person, changed=at)
        self.people[key] = person
        return person

    def merge(self, survivor: str, prior: str, at: str = "") -> str:
        """Merge one patient into another (ITI-30 3.30.6.4.4) and return what is wrong with that, if anything.

        ``at`` is now, as DICOM DT. An unknown prior is no error and changes nothing; the caller has registered the survivor already.
        """
        if (gone := self.people.get(prior)) is None or gone.merged_into == survivor:
            return ""
        into = self.survivor(survivor)
        circle = into is None or prior in {survivor, into.key}
        if self.habits.refuses_circle(circle):
            return f"patient {prior} cannot be merged into itself"
        if not circle and (gone.merged_into or (into and into.key != survivor)):
            return f"patient {prior if gone.merged_into else survivor} was merged away before"
        if self.habits.merges():
            self.people[prior] = replace(self.people[prior], merged_into=survivor, changed=at)
        return ""

    # --- instances

    def file(self, instance: Instance, at: str) -> Filing:
        """Take one instance into the index, or say why not; the same instance twice is one instance (IDM-04, IDM-05)."""
        if not readmitted(self, instance.sop) and self.hidden(instance.sop) and self.resend == "refuse":
            return Filing(REJECTED, f"SOP Instance {instance.sop[-12:]} was rejected", "refused")
        if (known := self.instances.get(instance.sop)) is None:
            return self._add(instance)
        decision = self.habits.duplicate(known.content == instance.content)
        if decision == "refuse":
            text = f"SOP Instance {instance.sop[-12:]} is here already" + (
                "" if known.content == instance.content else " with other content"
            )
            self.note("duplicate", text, at, instance)
            return Filing(CONFLICT, text, "refused")
        if decision == "replace":
            return self._add(instance)
        if decision == "delete":
            del self.instances[instance.sop]
        return Filing(fate="same")

    def _add(self, instance: Instance) -> Filing:
        if not self.habits.keeps(instance):
            return Filing(fate="dropped")
        if instance.patient not in self.people:
            header = instance.header
            number, _, issuer = instance.patient.partition("^^^")
            self.people[instance.patient] = Person(
                number,
                issuer,
                str(header.get("PatientName", "")),
                str(header.get("PatientBirthDate", "")),
                str(header.get("PatientSex", "")),
            )
        if (study := self.studies.get(instance.study)) is None:
            accession = str(instance.header.get("AccessionNumber", ""))
            self.studies[instance.study] = Study(instance.study, instance.patient, accession, instance.at)
        elif self.survivor(study.patient) != self.survivor(instance.patient):
            self.note("two patients", "the study holds images of another patient", instance.at, instance)
        self.instances[instance.sop] = instance
        return Filing()

    def adopt(self, study: str, accession: str, patient: str) -> None:
        """Give a study that nobody had ordered its order and its patient (IHE PIR); one that has an order keeps it."""
        known = self.studies.get(study)
        if known is None or known.accession or not self.habits.adopts(accession):
            return
        self.studies[study] = replace(known, accession=accession, patient=patient)
        for instance in self.instances.by("study", study):
            self.instances[instance.sop] = replace(
                instance,
                patient=patient,
                header={**instance.header, "AccessionNumber": accession},
                adopted=accession,
            )

    def note(self, kind: str, text: str, at: str, instance: Instance) -> None:
        """Put something on the exception list."""
        number = str(self.next("note"))
        self.notes[number] = Note(kind, text, at, instance.sop, instance.study, instance.patient)

    def exceptions(self) -> Iterator[Note]:
        """Yield the exception list: what was refused, and every study that no known order asked for."""
        yield from self.notes.values()
        for study in self.studies.values():
            if study.accession not in self.expected:
                text = f"no order with accession number {study.accession!r} was announced"
                yield Note("unscheduled", text, study.at, study=study.uid, patient=study.patient)

    def person_of(self, instance: Instance) -> Person:
        """Return the patient an instance belongs to now."""
        number, _, issuer = instance.patient.partition("^^^")
        return self.survivor(instance.patient) or Person(number, issuer)

    def corrections(self, instance: Instance) -> dict[str, Any]:
        """Return the patient attributes (PS3.3 C.7.1.1) in which the object differs from the patient record."""
        person = self.person_of(instance)
        if not person.told and person.key == instance.patient:
            return {}
        now = {
            "PatientName": person.name,
            "PatientID": person.id,
            "PatientBirthDate": person.birth_date,
            "PatientSex": person.sex,
        }
        if "IssuerOfPatientID" in instance.header or person.key != instance.patient:
            now["IssuerOfPatientID"] = person.issuer
        changed = {key: value for key, value in now.items() if instance.header.get(key, "") != value}
        return changed | ({"AccessionNumber": instance.adopted} if instance.adopted else {})

    def corrected_at(self, instance: Instance) -> str:
        """Return when the patient record of an instance was last changed, as DICOM DT; "" when nobody said so."""
        own = self.people.get(instance.patient)
        return max(self.person_of(instance).changed, own.changed if own else "")

    # --- availability

    def hidden(self, sop: str) -> bool:
        """Tell whether a rejection note took an instance out of sight."""
        rejection = self.rejections.get(sop)
        return rejection is not None and rejection.hidden

    def shown(self, study: str) -> list[Instance]:
        """Return the instances of a study that queries show and retrievals hand out."""
        instances = self.instances.by("study", study)
        if not self.rejections:
            return instances
        return [one for one in instances if not self.hidden(one.sop)]

    def remaining(self, study: str) -> list[Instance]:
        """Return the instances of a study that are no rejection notes."""
        notes = {one.note for one in self.rejections.values()}
        return [one for one in self.instances.by("study", study) if one.sop not in notes]

    def held(self, study: str) -> bool:
        """Tell whether a legal hold keeps a study from being deleted."""
        place = self.places.get(study)
        return place is not None and place.hold

    def tier(self, study: str) -> str:
        """Return where the instances of a study lie."""
        place = self.places.get(study)
        return place.tier if place is not None else ONLINE

    def orphans(self, gone: Iterable[Instance]) -> list[str]:
        """Return the files that no instance needs any more, now that these are gone."""
        needed = {one.file for one in self.instances.values()}
        return [one.file for one in gone if one.file not in needed]

    # --- storage commitment

    def promise(
        self, transaction: str, requester: str, references: Iterable[tuple[str, str]], lost: frozenset[str]
    ) -> Commitment:
        """Decide on a request for storage commitment.

        Args:
            transaction: Transaction UID.
            requester: AE title of the requester.
            references: (SOP Class UID, SOP Instance UID) of each instance asked for.
            lost: SOP Instance UIDs whose file is not where it should be.
        """
        committed: list[tuple[str, str]] = []
        failed: list[Failure] = []
        for sop_class, sop in references:
            here = self.instances.get(sop)
            if here is None or sop in lost:
                failed.append(Failure(sop, sop_class, NO_SUCH_INSTANCE))
            elif here.sop_class != sop_class:
                failed.append(Failure(sop, sop_class, CLASS_INSTANCE_CONFLICT))
            else:
                committed.append((sop_class, sop))
        reported = self.habits.failures(tuple(failed))
        believed = [(one.sop_class, one.sop) for one in failed if one not in reported]
        made = Commitment(transaction, requester, (*committed, *believed), reported)
        self.commitments[transaction] = made
        return made

    def reported(self, transaction: str, association: str) -> None:
        """Note that a result is delivered on the ``same`` association, or handed over for a ``new`` one."""
        self.commitments[transaction] = replace(self.commitments[transaction], reported=association)
