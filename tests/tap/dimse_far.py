"""A DICOM system at the far end of a tap, and a caller that talks to it through one with a fault."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from stepwedge.errors import WireError
from stepwedge.sim.tap.countdown import After
from stepwedge.sim.tap.fault import Wish
from stepwedge.sim.tap.faults import kinds
from stepwedge.sim.tap.tap import Edge, Tap
from stepwedge.wire import dimse_asyncio, elements
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE
from stepwedge.wire.provider import Provider, Reply
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE, MPPS, STUDY_FIND

CT = "1.2.840.10008.5.1.4.1.1.2"
PATIENT = {"SOPClassUID": CT, "SOPInstanceUID": "1.2.1", "PatientID": "SW1"}
OBJECT = PATIENT | {"PixelData": bytes(range(200)) * 100}
DATA = elements.encode(OBJECT, explicit=True)
ACCEPTS = {one: [EXPLICIT_LE, IMPLICIT_LE] for one in (CT, STUDY_FIND, MPPS, COMMITMENT)}
REFERENCES = [{"ReferencedSOPClassUID": CT, "ReferencedSOPInstanceUID": f"1.2.{n}"} for n in (1, 2)]


class Archive(Provider):
    """Keeps the first of what it is given, answers three matches, commits itself on the same association."""

    def __init__(self) -> None:
        self.held: list[tuple[str, dict[str, Any]]] = []
        self.syntaxes: list[str] = []
        self.steps: set[str] = set()

    async def on_store(self, peer, sop_class, sop_instance, transfer_syntax, data):
        self.syntaxes.append(transfer_syntax)
        self.held.append((sop_instance, elements.decode(data, explicit=transfer_syntax != IMPLICIT_LE)))
        return 0 if [one for one, _ in self.held].count(sop_instance) == 1 else 0x0111

    def on_find(self, peer, model, identifier):
        return iter([{"PatientID": f"SW{number}"} for number in (1, 2, 3)])

    async def on_create(self, peer, sop_class, sop_instance, attributes):
        status = 0x0111 if sop_instance in self.steps else 0
        self.steps.add(sop_instance)
        return status

    async def on_action(self, peer, sop_class, sop_instance, action_type, information):
        async def report(speaker):
            await speaker.report_event(COMMITMENT, COMMITMENT_INSTANCE, 1, information)

        return Reply(then=report)


@dataclass
class Talked:
    """What came of it: what the caller heard or met, the far end, the fault, what was left of it."""

    said: Any
    far: Archive
    fault: Any
    left: str
    troubles: list[str] = field(default_factory=list)


def talk(
    kind,
    body,
    *,
    side=None,
    after=0,
    times=0,
    accepts=None,
    limit=64,
    syntaxes=(EXPLICIT_LE, IMPLICIT_LE),
    **args,
):
    """Open an association through a tap with a fault, and let ``body(association)`` talk on it."""

    async def whole() -> Talked:
        far = Archive()
        acceptor = dimse_asyncio.Acceptor("PACS", accepts or ACCEPTS, far, max_associations=limit)
        server = await dimse_asyncio.serve("127.0.0.1", 0, acceptor)
        tap = Tap(Edge("ct", "pacs", "dicom"), ("127.0.0.1", server.port))
        await tap.listen()
        fault = kinds()[kind](Wish(kind, side, After(after), times, args))
        await tap.begin(fault)
        contexts = [(one, list(syntaxes)) for one in ACCEPTS]
        try:
            async with await dimse_asyncio.open(
                tap.host, tap.port, calling="CT", called="PACS", contexts=contexts, timeout=2
            ) as association:
                said = await body(association)
        except WireError as trouble:
            said = trouble
        left = await tap.lift()
        # The tap is whole again: the next caller meets nothing.
        async with await dimse_asyncio.open(
            tap.host, tap.port, calling="CT", called="PACS", contexts=[STUDY_FIND], timeout=2
        ) as association:
            assert len(await association.find(STUDY_FIND, {"PatientID": ""})) == 3
        await tap.close()
        await server.close()
        return Talked(said, far, fault, left)

    return asyncio.run(asyncio.wait_for(whole(), 30))
