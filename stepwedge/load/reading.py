"""Reading back after a load, through doors that the load did not use: what came in by DIMSE is read by DICOMweb, and the other way.

Orders are read over FHIR, or from the worklist where there is no FHIR; reports as the ward reads them. A few questions run at a time.
What has no door here is left out and said; what has one and cannot be read is trouble, so that nobody takes it for good.
"""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from stepwedge.actors import asking
from stepwedge.errors import Failed, LinkLost, Refused, StepwedgeError
from stepwedge.load.reconcile import ImageSeen, OrderSeen, ReportSeen, Shown, StudySeen, step_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stepwedge.actors.cast import Cast, Player
    from stepwedge.load.ledger import Account, Kind
    from stepwedge.load.plan import Plan
    from stepwedge.wire.dicomweb import DicomWeb
    from stepwedge.wire.elements import Elements
    from stepwedge.wire.fhir import Resource

A = TypeVar("A")
C = TypeVar("C")
AT_ONCE: Final = 4
"""Questions that run at a time: a system under test is asked as by four diligent people, not flooded once more."""
OPENING: Final = 60.0
"""Seconds for retrieving whole studies, before patience scales it; sampled studies first, the others as far as time allows."""
STOW: Final = "STOW-RS"


class Archive(Protocol):
    """One door of an archive to read by. It is asked from several threads."""

    name: str

    def studies(self, patient: str) -> list[Elements]:
        """Return the studies of a patient."""
        ...

    def instances(self, study: str) -> list[Elements]:
        """Return the instances of a study as a query lists them."""
        ...

    def open(self, study: str) -> list[asking.Retrieved]:
        """Return the whole study."""
        ...


@dataclass
class Dimse:
    """C-FIND and C-GET; each question is an association of its own."""

    cast: Cast
    actor: str
    name: str = "C-FIND and C-GET"

    def studies(self, patient: str) -> list[Elements]:
        """Find the studies of a patient."""
        return asking.studies(self.cast, self.actor, "c-find", {"PatientID": patient}).answers

    def instances(self, study: str) -> list[Elements]:
        """Find the instances of a study, series by series."""
        return asking.instances(self.cast, self.actor, "c-find", study).answers

    def open(self, study: str) -> list[asking.Retrieved]:
        """Get a study."""
        return asking.retrieve(self.cast, self.actor, "c-get", study)


class Web:
    """QIDO-RS and WADO-RS, one connection for each thread."""

    name = "QIDO-RS and WADO-RS"

    def __init__(self, cast: Cast, actor: str) -> None:
        """Ask the DICOMweb door of an actor."""
        from stepwedge.wire.dicomweb import DicomWeb

        url = cast[actor].address.web or ""
        context = cast.context(tls=url.startswith("https:"))
        bearer = cast.bearer(url)
        seconds = asking.ASK_SECONDS * cast.patience
        self._client = _PerThread(lambda: DicomWeb(url, timeout=seconds, context=context, bearer=bearer))

    def studies(self, patient: str) -> list[Elements]:
        """Search the studies of a patient."""
        return self._twice(
            lambda web: web.qido("studies", {"PatientID": patient}, fields=("AccessionNumber",))
        )

    def instances(self, study: str) -> list[Elements]:
        """Search the instances of a study."""
        return self._twice(lambda web: web.qido("instances", study=study))

    def open(self, study: str) -> list[asking.Retrieved]:
        """Retrieve a study."""
        return [asking.open_part10(one) for one in self._twice(lambda web: web.wado(study))]

    def _twice(self, ask: Callable[[DicomWeb], A]) -> A:
        """Ask, and once more when the server hung up an idle connection at that moment (RFC 9112 section 9.3.1: a GET may be)."""
        try:
            return ask(self._client())
        except LinkLost:
            return ask(self._client())


class _PerThread(Generic[C]):
    """A client for each thread that asks."""

    def __init__(self, make: Callable[[], C]) -> None:
        self._make, self._local = make, threading.local()

    def __call__(self) -> C:
        if not hasattr(self._local, "client"):
            self._local.client = self._make()
        client: C = self._local.client
        return client


