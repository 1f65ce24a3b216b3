"""The archive's FHIR R4 door: ImagingStudy and Patient, made from the index at the moment they are asked for.

Nothing is kept twice, so counts and patients are always those of the index; there are therefore no older versions to read.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from stepwedge.model.identifiers import ISSUER
from stepwedge.sim.fhir.door import FhirDoor
from stepwedge.sim.fhir.offer import VIEWS, Offer
from stepwedge.sim.fhir.service import Service
from stepwedge.sim.fhir.shelf import CREATED, Version
from stepwedge.sim.resources import naming
from stepwedge.sim.resources.imaging import archived_patient, imaging_study
from stepwedge.sim.resources.people import patient_reference
from stepwedge.wire import fhir, fhir_matching

from .state import patient_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from stepwedge.sim.bench import Bench
    from stepwedge.wire.fhir import Resource
    from stepwedge.wire.fhir_search import Search

    from .state import Archive, Instance, Person, Study


class Studies:
    """The index as a source of resources."""

    def __init__(self, archive: Archive, bench: Bench) -> None:
        self._archive = archive
        self._began = bench.clock.now().astimezone().isoformat(timespec="milliseconds")

    def latest(self, kind: str, id_: str) -> Version | None:
        """Return a study by its UID, a patient by the ID the hospital gave."""
        if kind == "ImagingStudy":
            study = self._archive.studies.get(id_)
            return self._study(study) if study else None
        own = self._archive.people.get(patient_key(id_))
        found = own or next((one for one in self._archive.people.values() if _logical_id(one) == id_), None)
        return self._person(found) if found else None

    def version(self, kind: str, id_: str, number: int) -> Version | None:
        """There are no older versions."""
        found = self.latest(kind, id_)
        return found if found and found.number == number else None

    def history(self, kind: str, id_: str = "") -> Sequence[Version]:
        """There are no older versions."""
        found = self.latest(kind, id_) if id_ else None
        return [found] if found else []

    def candidates(self, search: Search) -> Iterable[Version]:
        """Return what may match, by the narrowest index."""
        if search.kind == "Patient":
            return (self._person(one) for one in self._people(search))
        return (found for one in self._studies(search) if (found := self._study(one)) is not None)

    def _people(self, search: Search) -> Iterable[Person]:
        if wanted := fhir_matching.identifiers(search):
            return [one for value in wanted for one in self._archive.people.by("id", value)]
        return self._archive.people.values()

    def _studies(self, search: Search) -> Iterable[Study]:
        archive = self._archive
        if wanted := fhir_matching.identifiers(search):
            uids = [value.removeprefix("urn:oid:") for value in wanted]
            named = [study for uid in uids if (study := archive.studies.get(uid)) is not None]
            return [*named, *(one for value in wanted for one in archive.studies.by("accession", value))]
        for criterion in search.criteria:
            if criterion.parameter.name in {"patient", "subject"} and criterion.modifier in {
                "",
                "identifier",
            }:
                numbers = [value.rpartition("|")[2].rpartition("/")[2] for value in criterion.values]
                return list(self._of_patients(numbers))
        return archive.studies.values()

    def _of_patients(self, numbers: Iterable[str]) -> Iterator[Study]:
        for number in numbers:
            for person in self._archive.people.by("id", number):
                for key in self._archive.aliases(person.key):
                    yield from self._archive.studies.by("patient", key)

    def _study(self, study: Study) -> Version | None:
        archive, habits = self._archive, self._archive.habits
        instances = archive.instances.by("study", study.uid)
        if not instances:
            return None
        shown = habits.published(instances)
        expected = archive.expected.get(study.accession)
        modality = {one.series: str(one.header.get("Modality", "")) for one in instances}
        resource = imaging_study(
            study.uid,
            [_header(one) for one in shown],
            subject=_subject(archive.person_of(instances[0])),
            accession=habits.published_accession(study.accession),
            placer=expected.placer if expected else "",
            modalities=habits.modalities(list(modality.values())),
        )
        return self._version(resource, max(one.at for one in instances))

    def _person(self, person: Person) -> Version:
        gone = person.merged_into.partition("^^^")[0]
        told = archived_patient(
            _logical_id(person), person.id, person.name, person.birth_date, person.sex, gone
        )
        if person.issuer != ISSUER:
            told["identifier"][0]["assigner"] = {"display": person.issuer}
        return self._version(told, "")

    def _version(self, resource: Resource, at: str) -> Version:
        try:
            changed = datetime.fromisoformat(at).astimezone().isoformat(timespec="milliseconds")
        except ValueError:
            changed = self._began
        whole = {**resource, "meta": {"lastUpdated": changed}}
        return Version(
            resource["resourceType"], resource["id"], 0, changed, CREATED, fhir.write(whole).decode()
        )


def _logical_id(person: Person) -> str:
    """Return the ID of the hospital's patients; with its issuer for others, since two issuers may give the same one."""
    return naming.logical_id(person.id if person.issuer == ISSUER else person.key)


def _subject(person: Person) -> Resource:
    return {**patient_reference(person.id), "reference": f"Patient/{_logical_id(person)}"}


def _header(one: Instance) -> dict[str, object]:
    return {
        **one.header,
        "SOPInstanceUID": one.sop,
        "SOPClassUID": one.sop_class,
        "SeriesInstanceUID": one.series,
    }


def open_door(bench: Bench, archive: Archive) -> FhirDoor:
    """Return the archive's FHIR door."""
    offers = [Offer("ImagingStudy", VIEWS), Offer("Patient", VIEWS)]
    return FhirDoor(bench, Service(bench, archive, Studies(archive, bench), offers))
