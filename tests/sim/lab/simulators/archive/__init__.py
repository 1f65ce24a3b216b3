"""A small simulated system with a DICOM and a web door: keeps headers, answers queries, commits to storage."""

from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from stepwedge.evidence.redact import refusal
from stepwedge.sim.dimse import DimseDoor, calling, dimse_send
from stepwedge.sim.simulator import Simulator
from stepwedge.sim.tables import State
from stepwedge.sim.web import WebDoor, note
from stepwedge.sim.web_client import Web
from stepwedge.wire.dimse_asyncio import Failure, Provider
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, match
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE, STUDY_FIND, VERIFICATION

CT = "1.2.840.10008.5.1.4.1.1.2"


@dataclass(frozen=True, slots=True)
class Held:
    sop: str
    header: dict[str, Any] = field(default_factory=dict)


class Shelf(State):
    def __init__(self, seed, name):
        super().__init__(seed, name)
        self.objects = self.table("objects", Held)
        self.events = self.table("events", Held)


class Archive(Provider):
    def __init__(self, bench, shelf):
        self.bench, self.shelf = bench, shelf

    async def on_store(self, peer, sop_class, sop_instance, transfer_syntax, data):
        header = decode(data, explicit=transfer_syntax != IMPLICIT_LE)
        header.pop("PixelData", None)
        if why := refusal(self.bench.identity, patients=[header.get("PatientID", "")]):
            raise Failure(0x0124, why)
        with self.bench.change(self.shelf):
            self.shelf.objects[sop_instance] = Held(sop_instance, header)
        return 0

    def on_find(self, peer, model, identifier):
        keys = {key: value for key, value in identifier.items() if key != "QueryRetrieveLevel"}
        for held in self.shelf.objects.values():
            if match(keys, held.header):
                yield {key: held.header.get(key, "") for key in keys}

    async def on_action(self, peer, sop_class, sop_instance, action_type, information):
        with self.bench.change(self.shelf) as change:
            change.send(
                dimse_send(
                    self.bench.directory.by_ae(peer.calling),
                    "report_event",
                    COMMITMENT,
                    COMMITMENT_INSTANCE,
                    information,
                    number=1,
                    control=self.shelf.control(),
                )
            )
        return 0

    async def on_event(self, peer, sop_class, sop_instance, event_type, information):
        with self.bench.change(self.shelf):
            self.shelf.events[information["TransactionUID"]] = Held(sop_instance, information)
        return 0


def build(bench):
    shelf = bench.restore(Shelf(bench.seed, bench.name))
    web = Web(bench)

    async def send(args, case):
        async with calling(bench, args["to"], [CT], case=case.id) as association:
            result = await association.store(CT, args["sop"], EXPLICIT_LE, bytes.fromhex(args["data"]))
        return {"status": result.status, "sop": args["sop"]}

    async def commit(args, case):
        references = [{"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": args["sop"]}]
        async with calling(bench, args["to"], [COMMITMENT], case=case.id) as association:
            attributes = {"TransactionUID": args["transaction"], "ReferencedSOPSequence": references}
            await association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, attributes)
        return {}

    async def fetch(args, case):
        answer = await web.ask(args["to"], "GET", args["path"], query=args.get("query"), case=case.id)
        return {"status": answer.status, "body": answer.body.decode()}

    async def study(request):
        note(request.scope).facts["seen"] = True
        body = b'[{"0020000D": {"vr": "UI", "Value": ["2.25.1"]}}]'
        return Response(body, media_type="application/dicom+json")

    async def mistake(request):
        raise KeyError("a bug")

    app = Starlette(routes=[Route("/dicom-web/studies/{uid}", study), Route("/dicom-web/mistake", mistake)])
    both = [EXPLICIT_LE, IMPLICIT_LE]
    accepts = {CT: both, STUDY_FIND: both, COMMITMENT: both, VERIFICATION: both}
    return Simulator(
        bench,
        shelf,
        doors=[DimseDoor(bench, Archive(bench, shelf), accepts), WebDoor(bench, app, "/dicom-web")],
        acts={"send": send, "commit": commit, "fetch": fetch},
        asks={"objects": lambda args: list(shelf.objects), "events": lambda args: list(shelf.events)},
        closes=[web],
    )