def read(account: Account, cast: Cast, plan: Plan, *, opening: float = OPENING) -> Shown:
    """Ask the systems for everything that the ledger speaks of; ``opening`` seconds go to retrieving studies."""
    reader = _Reader(account, cast, plan, Shown())
    with ThreadPoolExecutor(AT_ONCE, "reading back") as pool:
        reader.studies(pool, opening * cast.patience)
        reader.orders(pool)
        reader.reports(pool)
        reader.performed(pool)
    return reader.shown


@dataclass
class _Reader:
    account: Account
    cast: Cast
    plan: Plan
    shown: Shown

    def _each(
        self, pool: ThreadPoolExecutor, kind: str, ids: Iterable[str], ask: Callable[[str], None]
    ) -> None:
        """Ask about each; one that cannot be read is trouble, and the others go on."""

        def asked(identity: str) -> None:
            try:
                ask(identity)
            except StepwedgeError as trouble:
                self.shown.trouble[kind, identity] = str(trouble)

        list(pool.map(asked, ids))

    def _player(self, role: str) -> Player | None:
        return next((one for one in self.cast if one.role == role), None)

    def _ids(self, kind: Kind) -> list[str]:
        return sorted({one.id for one in self.account.of(kind)})

    # -- the archive ----------------------------------------------------------------------------------------------------------------

    def studies(self, pool: ThreadPoolExecutor, opening: float) -> None:
        """List every patient's studies and every study's images, and open as many as time allows."""
        entries = self.account.of("study")
        sent = {
            str(one.keys.get("study")): str(one.keys.get("door", "")) for one in self.account.of("instance")
        }
        by = {one.id: self._archive(sent.get(one.id, "")) for one in entries}
        by |= {study: self._archive(door) for study, door in sent.items() if study not in by}
        first = next(iter(by.values()), None)
        if first is None:
            if by:
                self.shown.left_out["study"] = "the lab has no archive that can be read"
            return
        for archive in dict.fromkeys(one.name for one in by.values() if one):
            self.shown.doors["study"] = " or ".join(filter(None, (self.shown.doors.get("study"), archive)))

        def of_patient(patient: str) -> None:
            self.shown.studies[patient] = [_study(one) for one in first.studies(patient)]

        def of_study(study: str) -> None:
            found = [str(one.get("SOPInstanceUID")) for one in _archive(by[study]).instances(study)]
            self.shown.listed[study] = Counter(found)

        def open_study(study: str) -> None:
            if time.monotonic() < until and self.shown.listed.get(study):
                self.shown.opened[study] = _opened(_archive(by[study]).open(study))

        self._each(pool, "study", self._patients(), of_patient)
        self._each(pool, "study", sorted(by), of_study)
        until = time.monotonic() + opening
        self._each(pool, "study", self._in_turn(sorted(by)), open_study)

    def _patients(self) -> list[str]:
        """Return every number under which a study of the run may lie."""
        named = {str(one.keys["patient"]) for one in self.account.of("study") if one.keys.get("patient")}
        merged = {
            str(one.keys[key])
            for one in self.account.of("merge")
            for key in ("prior", "survivor")
            if one.keys.get(key)
        }
        return sorted(named | merged)

    def _in_turn(self, studies: list[str]) -> list[str]:
        """Return studies as chance has it: as many are opened as time allows."""
        Random(self.plan.seed).shuffle(studies)  # noqa: S311 - not a secret
        return studies

    def _archive(self, door: str) -> Archive | None:
        """Return the door of the archive that the load did not use for a study; the same one when it has no other."""
        pacs = self._player("pacs")
        if pacs is None:
            return None
        if not hasattr(self, "_doors"):
            web = pacs.address.web and self.cast.claimed("qido-rs") and self.cast.claimed("wado-rs")
            dimse = pacs.address.dicom and self.cast.claimed("c-find") and self.cast.claimed("c-get")
            self._doors: dict[str, Archive] = {}
            self._doors |= {"web": Web(self.cast, pacs.name)} if web else {}
            self._doors |= {"dimse": Dimse(self.cast, pacs.name)} if dimse else {}
        wanted = "dimse" if door == STOW else "web"
        return self._doors.get(wanted) or next(iter(self._doors.values()), None)

    # -- the others -----------------------------------------------------------------------------------------------------------------

    def orders(self, pool: ThreadPoolExecutor) -> None:
        """Ask the order filler for every order."""
        placers = self._ids("order")
        ris = self._player("ris")
        if not placers:
            return
        if ris is not None and ris.address.fhir:
            self.shown.doors["order"] = "FHIR ServiceRequest"
            search = self._fhir(ris)

            def over_fhir(placer: str) -> None:
                self.shown.orders[placer] = [_order(placer, one) for one in search("ServiceRequest", placer)]

            self._each(pool, "order", placers, over_fhir)
        else:
            self.shown.left_out["order"] = (
                "the order filler has no FHIR door; its worklist forgets what is done"
            )

    def reports(self, pool: ThreadPoolExecutor) -> None:
        """Ask for every report as the ward reads it."""
        accessions = sorted(
            {str(one.keys["accession"]) for one in self.account.of("report") if one.keys.get("accession")}
        )
        ehr = self._player("ehr")
        if not accessions:
            return
        if ehr is not None and ehr.address.fhir:
            self.shown.doors["report"] = "FHIR DiagnosticReport"
            search = self._fhir(ehr)

            def over_fhir(accession: str) -> None:
                self.shown.reports[accession] = [
                    _report(accession, one) for one in search("DiagnosticReport", accession)
                ]

            self._each(pool, "report", accessions, over_fhir)
        else:
            self.shown.left_out["report"] = "nobody here shows what the ward reads: the EHR has no FHIR door"

    def performed(self, pool: ThreadPoolExecutor) -> None:
        """Ask a simulated RIS for every performed procedure step; a real one has no door that shows them."""
        steps = sorted({step_of(one) for one in self.account.of("mpps")})
        ris = self._player("ris")
        if not steps:
            return
        if ris is None or ris.admin is None:
            self.shown.left_out["mpps"] = "a real RIS has no door that shows performed procedure steps"
            return
        from stepwedge.actors.cast import Admin

        url = ris.admin.url
        admin = _PerThread(lambda: Admin(url))
        self.shown.doors["mpps"] = "the books of the simulated RIS"

        def of_step(uid: str) -> None:
            try:
                row = admin().ask("performed", {"mpps": uid})
            except (Refused, Failed):
                row = {}
            self.shown.performed[uid] = [str(row["status"])] if row.get("status") else []

        self._each(pool, "mpps", steps, of_step)

    def _fhir(self, player: Player) -> Callable[[str, str], list[Resource]]:
        """Return a search by identifier, on one connection for each thread."""
        from stepwedge.wire.fhir_client import Fhir

        url = player.address.fhir or ""
        context = self.cast.context(tls=url.startswith("https:"))
        bearer = self.cast.bearer(url)
        seconds = asking.ASK_SECONDS * self.cast.patience
        client = _PerThread(lambda: Fhir(url, timeout=seconds, context=context, bearer=bearer))
        return lambda kind, identifier: client().search(kind, {"identifier": identifier})


