"""Images that a technologist withdraws: a rejection note goes to the archive, before the images or after them (RAD-66)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput, Refused
from stepwedge.sim import keyobjects
from stepwedge.sim.files import Files
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .network import Network
    from .settings import Settings
    from .state import Scanner

Args = dict[str, Any]


class Rejecting:
    """The word by which images are withdrawn."""

    def __init__(self, bench: Bench, scanner: Scanner, settings: Settings, network: Network) -> None:
        self._bench = bench
        self._scanner = scanner
        self._settings = settings
        self._network = network
        self._disk = Files(bench.folder / "disk")

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the word by name."""
        return {"reject_images": self.reject_images}

    async def reject_images(self, args: Args, case: Case) -> Args:
        """Make a rejection note for images of this scanner's disk, and store it (RAD-66)."""
        if (reason := str(args.get("reason"))) not in keyobjects.REJECTIONS:
            raise BadInput("reject_images: reason", ", ".join(keyobjects.REJECTIONS), repr(reason))
        wanted = {int(number) for number in args.get("numbers") or ()}
        pictures = [one for one in self._scanner.chosen(args["images"]) if not wanted or one.number in wanted]
        if len({one.study for one in pictures}) != 1 or any(one.status == "deleted" for one in pictures):
            raise BadInput(
                "reject_images: images", "images of one study on this scanner's disk", repr(len(pictures))
            )
        headers = [
            decode(self._disk.read(one.file), explicit=True, stop_before_pixels=True) for one in pictures
        ]
        with self._bench.change(self._scanner):
            mint = self._scanner.mint(case.id, case.seed)
            uids = mint.uid("series"), mint.uid("instance")
        note = keyobjects.selection(
            reason, headers[0], headers, uids, self._bench.clock.now(), maker=self._bench.name, number=901
        )
        contexts = [(keyobjects.KEY_OBJECT_SELECTION, (EXPLICIT_LE, IMPLICIT_LE))]
        async with self._network.calling(self._settings.archive, contexts, case=case.id) as association:
            result = await association.store(
                keyobjects.KEY_OBJECT_SELECTION, uids[1], EXPLICIT_LE, encode(note, explicit=True)
            )
        if result.category not in {"success", "warning"}:
            raise Refused(f"the note was not taken: C-STORE {result.status:04X} {result.comment}".strip())
        return {
            "sop": uids[1],
            "study": pictures[0].study,
            "rejected": [one.sop for one in pictures],
            "count": len(pictures),
            "status": f"{result.status:04X}",
        }
