"""What the radiologist does when told: find, open, sign, add."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput, Failed, LocalProtocolError, Refused
from stepwedge.model.pdf import pdf
from stepwedge.sim.dimse import calling
from stepwedge.sim.messages import Envelope, report_message
from stepwedge.sim.store import Send
from stepwedge.sim.web_client import Web
from stepwedge.wire import dicomjson
from stepwedge.wire.elements import tag_of
from stepwedge.wire.services import STUDY_FIND

from .documents import Filing
from .retrieval import Retriever, Screen, shown
from .state import full_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case
    from stepwedge.wire.results import Instance

    from .habits import ReaderHabits
    from .settings import Settings
    from .state import Desk, Signed

Elements = dict[str, Any]
Args = dict[str, Any]

STUDY_KEYS: Elements = {
    "PatientName": "",
    "PatientID": "",
    "IssuerOfPatientID": "",
    "PatientBirthDate": "",
    "PatientSex": "",
    "StudyInstanceUID": "",
    "StudyDate": "",
    "StudyTime": "",
    "StudyID": "",
    "StudyDescription": "",
    "AccessionNumber": "",
    "ModalitiesInStudy": "",
    "NumberOfStudyRelatedSeries": "",
    "NumberOfStudyRelatedInstances": "",
}


class Acts:
    """The words of a reading workstation."""

    def __init__(
        self, bench: Bench, desk: Desk, screen: Screen, settings: Settings, habits: ReaderHabits
    ) -> None:
        self._bench = bench
        self._desk = desk
        self._settings = settings
        self._web = Web(bench)
        self._habits = habits
        self._filing = Filing(bench, settings.archive, habits)
        self._retriever = Retriever(bench, settings.archive, screen, self._web)

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {
            "find_study": self.find_study,
            "retrieve": self.retrieve,
            "sign_report": self.sign_report,
            "add_addendum": self.add_addendum,
            "withdraw_report": self.withdraw_report,
        }

    async def find_study(self, args: Args, case: Case) -> Args:
        """Look studies up in the archive (RAD-14)."""
        keys = {key: value for key, value in args.items() if key not in {"accession", "study", "door"}}
        for key in keys:
            try:
                tag_of(key)
            except LocalProtocolError as error:
                raise BadInput("find_study", "DICOM keywords (PS3.6)", key, str(error)) from error
        if args.get("accession"):
            keys["AccessionNumber"] = args["accession"]
        if args.get("study"):
            keys["StudyInstanceUID"] = args["study"]
        find = {"c-find": self._c_find, "qido-rs": self._qido}.get(door := args.get("door") or "c-find")
        if find is None:
            raise BadInput("find_study: door", "c-find or qido-rs", repr(door))
        studies = await find(keys, case)
        return {"studies": studies, "count": len(studies)} | (
            {"study": studies[0].get("StudyInstanceUID", "")} if studies else {}
        )

    async def _c_find(self, keys: Elements, case: Case) -> list[Elements]:
        async with calling(self._bench, self._settings.archive, [STUDY_FIND], case=case.id) as association:
            answers = await association.find(STUDY_FIND, {"QueryRetrieveLevel": "STUDY"} | STUDY_KEYS | keys)
        if answers.category != "success":
            raise Refused(f"the query ended with {answers.status:04X} {answers.comment}".strip())
        return list(answers)

    async def _qido(self, keys: Elements, case: Case) -> list[Elements]:
        query = {key: str(value) for key, value in keys.items()} | {
            "includefield": "StudyDescription,IssuerOfPatientID"
        }
        headers = {"Accept": "application/dicom+json"}
        answer = await self._web.ask(
            self._settings.archive, "GET", "/studies", query=query, headers=headers, case=case.id
        )
        if answer.status not in {200, 204}:
            raise Refused(f"the query was answered {answer.status}")
        return dicomjson.loads(answer.body) if answer.body else []

    async def retrieve(self, args: Args, case: Case) -> Args:
        """Open a study (RAD-16)."""
        door, stop = args.get("door") or "c-move", int(args.get("stop_after") or 0)
        if door == "c-move" and (stop or args.get("to")):
            status, instances = await self._retriever.move(
                args["study"], case, to=args.get("to") or "", stop=stop
            )
        elif door == "c-get" and stop:
            status, instances = await self._retriever.get(args["study"], case, stop=stop)
        else:
            status, instances = await self.taken(args["study"], door, case)
        return {"instances": [shown(one) for one in instances], "count": len(instances), "status": status}

    async def taken(self, study: str, door: str, case: Case) -> tuple[str, list[Instance]]:
        """Return the final status of a retrieval and what it brought."""
        ways = {"c-move": self._retriever.move, "c-get": self._retriever.get, "wado-rs": self._retriever.wado}
        if (way := ways.get(door)) is None:
            raise BadInput("retrieve: door", ", ".join(ways), repr(door))
        return await way(study, case)

    async def sign_report(self, args: Args, case: Case) -> Args:
        """Sign the report of a study that stands in the archive, and send it to the report manager (RAD-128)."""
        order = args.get("order") or {}
        accession = args.get("accession") or order.get("accession", "")
        study = await self._study(accession, args.get("study") or order.get("study") or "", case)
        with self._bench.change(self._desk):
            mint = self._desk.mint(case.id, case.seed)
            now = self._bench.clock.now()
            signed = self._desk.sign(study, order, _paragraphs(args), args.get("status") or "F", now)
            critical = self._habits.panics(critical=bool(args.get("critical")))
            page = self._page(signed, int(args.get("scans") or 0)) if args.get("pdf") else ""
            signed = replace(signed, event=replace(signed.event, critical=critical, pdf=page))
            if args.get("sr"):
                signed = replace(signed, series=mint.uid("series"), documents=(mint.uid("report"),))
                signed = replace(signed, event=replace(signed.event, sr=signed.documents[-1]))
            self._desk.reports[signed.number] = signed
        return await self._issue(signed, study, order, case)

    async def _issue(self, signed: Signed, study: Elements, order: Mapping[str, Any], case: Case) -> Args:
        """Store the structured report first, then send what refers to it (RAD-28)."""
        if signed.documents:
            await self._filing.file(signed, study, order, case)
        with self._bench.change(self._desk) as change:
            send = change.send(self._message(signed, case))
        return await self._told(signed, send)

    def _page(self, signed: Signed, scans: int = 0) -> str:
        """Return the report as PDF, base64; ``scans`` are kilobytes behind it that nobody reads (a comment, ISO 32000-1 7.2.4)."""
        event, patient = signed.event, signed.patient
        head = [f"{patient.name.spoken()}  {patient.id}", f"Accession {event.accession}", ""]
        page = pdf([*head, *full_text(event).split("\n"), "", event.author])
        return base64.b64encode(page + b"%" * (scans << 10)).decode()

    async def add_addendum(self, args: Args, case: Case) -> Args:
        """Add to a signed report, and send it again (ORU^R01 with the addendum as an observation of its own)."""
        report = args["report"]
        number = report["report"] if isinstance(report, dict) else str(report)
        if (old := self._desk.reports.get(number)) is None:
            raise BadInput("add_addendum: report", "a report signed at this workstation", repr(number))
        study = await self._study("", old.event.study, case)
        with self._bench.change(self._desk):
            now = self._bench.clock.now()
            signed = self._desk.addendum(number, args["text"], args.get("status") or "A", study, now)
            if signed.documents:
                sop = self._desk.mint(case.id, case.seed).uid("report")
                signed = replace(
                    signed, documents=(*signed.documents, sop), event=replace(signed.event, sr=sop)
                )
            if signed.event.pdf:
                signed = replace(signed, event=replace(signed.event, pdf=self._page(signed)))
            self._desk.reports[number] = signed
        return await self._issue(signed, study, {}, case)

    async def withdraw_report(self, args: Args, case: Case) -> Args:
        """Withdraw a signed report (OBR-25 and OBX-11 X, HL7 tables 0123 and 0085)."""
        report = args["report"]
        number = report["report"] if isinstance(report, dict) else str(report)
        if (old := self._desk.reports.get(number)) is None:
            raise BadInput("withdraw_report: report", "a report signed at this workstation", repr(number))
        with self._bench.change(self._desk) as change:
            at = f"{self._bench.clock.now():%Y%m%d%H%M%S}"
            event = replace(
                old.event, letter="X", text=str(args.get("reason") or "Withdrawn."), addendum="", at=at
            )
            self._desk.reports[number] = signed = replace(old, event=replace(event, pdf="", critical=False))
            send = change.send(self._message(signed, case))
        return await self._told(signed, send)

    async def _study(self, accession: str, uid: str, case: Case) -> Elements:
        """Return the archive's answer about the one study that is reported: patient and number come from there."""
        if not accession and not uid:
            raise BadInput("sign_report", "an order, an accession number or a study", "none of them")
        keys = {"AccessionNumber": accession} if accession else {"StudyInstanceUID": uid}
        found = await self._c_find(keys, case)
        if uid and len(found) > 1:
            found = [one for one in found if one.get("StudyInstanceUID") == uid]
        if len(found) != 1:
            named = ", ".join(f"{key} {value}" for key, value in keys.items())
            raise Failed(
                f"the archive has {len(found) or 'no'} studies with {named}; a report needs exactly one"
            )
        return found[0]

    def _message(self, signed: Signed, case: Case) -> Send:
        control = self._desk.control()
        receiver = self._bench.directory.get(self._settings.reports)
        envelope = Envelope(
            self._bench.application,
            (receiver.application if receiver else None) or f"SW_{self._settings.reports.upper()}",
            control,
            self._bench.clock.now(),
            signed.version,
            charsets=self._bench.charsets,
        )
        raw = report_message(signed.event, signed.patient, envelope)
        return Send(self._settings.reports, raw, control=control, case=case.id)

    async def _told(self, signed: Signed, send: Send) -> Args:
        """Wait for the report manager's acknowledgement; its no is our failure to report."""
        delivery = await self._bench.outbox.answer(send, within=self._settings.patience)
        if delivery.reason:
            raise Refused(f"the report was not taken: {delivery.reason}")
        event = signed.event
        return {
            "report": signed.number,
            "accession": event.accession,
            "placer": event.placer,
            "filler": event.filler,
            "study": event.study,
            "status": "F" if event.letter == "A" else event.letter,
            "text": full_text(event),
            "sr": event.sr,
            "series": signed.series,
            "critical": event.critical,
            "page": hashlib.sha256(event.pdf.encode()).hexdigest() if event.pdf else "",
            "answer": "AA",
        }


def _paragraphs(args: Args) -> str:
    """Return the text once, or as so many numbered paragraphs."""
    text, times = str(args["text"]), int(args.get("times") or 1)
    return text if times == 1 else "\n".join(f"{number}. {text}" for number in range(1, times + 1))
