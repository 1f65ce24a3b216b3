"""What follows when an object is stored, rejected, moved or deleted: in the same transaction, and told to whoever must know."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stepwedge.model.identifiers import uid
from stepwedge.sim.dimse import dimse_send
from stepwedge.wire.elements import IMPLICIT_LE, decode

from . import availability, rejection, routing, steps, tiers, ups
from .tiers import Place, Removal
from .ups_watching import Watchers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.store import Change

    from .settings import Settings
    from .state import Archive, Instance
    from .steps import Performed


class Life:
    """The consequences; every method is called inside ``bench.change``."""

    def __init__(self, bench: Bench, archive: Archive, settings: Settings) -> None:
        self._bench = bench
        self._archive = archive
        self._settings = settings
        self.watchers = Watchers(bench, archive)

    def stored(self, change: Change, instance: Instance, data: bytes) -> list[str]:
        """Follow up an instance that was kept and return the files that are to go with it: those that a note expired."""
        gone: list[str] = []
        if instance.sop_class == rejection.KEY_OBJECT_SELECTION:
            explicit = instance.transfer_syntax != IMPLICIT_LE
            note = rejection.read(decode(data, explicit=explicit))
            if note is not None and self._archive.habits.takes_note(note.code):
                gone = self._reject(change, instance, note)
        for step in self._archive.performed.by("sop", instance.sop):
            self.ended(change, step)
        self._pass_on(change, instance)
        return gone

    def _pass_on(self, change: Change, instance: Instance) -> None:
        """Send a new object to whom the rules name, never back to whom it came from."""
        origin = self._bench.directory.by_ae(instance.sender)
        if not self._archive.hidden(instance.sop):
            for send in routing.route(self._archive, instance, origin):
                change.send(send)
        for send in routing.fetch_ahead(self._archive, instance.patient, routing.STORED, instance.study):
            change.send(send)

    def move(self, change: Change, studies: Iterable[str], tier: str) -> None:
        """Move studies to a tier, and tell how available they are now."""
        at = self._bench.clock.now().isoformat()
        for study in studies:
            old = self._archive.places.get(study) or Place(study)
            self._archive.places[study] = replace(old, tier=tier, at=at)
            if old.tier != tier:
                self.changed(change, study)

    def remove(self, change: Change, study: str, reason: str) -> list[str]:
        """Delete a study, tell so, and return the files to delete."""
        gone = tiers.remove(self._archive, study, reason, self._bench.clock.now().isoformat())
        self.changed(change, study, gone)
        return self._archive.orphans(gone)

    def ended(self, change: Change, step: Performed) -> None:
        """Tell that a performed step is over and all of it is here, once."""
        if not steps.complete(self._archive, step):
            return
        self._archive.performed[step.uid] = replace(step, told=True)
        instances = [self._archive.instances[sop] for sop in step.sops]
        for study in dict.fromkeys(one.study for one in instances):
            self.tell(change, study, [one for one in instances if one.study == study], step)
        if self._archive.habits.makes_task(self._settings.reading_tasks):
            task = uid(self._archive.seed, self._archive.name, "task", step.uid)
            now = self._bench.clock.now()
            ups.create(self._archive, task, *ups.reading_task(self._archive, step, self._bench.ae_title, now))
            self.watchers.changed(change, task, None)

    def tell(
        self, change: Change, study: str, instances: Iterable[Instance], step: Performed | None = None
    ) -> None:
        """Put a notice for everybody who is to hear of it into the outbox (RAD-49)."""
        attributes = availability.notification(self._archive, study, instances, self._bench.ae_title, step)
        for name in self._settings.notify:
            address = self._bench.directory.get(name)
            if address is None or not (address.worklist or address.dicom):
                continue
            notice = uid(self._archive.seed, self._archive.name, "notice", self._archive.next("notice"))
            change.send(
                dimse_send(
                    name,
                    "create",
                    availability.IAN,
                    notice,
                    attributes,
                    control=self._archive.control(),
                    door="worklist" if address.worklist else "dicom",
                )
            )

    def changed(self, change: Change, study: str, gone: Iterable[Instance] = ()) -> None:
        """Tell how available everything of a study is now, what was just deleted included."""
        left = [*self._archive.instances.by("study", study), *gone]
        meant = [one for one in left if not self._is_note(one.sop)]
        if meant:
            self.tell(change, study, meant, availability.step_of(self._archive, meant))

    def _reject(self, change: Change, note: Instance, content: rejection.RejectionNote) -> list[str]:
        at = self._bench.clock.now().isoformat()
        touched = rejection.reject(self._archive, note, content, at, quality=self._settings.quality)
        gone = rejection.doomed(self._archive, note.sop)
        for one in gone:
            del self._archive.instances[one.sop]
        for study in dict.fromkeys(one.study for one in gone):
            if not self._archive.remaining(study):
                row, count = self._archive.studies[study], sum(one.study == study for one in gone)
                self._archive.removals[study] = Removal(
                    study, rejection.REASONS[content.code], count, row.accession, row.patient, at
                )
        for send in routing.follow(self._archive, note, [sop for *_, sop in content.references]):
            change.send(send)
        for study in touched:
            self.changed(change, study, [one for one in gone if one.study == study and one.sop != note.sop])
        return self._archive.orphans(gone)

    def _is_note(self, sop: str) -> bool:
        rejected = self._archive.rejections.get(sop)
        return rejected is not None and rejected.note == sop
