"""Images onto media for somebody outside: Part 10 files in a folder of the workstation (PS3.10), without a DICOMDIR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput
from stepwedge.wire import part10

from .retrieval import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .acts import Acts
    from .state import Desk

Args = dict[str, Any]


class Exporting:
    """The word by which images leave the hospital."""

    def __init__(self, bench: Bench, desk: Desk, acts: Acts) -> None:
        self._bench = bench
        self._desk = desk
        self._acts = acts

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {"export_images": self.export_images}

    async def export_images(self, args: Args, case: Case) -> Args:
        """Write the images of a study, or those of some numbers, onto media (PS3.15 A.5.3.4)."""
        study = str(args["study"])
        _, instances = await self._acts.taken(study, args.get("door") or "c-get", case)
        wanted = {str(number) for number in args.get("numbers") or ()}
        images = [(one, shown(one)) for one in instances]
        chosen = [
            (one, told)
            for one, told in images
            if told["pixels"]
            and (not wanted or str(told["header"].get("InstanceNumber", "")).strip() in wanted)
        ]
        if not chosen:
            raise BadInput(
                "export_images: numbers", "images that the study has", ", ".join(sorted(wanted)) or "none"
            )
        with self._bench.change(self._desk):
            number = self._desk.next("media")
        folder = self._bench.folder / "media" / f"{number:06}"
        folder.mkdir(parents=True)
        for place, (one, _) in enumerate(chosen, 1):
            (folder / f"IM{place:06}").write_bytes(part10.write(one))
        told = chosen[0][1]["header"]
        return {
            "media": folder.resolve().as_uri(),
            "study": study,
            "patient": str(told.get("PatientID", "")),
            "instances": [{"sop": each["sop"], "pixels": each["pixels"]} for _, each in chosen],
            "count": len(chosen),
        }
