"""The RIS at its DICOM door: modality worklist (RAD-5), performed steps (RAD-6, RAD-7), availability of studies (RAD-49)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.model.identifiers import uid
from stepwedge.sim.dimse import dimse_send
from stepwedge.wire.dimse_asyncio import Provider, Reply
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE
from stepwedge.wire.services import MPPS, VERIFICATION, WORKLIST

from . import availability, mpps
from .availability import IAN
from .worklist import Worklist

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from stepwedge.sim.bench import Bench
    from stepwedge.wire.dimse import PeerInfo
    from stepwedge.wire.elements import Elements

    from .hl7 import Correspondence
    from .state import Ris


ACCEPTS: Final = dict.fromkeys((VERIFICATION, WORKLIST, MPPS, IAN), (EXPLICIT_LE, IMPLICIT_LE))


@dataclass
class Scanners(Provider):
    """What the scanners and the archive are served; what scanners performed is told to ``forward``."""

    bench: Bench
    ris: Ris
    correspondence: Correspondence
    forward: Sequence[str] = ()
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
        """Take a performed procedure step that begins, or a notice of the archive."""
        del peer
        if sop_class == IAN:
            return self._noticed(sop_instance, attributes)
        # A scanner may leave the choice of the instance UID to us (PS3.7 section 10.1.5.1.4).
        instance = sop_instance or uid(self.ris.seed, self.ris.name, "mpps", len(self.ris.performed))
        return self._decided(
            lambda now: mpps.create(self.ris, instance, attributes, now), instance, "create", attributes
        )

    async def on_set(
        self, peer: PeerInfo, sop_class: str, sop_instance: str, modifications: Elements
    ) -> Reply:
        """Take what became of a performed procedure step."""
        del peer, sop_class
        return self._decided(
            lambda now: mpps.change(self.ris, sop_instance, modifications, now),
            sop_instance,
            "set",
            modifications,
        )

    def _noticed(self, notice: str, attributes: Elements) -> Reply:
        now = self.bench.clock.now()
        chosen = notice or uid(self.ris.seed, self.ris.name, "notice", len(self.ris.available))
        with self.bench.change(self.ris):
            status, comment = availability.take(self.ris, chosen, attributes, now)
        return Reply(status, comment[:64], sop_instance=chosen)

    def _decided(
        self, decide: Callable[[datetime], mpps.Decision], instance: str, verb: str, attributes: Elements
    ) -> Reply:
        """Decide, and make what follows durable before the answer leaves."""
        now = self.bench.clock.now()
        with self.bench.change(self.ris) as change:
            decision = decide(now)
            for send in self.correspondence.sends(self.ris, decision.notices, now):
                change.send(send)
            if decision.status == mpps.SUCCESS:
                for to in self.forward:
                    address = self.bench.directory.get(to)
                    if address is not None and address.dicom is not None:
                        told, control = _plain(attributes), self.ris.control()
                        change.send(dimse_send(to, verb, MPPS, instance, told, control=control))
        return Reply(decision.status, decision.comment[:64], sop_instance=instance)


def _plain(attributes: Elements) -> Elements:
    """Return what the outbox can keep: no binary values, which no attribute of a performed step has (PS3.4 table F.7.2-1)."""
    return {
        key: [_plain(item) if isinstance(item, dict) else item for item in value]
        if isinstance(value, list)
        else value
        for key, value in attributes.items()
        if not isinstance(value, bytes)
    }
