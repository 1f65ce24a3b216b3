"""What the archive's operator can be told to do, and what can be asked about the life of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput
from stepwedge.sim.rows import pack

from . import tiers
from .availability import availability

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .life import Life
    from .state import Archive
    from .vault import Vault

Args = dict[str, Any]


class Operator:
    """The words of an archive."""

    def __init__(self, bench: Bench, vault: Vault, life: Life) -> None:
        self._bench = bench
        self._vault = vault
        self._archive = vault.archive
        self._life = life

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {
            "move_study": self.move_study,
            "delete_study": self.delete_study,
        }

    async def move_study(self, args: Args, case: Case) -> Args:  # noqa: ARG002 - the signature of a word
        """Move a study to another tier of storage."""
        study, tier = self._study(args), str(args.get("tier") or "").upper()
        if tier not in tiers.TIERS:
            raise BadInput("move_study: tier", "online, nearline or offline", repr(args.get("tier")))
        with self._bench.change(self._archive) as change:
            self._life.move(change, [study], tier)
        return {"study": study, "tier": tier}

    async def delete_study(self, args: Args, case: Case) -> Args:  # noqa: ARG002 - the same
        """Delete a study for good."""
        study = self._study(args)
        return {"study": study, "deleted": self._remove(study, str(args.get("reason") or "deleted"))}

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
        "removal": lambda args: pack(archive.removals.get(args["study"])),
    }
