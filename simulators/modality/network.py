"""The scanner's cable: associations while it is in, exams that wait while it is out."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput, LinkLost, Refused
from stepwedge.sim.dimse import calling
from stepwedge.wire.services import MPPS

from .state import Plug

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case
    from stepwedge.wire.dimse_asyncio import Association

    from .settings import Settings
    from .state import Scanner

Args = dict[str, Any]
DUPLICATE = 0x0111
"""N-CREATE of a step that is there (PS3.7 annex C): it had arrived before the answer was lost."""
NO_LONGER_UPDATED = 0x0110
"""N-SET of a step that has ended (PS3.4 table F.7.2-2): likewise, when it is sent again."""


class Network:
    """How this scanner reaches others, and the words that take it off the network and bring it back."""

    def __init__(self, bench: Bench, scanner: Scanner, settings: Settings) -> None:
        self._bench = bench
        self._scanner = scanner
        self._settings = settings

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {"unplug": self.unplug, "plug_in": self.plug_in}

    @asynccontextmanager
    async def calling(
        self,
        to: str,
        contexts: Iterable[str | tuple[str, Sequence[str]]],
        *,
        door: str = "dicom",
        case: str = "",
    ) -> AsyncIterator[Association]:
        """Open an association as :func:`stepwedge.sim.dimse.calling` does; LinkLost while the cable is out."""
        if self._scanner.unplugged or (door == "worklist" and self._scanner.apart):
            raise LinkLost(f"{self._bench.name} is off the network")
        async with calling(self._bench, to, contexts, door=door, case=case) as association:
            yield association

    async def perform(self, verb: str, uid: str, attributes: Args, case: Case) -> bool:
        """Send N-CREATE or N-SET of a performed step (RAD-6, RAD-7); False when it must wait for the network.

        What must wait is put into the table ``waiting`` by the caller's next change, see :meth:`Scanner.wait`.
        """
        if self._scanner.apart:
            return False
        async with self.calling(
            self._settings.worklist, [MPPS], door="worklist", case=case.id
        ) as association:
            send = association.create if verb == "create" else association.set
            result = await send(MPPS, uid, attributes)
        arrived = case.again and result.status == (DUPLICATE if verb == "create" else NO_LONGER_UPDATED)
        if self._scanner.habits.goes_on(result.category) or arrived:
            return True
        what = "the exam" if verb == "create" else "the end of the exam"
        raise Refused(
            f"{what} was not accepted: N-{verb.upper()} {result.status:04X} {result.comment}".strip()
        )

    async def unplug(self, args: Args, case: Case) -> Args:  # noqa: ARG002 - the signature of a word
        """Take the scanner off the network, or cut it off from the RIS alone."""
        if (whom := args.get("from") or "everybody") not in {"everybody", "ris"}:
            raise BadInput("unplug: from", "everybody or ris", repr(whom))
        with self._bench.change(self._scanner):
            self._scanner.plugs["network"] = Plug(out=True, apart=whom == "ris")
        return {"waiting": len(self._scanner.waiting)}

    async def plug_in(self, args: Args, case: Case) -> Args:  # noqa: ARG002 - the signature of a word
        """Put the scanner back on the network and tell the RIS, in order, what was performed meanwhile."""
        with self._bench.change(self._scanner):
            self._scanner.plugs["network"] = Plug(out=False)
        sent = 0
        for key, one in list(self._scanner.waiting.items()):
            try:
                await self.perform(one.verb, one.uid, one.attributes, case)
            except Refused as refused:
                if f" {DUPLICATE:04X}" not in str(refused):
                    raise
            with self._bench.change(self._scanner):
                del self._scanner.waiting[key]
            sent += 1
        return {"sent": sent, "waiting": len(self._scanner.waiting)}