def _archive(one: Archive | None) -> Archive:
    if one is None:
        raise Failed("the archive has no door to read by")
    return one


def _study(found: Elements) -> StudySeen:
    return StudySeen(
        *(str(found.get(key, "")) for key in ("StudyInstanceUID", "PatientID", "AccessionNumber"))
    )


def _opened(found: Iterable[asking.Retrieved]) -> dict[str, list[ImageSeen]]:
    opened: dict[str, list[ImageSeen]] = {}
    for one in found:
        seen = ImageSeen(
            one.pixels, str(one.header.get("PatientID", "")), str(one.header.get("AccessionNumber", ""))
        )
        opened.setdefault(one.sop, []).append(seen)
    return opened


def _typed(resource: Resource, code: str) -> str:
    """Return an identifier by its type of HL7 table 0203."""
    for one in resource.get("identifier") or ():
        if any(coding.get("code") == code for coding in (one.get("type") or {}).get("coding") or ()):
            return str(one.get("value", ""))
    return ""


def _subject(resource: Resource) -> str:
    return str(((resource.get("subject") or {}).get("identifier") or {}).get("value", ""))


def _order(placer: str, resource: Resource) -> OrderSeen:
    return OrderSeen(placer, _typed(resource, "ACSN"), _subject(resource))


def _report(accession: str, resource: Resource) -> ReportSeen:
    forms = (one.get("data") for one in resource.get("presentedForm") or ())
    texts = [base64.b64decode(data).decode("utf-8", "replace") for data in forms if data]
    text = "\n".join(texts) or str(resource.get("conclusion") or "")
    return ReportSeen(accession, _subject(resource), text, str(resource.get("status", "")))
