"""What the archive's operator can be told to do, and what can be asked about the life of objects."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput, Broken
from stepwedge.sim.rows import pack
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode

from . import retention, tiers
from .availability import availability
from .tiers import Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .life import Life
    from .settings import Settings
    from .state import Archive
    from .vault import Vault

Args = dict[str, Any]


class Operator:
    """The words of an archive."""

    def __init__(self, bench: Bench, vault: Vault, life: Life, settings: Settings) -> None:
        self._bench = bench
        self._vault = vault
        self._archive = vault.archive
        self._life = life
        self._terms = settings.retention

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {
            "move_study": self.move_study,
            "delete_study": self.delete_study,
            "hold_study": self.hold_study,
            "apply_retention": self.apply_retention,
            "damage_image": self.damage_image,
            "mend_image": self.mend_image,
            "scrub": self.scrub,
        }

    async def move_study(self, args: Args, case: Case) -> Args:  # noqa: ARG002 - the signature of a word
        """Move a study to another tier of storage."""
        study, tier = self._study(args), str(args.get("tier") or "").upper()
        if tier not in tiers.TIERS:
            raise BadInput("move_study: tier", "online, nearline or offline", repr(args.get("tier")))
        with self._bench.change(self._archive) as change:
            self._life.move(change, [study], tier)
        return {"study": study, "tier": tier}

    async def damage_image(self, args: Args, case: Case) -> Args:  # noqa: ARG002 - the same
        """Turn one byte of the first image of a study over, on the disk."""
        first = self._archive.shown(self._study(args))[0]
        self._vault.turn_over(first)
        return {"sop": first.sop, "study": first.study}

    async def mend_image(self, args: Args, case: Case) -> Args:  # noqa: ARG002 - the same
        """Turn the byte back, when it was turned over."""
        image = self._archive.instances.get(str(args.get("sop")))
        if image is not None and self._vault.damaged(image):
            self._vault.turn_over(image)
        return {"sop": str(args.get("sop"))}

    async def scrub(self, args: Args, case: Case) -> Args:  # noqa: ARG002 - the same
        """Compare every image of a study with the digest that it had when it came."""
        images = self._archive.shown(self._study(args))
        notices = self._archive.habits.notices
        return {
            "checked": len(images),
            "damaged": [one.sop for one in images if notices(self._vault.damaged(one))],
        }

    async def delete_study(self, args: Args, case: Case) -> Args:  # noqa: ARG002 - the same
        """Delete a study for good."""
        study = self._study(args)
        if self._archive.habits.held(self._archive.held(study)):
            raise BadInput("delete_study: study", "a study that no legal hold protects", study)
        return {"study": study, "deleted": self._remove(study, str(args.get("reason") or "deleted"))}

    async def hold_study(self, args: Args, case: Case) -> Args:  # noqa: ARG002 - the same
        """Put a legal hold on a study, or take it off."""
        study, hold = self._study(args), bool(args.get("hold", True))
        with self._bench.change(self._archive):
            old = self._archive.places.get(study) or Place(study)
            self._archive.places[study] = replace(old, hold=hold)
        return {"study": study, "hold": hold}

    async def apply_retention(self, args: Args, case: Case) -> Args:
        """Delete what was kept long enough, as of a number of days from now."""
        days = args.get("days", 0)
        if not isinstance(days, int) or isinstance(days, bool) or not 0 <= days <= retention.LONGEST:
            raise BadInput("apply_retention: days", f"0 to {retention.LONGEST}", repr(days))
        today = self._bench.clock.now().date() + timedelta(days=days)
        wanted = self._study(args) if args.get("study") else ""
        over = [
            study for study in retention.expired(self._archive, self._terms, today) if wanted in {"", study}
        ]
        counts = {study: self._let_go(study, case) for study in over}
        listed = [{"study": study, "objects": count} for study, count in counts.items()]
        return {"studies": listed, "count": len(listed), "today": f"{today:%Y%m%d}"}

    def _let_go(self, study: str, case: Case) -> int:
        """Store the archive's own rejection note, which deletes the study and tells so, in one transaction (RAD-66)."""
        instances = self._archive.remaining(study)
        opened = [
            decode(
                self._vault.give(one), explicit=one.transfer_syntax != IMPLICIT_LE, stop_before_pixels=True
            )
            for one in instances
        ]
        with self._bench.change(self._archive):
            mint = self._archive.mint(case.id, case.seed)
            uids = mint.uid("series"), mint.uid("note")
        note = retention.farewell(opened, uids, self._bench.clock.now(), self._bench.name)
        data = encode(note, explicit=True)
        filing = self._vault.take(note["SOPClassUID"], uids[1], EXPLICIT_LE, data, self._bench.ae_title)
        if filing.status:
            raise Broken(f"the archive refused its own note: {filing.comment}")
        return len(instances)

    def _remove(self, study: str, reason: str) -> int:
        count = len(self._archive.instances.by("study", study))
        with self._bench.change(self._archive) as change:
            files = self._life.remove(change, study, reason)
        self._vault.discard(files)
        return count

    def _study(self, args: Args) -> str:
        given = args.get("study")
        study = given.get("study", "") if isinstance(given, dict) else str(given or "")
        if not self._archive.instances.by("study", study):
            raise BadInput("study", "a Study Instance UID that this archive holds", repr(study))
        return study


def answers(archive: Archive) -> dict[str, Callable[[Args], Any]]:
    """Return what can be asked; a thing not known is None or an empty list."""
    return {
        "performed": lambda args: pack(archive.performed.get(args["mpps"])),
        "availability": lambda args: {
            one.sop: availability(archive, one) for one in archive.instances.by("study", args["study"])
        },
        "rejections": lambda args: [
            pack(one) for one in archive.rejections.values() if args.get("study") in {None, one.study}
        ],
        "routed": lambda args: [
            pack(one) for one in archive.routed.values() if args.get("study") in {None, one.study}
        ],
        "removal": lambda args: pack(archive.removals.get(args["study"])),
    }
