"""What a tester at the console sends that no scanner would: performed steps and requests that are not as they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput
from stepwedge.sim import phantoms
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE, MPPS, VERIFICATION

from .state import Transaction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .dimse import Console
    from .network import Network
    from .settings import Settings
    from .state import Scanner

Args = dict[str, Any]
OTHER_CLASS: Final = "1.2.840.10008.5.1.4.1.1.1"
"""Computed Radiography Image Storage, which nothing is that a phantom recipe without it makes."""


class ByHand:
    """The words by which a tester tries the doors of RIS and archive."""

    def __init__(
        self, bench: Bench, scanner: Scanner, console: Console, settings: Settings, network: Network
    ) -> None:
        self._bench, self._scanner, self._console = bench, scanner, console
        self._settings, self._network = settings, network

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {"tell_step": self.tell_step, "ask_commitment": self.ask_commitment}

    async def tell_step(self, args: Args, case: Case) -> Args:
        """Send N-CREATE or N-SET of a performed step as it is said here, then C-ECHO on the same association (RAD-6, RAD-7)."""
        exam, event = self._scanner.exam(args["mpps"]), str(args["event"])
        if event not in {"create", "set"}:
            raise BadInput("tell_step: event", "create or set", repr(event))
        with self._bench.change(self._scanner):
            uid = self._scanner.mint(case.id, case.seed).uid("mpps") if args.get("other") else exam.uid
        left_out = set(args.get("without") or ())
        told = (exam.sent if event == "create" else {}) | (args.get("set") or {})
        attributes = {key: value for key, value in told.items() if key not in left_out}
        async with self._network.calling(
            self._settings.worklist, [MPPS, VERIFICATION], door="worklist", case=case.id
        ) as association:
            send = association.create if event == "create" else association.set
            result = await send(MPPS, uid, attributes)
            await association.echo()
        return {"uid": uid, "status": f"{result.status:04X}", "comment": result.comment, "usable": True}

    async def ask_commitment(self, args: Args, case: Case) -> Args:
        """Ask for storage commitment of images under another SOP class, or of nothing (RAD-10)."""
        pictures = self._scanner.chosen(args["images"])
        if (wrong := str(args["wrong"])) not in {"class", "nothing"}:
            raise BadInput("ask_commitment: wrong", "class or nothing", repr(wrong))
        with self._bench.change(self._scanner):
            uid = self._scanner.mint(case.id, case.seed).uid("transaction")
            if wrong == "class":
                sops = tuple(one.sop for one in pictures)
                self._scanner.transactions[uid] = Transaction(uid, sops)
        other = OTHER_CLASS if pictures[0].sop_class != OTHER_CLASS else phantoms.CT_IMAGE_STORAGE
        references = [
            {"ReferencedSOPClassUID": other, "ReferencedSOPInstanceUID": one.sop} for one in pictures
        ]
        request: Args = {"TransactionUID": uid}
        if wrong == "class":
            request["ReferencedSOPSequence"] = references
        async with self._network.calling(self._settings.archive, [COMMITMENT], case=case.id) as association:
            result = await association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, request)
        told = {"status": f"{result.status:04X}", "transaction": uid, "committed": [], "failed": []}
        if wrong == "nothing" or result.category != "success":
            return told
        done = await self._console.wait(uid, self._settings.commitment)
        failed = [{"sop": sop, "reason": reason} for sop, reason in done.failed]
        return told | {"committed": list(done.committed), "failed": failed}
