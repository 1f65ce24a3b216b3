"""The RIS at its DICOM door: modality worklist (RAD-5) and performed procedure steps (RAD-6, RAD-7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.model.identifiers import uid
from stepwedge.wire.dimse_asyncio import Provider, Reply
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE
from stepwedge.wire.services import MPPS, VERIFICATION, WORKLIST

from . import mpps
from .worklist import Worklist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from stepwedge.sim.bench import Bench
    from stepwedge.wire.dimse import PeerInfo
    from stepwedge.wire.elements import Elements

    from .hl7 import Correspondence
    from .state import Ris


ACCEPTS: Final = dict.fromkeys((VERIFICATION, WORKLIST, MPPS), (EXPLICIT_LE, IMPLICIT_LE))


@dataclass
class Scanners(Provider):
    """What the scanners are served."""

    bench: Bench
    ris: Ris
    correspondence: Correspondence
    worklist: Worklist = field(init=False)

    def __post_init__(self) -> None:
        self.worklist = Worklist(self.ris, self.bench.charsets)

    def on_find(self, peer: PeerInfo, model: str, identifier: Elements) -> Iterator[bytes]:
        """Answer a worklist query."""
        del peer
        assert model == WORKLIST  # noqa: S101  no other information model is accepted at this door
        return self.worklist.answers(identifier)

    async def on_create(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, attributes: Elements
    ) -> Reply:
        """Take a performed procedure step that begins."""
        del peer, sop_class
        # A scanner may leave the choice of the instance UID to us (PS3.7 section 10.1.5.1.4).
        instance = sop_instance or uid(self.ris.seed, self.ris.name, "mpps", len(self.ris.performed))
        return self._decided(lambda now: mpps.create(self.ris, instance, attributes, now), instance)

    async def on_set(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, modifications: Elements
    ) -> Reply:
        """Take what became of a performed procedure step."""
        del peer, sop_class
        return self._decided(
            lambda now: mpps.change(self.ris, sop_instance, modifications, now), sop_instance
        )

    def _decided(self, decide: Callable[[datetime], mpps.Decision], instance: str) -> Reply:
        """Decide, and make what follows durable before the answer leaves."""
        now = self.bench.clock.now()
        with self.bench.change(self.ris) as change:
            decision = decide(now)
            for send in self.correspondence.sends(self.ris, decision.notices, now):
                change.send(send)
        return Reply(decision.status, decision.comment[:64], sop_instance=instance)
