"""What the scanner does when told: worklist, storage, commitment; see also :mod:`.exams` and :mod:`.acquisition`."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput, LinkLost, LocalProtocolError, Refused, WireError
from stepwedge.sim import phantoms
from stepwedge.sim.charsets import texts
from stepwedge.sim.files import Files
from stepwedge.sim.web_client import Web
from stepwedge.wire import dicomjson, multipart, part10
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode, misrepresented, tag_of
from stepwedge.wire.pixels import NAMES, convert
from stepwedge.wire.results import Instance
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE, VERIFICATION, WORKLIST

from .state import STEP, Picture, Shelf, Transaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case
    from stepwedge.wire.dimse_asyncio import Association
    from stepwedge.wire.results import Answers

    from .dimse import Console
    from .network import Network
    from .settings import Settings
    from .state import Scanner

Elements = dict[str, Any]
Args = dict[str, Any]

STEP_KEYS = {
    "Modality": "",
    "ScheduledStationAETitle": "",
    "ScheduledProcedureStepStartDate": "",
    "ScheduledProcedureStepStartTime": "",
    "ScheduledPerformingPhysicianName": "",
    "ScheduledProcedureStepDescription": "",
    "ScheduledStationName": "",
    "ScheduledProcedureStepLocation": "",
    "ScheduledProtocolCodeSequence": [],
    "PreMedication": "",
    "ScheduledProcedureStepID": "",
    "ScheduledProcedureStepStatus": "",
}
RETURN_KEYS: Elements = {
    # IHE RAD TF-2 table 4.5-1: return keys of the modality worklist query
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "ReferencedStudySequence": [],
    "ReferencedPatientSequence": [],
    "PatientName": "",
    "PatientID": "",
    "IssuerOfPatientID": "",
    "PatientBirthDate": "",
    "PatientSex": "",
    "PatientWeight": "",
    "ReasonForTheRequestedProcedure": "",
    "RequestedProcedureComments": "",
    "MedicalAlerts": "",
    "Allergies": "",
    "PregnancyStatus": "",
    "PatientState": "",
    "StudyInstanceUID": "",
    "RequestingPhysician": "",
    "RequestedProcedureDescription": "",
    "RequestedProcedureCodeSequence": [],
    "AdmissionID": "",
    "IssuerOfAdmissionIDSequence": [],
    "CurrentPatientLocation": "",
    "RequestedProcedureID": "",
    "RequestedProcedurePriority": "",
    "PatientTransportArrangements": "",
    "PlacerOrderNumberImagingServiceRequest": "",
    "FillerOrderNumberImagingServiceRequest": "",
}


CONNECTIONS = 8
"""Associations that one word opens at a time."""


def worklist_query(keys: Mapping[str, Any], station: str, today: str, modality: str = "CT") -> Elements:
    """Return the C-FIND identifier: with keys the patient based query, without the broad query (RAD-5, 4.5.4.1)."""
    given = dict(keys) or {
        "Modality": modality,
        "ScheduledStationAETitle": station,
        "ScheduledProcedureStepStartDate": today,
    }
    for key in given:
        try:
            tag_of(key)
        except LocalProtocolError as error:
            raise BadInput("fetch_worklist", "DICOM keywords (PS3.6)", key, str(error)) from error
    step = STEP_KEYS | {key: value for key, value in given.items() if key in STEP_KEYS}
    return RETURN_KEYS | {key: value for key, value in given.items() if key not in STEP_KEYS} | {STEP: [step]}


def _query_key(args: Mapping[str, Any]) -> str:
    return repr(sorted(args.items()))


def _shown(shelf: Shelf) -> Args:
    """Return a worklist as the console shows it."""
    entries = list(shelf.entries)
    told = {"entries": entries, "count": len(entries), "fetched": shelf.fetched}
    return told | ({"entry": entries[0]} if entries else {})


class Acts:
    """The words of a scanner."""

    def __init__(
        self, bench: Bench, scanner: Scanner, console: Console, settings: Settings, network: Network
    ) -> None:
        self._bench = bench
        self._scanner = scanner
        self._console = console
        self._settings = settings
        self._network = network
        self._disk = Files(bench.folder / "disk")
        self._web = Web(bench)

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {
            "fetch_worklist": self.fetch_worklist,
            "show_worklist": self.show_worklist,
            "store_images": self.store_images,
            "commit": self.commit,
            "delete_images": self.delete_images,
        }

    async def fetch_worklist(self, args: Args, case: Case) -> Args:
        """Ask the RIS and keep the answers on the console (RAD-5)."""
        query = worklist_query(
            args, self._bench.ae_title, f"{self._bench.clock.now():%Y%m%d}", self._settings.modality
        )
        if term := self._bench.charsets.for_dicom(texts(query)):
            query["SpecificCharacterSet"] = term
        async with self._network.calling(
            self._settings.worklist, [WORKLIST], door="worklist", case=case.id
        ) as association:
            answers = await association.find(WORKLIST, query)
        if not self._scanner.habits.whole(answers.category):
            raise Refused(f"the worklist query ended with {answers.status:04X} {answers.comment}".strip())
        shelf = self._scanner.shelves.get(key := _query_key(args))
        heard, odd = self._taken(answers)
        entries = self._scanner.habits.worklist(heard, list(shelf.entries) if shelf else [])
        with self._bench.change(self._scanner):
            self._scanner.shelves[key] = Shelf(tuple(entries), f"{self._bench.clock.now():%Y%m%d%H%M%S}")
        return _shown(self._scanner.shelves[key]) | odd

    def _taken(self, answers: Answers) -> tuple[list[Elements], Args]:
        """Return the entries that the console can read, and what of them, or of those it left out, has a foreign VR."""
        strict = self._scanner.habits.acceptance(self._settings.acceptance) == "strict"
        odd = [misrepresented(raw) if answers.explicit else [] for raw in answers.raw]
        taken = [self._own(entry) for entry, keys in zip(answers, odd, strict=True) if not (strict and keys)]
        left_out = [
            {
                "accession": entry.get("AccessionNumber", ""),
                "reason": f"{', '.join(keys)} under a foreign VR (PS3.6)",
            }
            for entry, keys in zip(answers, odd, strict=True)
            if strict and keys
        ]
        reread = [] if strict else sorted({key for keys in odd for key in keys})
        return taken, {"left_out": left_out, "reread": self._scanner.habits.noted(reread)}

    async def show_worklist(self, args: Args, case: Case) -> Args:
        """Show the worklist: the RIS's, or, while it cannot be asked, what was fetched last, marked as old."""
        try:
            return await self.fetch_worklist(args, case) | {"stale": False, "reason": ""}
        except WireError as trouble:
            if (shelf := self._scanner.shelves.get(_query_key(args))) is None:
                raise
            stale = self._scanner.habits.shown_as_old()
            return _shown(shelf) | {"stale": stale, "reason": str(trouble) if stale else ""}

    def _own(self, entry: Elements) -> Elements:
        """Return the entry in the console's own character set where it has one; images and steps are written in it."""
        if "charsets" not in self._bench.settings:
            return entry
        plain = {key: value for key, value in entry.items() if key != "SpecificCharacterSet"}
        term = self._bench.charsets.for_dicom(texts(plain))
        return plain | ({"SpecificCharacterSet": term} if term else {})

    async def store_images(self, args: Args, case: Case) -> Args:
        """Send images to the archive (RAD-8); a refused one stays on the disk and is counted, not hidden."""
        pictures = self._scanner.chosen(args["images"])
        if numbers := args.get("numbers"):
            pictures = [one for one in pictures if one.number in {int(number) for number in numbers}]
        if gone := [one.sop for one in pictures if one.status == "deleted"]:
            raise BadInput("store_images: images", "images still on this scanner's disk", gone[0])
        if (alter := args.get("alter")) not in {None, "", "pixels", "series"}:
            raise BadInput("store_images: alter", "pixels or series", repr(alter))
        if (encoding := args.get("encoding") or "explicit") not in NAMES:
            raise BadInput("store_images: encoding", f"one of {', '.join(NAMES)}", repr(encoding))
        syntax = NAMES[encoding]
        objects = [(one, await asyncio.to_thread(self._data, one, syntax, alter or "")) for one in pictures]
        if (door := args.get("door") or "c-store") == "c-store" and args.get("connections"):
            sent = await self._at_once(objects, syntax, args, case)
            return self._filed(sent, alter or "")
        send = {"c-store": self._c_store, "stow-rs": self._stow}.get(door)
        if send is None:
            raise BadInput("store_images: door", "c-store or stow-rs", repr(door))
        return self._filed(await send(objects, syntax, case), alter or "")

    async def _at_once(
        self, objects: list[tuple[Picture, bytes]], syntax: str, args: Args, case: Case
    ) -> list[Args]:
        """Send over several associations at the same moment: each its share, or each all of them."""
        count = int(args["connections"])
        if not 1 < count <= CONNECTIONS:
            raise BadInput("store_images: connections", f"2 to {CONNECTIONS}", repr(count))
        shares = [objects if args.get("each_all") else objects[nth::count] for nth in range(count)]
        told = await asyncio.gather(*(self._c_store(share, syntax, case) for share in shares if share))
        return [one for share in told for one in share]

    def _filed(self, sent: list[Args], alter: str) -> Args:
        """Note what the archive took, and return what the word says of it."""
        with self._bench.change(self._scanner):
            for one in sent:
                picture = self._scanner.pictures[one["sop"]]
                if picture.status in {"acquired", "refused"} and not alter:
                    status = "stored" if one["stored"] else "refused"
                    self._scanner.pictures[picture.sop] = replace(picture, status=status)
        stored = sum(one.pop("stored") for one in sent)
        return {"sent": sent, "stored": stored, "refused": len(sent) - stored}

    def _data(self, picture: Picture, syntax: str, alter: str) -> bytes:
        data = self._disk.read(picture.file)
        if alter and picture.pixels:
            elements = decode(data, explicit=True)
            elements |= (
                {"PixelData": phantoms.altered(elements["PixelData"])}
                if alter == "pixels"
                else {"SeriesInstanceUID": f"{picture.series[:-1]}{(int(picture.series[-1]) + 1) % 10}"}
            )
            data = encode(elements, explicit=True)
        return convert(data, EXPLICIT_LE, syntax)

    async def _c_store(self, objects: list[tuple[Picture, bytes]], syntax: str, case: Case) -> list[Args]:
        classes = dict.fromkeys(picture.sop_class for picture, _ in objects)
        syntaxes = (EXPLICIT_LE, IMPLICIT_LE) if syntax == EXPLICIT_LE else (syntax,)
        contexts = [(sop_class, (each,)) for sop_class in classes for each in syntaxes]
        sent: list[Args] = []
        async with self._network.calling(self._settings.archive, contexts, case=case.id) as association:
            for picture, data in objects:
                result = await association.store(picture.sop_class, picture.sop, syntax, data)
                taken = self._scanner.habits.taken(result.category)
                sent.append(
                    {
                        "sop": picture.sop,
                        "status": f"{result.status:04X}",
                        "comment": result.comment,
                        "stored": taken,
                    }
                )
        return sent

    async def _stow(self, objects: list[tuple[Picture, bytes]], syntax: str, case: Case) -> list[Args]:
        files = [part10.write(Instance(one.sop_class, one.sop, syntax, data)) for one, data in objects]
        body, content_type = multipart.encode(files, "application/dicom")
        if self._scanner.unplugged:
            raise LinkLost(f"{self._bench.name} is off the network")
        headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
        sops = [picture.sop for picture, _ in objects]
        answer = await self._web.ask(
            self._settings.stow or self._settings.archive,
            "POST",
            "/studies",
            headers=headers,
            body=body,
            case=case.id,
            found={"sop": sops, "study": list({picture.study for picture, _ in objects})},
        )
        taken = self._scanner.habits.taken
        if answer.status not in {200, 202, 409} and not taken("failure"):
            raise Refused(f"POST /studies was answered {answer.status}")
        told = (dicomjson.loads(answer.body) or [{}])[0]
        good = {item.get("ReferencedSOPInstanceUID") for item in told.get("ReferencedSOPSequence") or []}
        bad = {
            item.get("ReferencedSOPInstanceUID"): f"{int(item.get('FailureReason') or 0):04X}"
            for item in told.get("FailedSOPSequence") or []
        }
        return [
            {
                "sop": sop,
                "status": bad.get(sop, "0000" if sop in good else str(answer.status)),
                "comment": "",
                "stored": taken("success" if sop in good and sop not in bad else "failure"),
            }
            for sop in sops
        ]

    async def commit(self, args: Args, case: Case) -> Args:
        """Ask for storage commitment and wait for the result, on the same association or on a new one (RAD-10)."""
        pictures = self._scanner.chosen(args["images"])
        if (event := args.get("event") or "same") not in {"same", "new", "next"}:
            raise BadInput("commit: event", "same, new or next", repr(event))
        with self._bench.change(self._scanner):
            mint = self._scanner.mint(case.id, case.seed)
            uid = mint.uid("transaction")
            extra = [
                (phantoms.CT_IMAGE_STORAGE, mint.uid("never sent"))
                for _ in range(int(args.get("extra") or 0))
            ]
            references = [*((one.sop_class, one.sop) for one in pictures), *extra]
            self._scanner.transactions[uid] = Transaction(uid, tuple(sop for _, sop in references))
        request = {
            "TransactionUID": uid,
            "ReferencedSOPSequence": [
                {"ReferencedSOPClassUID": sop_class, "ReferencedSOPInstanceUID": sop}
                for sop_class, sop in references
            ],
        }
        async with self._network.calling(self._settings.archive, [COMMITMENT], case=case.id) as association:
            result = await association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, request)
            if result.category != "success":
                raise Refused(
                    f"the request was refused: N-ACTION {result.status:04X} {result.comment}".strip()
                )
            if event == "same":
                await self._hear(association, uid, event)
        if event == "next":
            await self._call_again(uid, case)
        done = await self._console.wait(uid, self._settings.commitment)
        return {
            "transaction": uid,
            "committed": list(done.committed),
            "failed": [{"sop": sop, "reason": reason} for sop, reason in done.failed],
            "arrived": done.arrived,
        }

    async def delete_images(self, args: Args, case: Case) -> Args:  # noqa: ARG002 - the signature of a word
        """Free the disk of images that the archive has committed itself to; every other one is kept (RAD-10)."""
        pictures = self._scanner.chosen(args["images"])
        gone = [one for one in pictures if self._scanner.habits.may_delete(one.status)]
        with self._bench.change(self._scanner):
            for one in gone:
                self._scanner.pictures[one.sop] = replace(one, status="deleted")
        shared = {one.file for one in self._scanner.pictures.values() if one.status != "deleted"}
        for one in gone:
            if one.file not in shared:
                self._disk.remove(one.file)
        kept = [one.sop for one in pictures if one not in gone]
        return {"deleted": len(gone), "kept": len(kept), "left": kept}

    async def _call_again(self, transaction: str, case: Case) -> None:
        """Open the next association, on which the archive may bring what it owes (PS3.4 J.3.3)."""
        contexts = [COMMITMENT, VERIFICATION]
        async with self._network.calling(self._settings.archive, contexts, case=case.id) as association:
            await association.echo()
            await self._hear(association, transaction, "next")

    async def _hear(self, association: Association, transaction: str, where: str) -> None:
        """Keep the association until the result has come, on it or, as an archive may prefer, on a new one (PS3.4 J.3.3)."""
        here = asyncio.ensure_future(association.next_event(self._settings.commitment))
        there = asyncio.ensure_future(self._console.wait(transaction, self._settings.commitment))
        await asyncio.wait({here, there}, return_when=asyncio.FIRST_COMPLETED)
        if here.done() and here.exception() is None:
            self._console.take(here.result().attributes, where)
        for task in (here, there):
            task.cancel()
        await asyncio.gather(here, there, return_exceptions=True)
