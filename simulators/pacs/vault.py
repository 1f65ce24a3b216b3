"""Objects in and out of the archive, whichever door they came through: file, index, and the patient as known now."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

from stepwedge.errors import Refused, RemoteProtocolError
from stepwedge.evidence.redact import refusal
from stepwedge.sim import datasets
from stepwedge.sim.files import Files, name_of
from stepwedge.sim.full import OUT_OF_RESOURCES, full
from stepwedge.wire.encodings import EVERY, PLAIN
from stepwedge.wire.storage_classes import storage_classes

from . import objects, transcoding
from .hl7 import moment
from .state import Filing, Note, patient_key

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

    from .life import Life
    from .state import Archive, Instance

SYNTAXES = frozenset(EVERY)
CANNOT_UNDERSTAND = 0xC000
SYNTAX_NOT_SUPPORTED = 0xC122
"""PS3.18 table I.2-2; over DIMSE such a presentation context is not accepted in the first place."""
PROCESSING_FAILURE = 0x0110
CLASS_NOT_SUPPORTED = 0x0122
"""PS3.18 table I.2-2; over DIMSE its presentation context is not accepted in the first place."""
_CLASSES = frozenset(storage_classes())
NOT_AUTHORIZED = 0x0124
COMMENT_LIMIT = 64
"""Error Comment (0000,0902) is LO."""


class Damaged(Refused):
    """An image is not what it was when it came."""


class Vault:
    """The stored objects."""

    def __init__(self, bench: Bench, archive: Archive, life: Life) -> None:
        self.archive = archive
        self._life = life
        self._bench = bench
        self._files = bench.objects = Files(bench.folder / "objects")

    def take(
        self, sop_class: str, sop: str, transfer_syntax: str, data: bytes, sender: str, *, study: str = ""
    ) -> Filing:
        """Keep one received data set; when this returns status 0, file and index row are there whatever happens next.

        ``study`` is the only study it may belong to, when the sender named one.
        """
        if not_kept := _not_kept(sop_class, transfer_syntax):
            return not_kept
        try:
            data, transfer_syntax = transcoding.kept(data, transfer_syntax)
            instance = objects.read(sop_class, sop, transfer_syntax, data)
            self._sound(instance, data, transfer_syntax)
        except RemoteProtocolError as error:
            return _refused(CANNOT_UNDERSTAND, str(error))
        if study and instance.study != study:
            return _refused(PROCESSING_FAILURE, "the object belongs to another study than the request")
        at = self._bench.clock.now().isoformat()
        instance = self._owned(replace(instance, sender=sender, at=at))
        try:
            return self._kept(instance, data, at)
        except (OSError, sqlite3.OperationalError) as trouble:
            if not full(trouble):
                raise
            if all(one.file != instance.file for one in self.archive.instances.values()):
                self.discard([instance.file])  # a file whose row found no room is nobody's
            if not (status := self.archive.habits.refuses_when_full(OUT_OF_RESOURCES)):
                return Filing(status, "", "full")
            return _refused(status, "out of resources: no room on the disk")

    def _sound(self, instance: Instance, data: bytes, transfer_syntax: str) -> None:
        """Raise RemoteProtocolError when pixels are missing that the header speaks of, or it cannot be read here."""
        if self.archive.habits.refuses_charset(str(instance.header.get("SpecificCharacterSet", ""))):
            raise RemoteProtocolError("the character set is not compatible")
        reading = datasets.read(data, transfer_syntax)
        missing = objects.short(reading.header, reading.size) if transfer_syntax in PLAIN else 0
        if self.archive.habits.refuses_short(missing):
            raise RemoteProtocolError(f"{missing} bytes of the pixels are missing")

    def _owned(self, instance: Instance) -> Instance:
        """Return the instance under its patient; one without a number is nobody else's."""
        if instance.patient.partition("^^^")[0]:
            return instance
        return replace(instance, patient=patient_key("", self.archive.habits.unnumbered(instance.study)))

    def _kept(self, instance: Instance, data: bytes, at: str) -> Filing:
        """Keep one instance, file and index in one transaction; raises what the disk says."""
        sop, gone = instance.sop, list[str]()
        with self._bench.change(self.archive) as change:
            patient, uids = (
                instance.patient.partition("^^^")[0],
                (instance.study, instance.series, instance.sop),
            )
            if why := refusal(self._bench.identity, patients=[patient], uids=uids):
                self.archive.notes[str(self.archive.next("note"))] = Note("not synthetic", why, at)
                return _refused(NOT_AUTHORIZED, why)
            rejected = sop in self.archive.rejections
            filing = self.archive.file(instance, at)
            if filing.fate == "stored":
                self._files.keep(instance.file, data)
                gone = self._life.stored(change, instance, data)
            if rejected and sop not in self.archive.rejections:
                self._life.changed(change, instance.study)  # it is here again
        self.discard(gone)
        return replace(filing, comment=filing.comment[:COMMENT_LIMIT]) if filing.comment else filing

    def give(self, instance: Instance) -> bytes:
        """Return a data set as it leaves: the bytes that came, with the patient as the index knows them now."""
        habits, data = self.archive.habits, self._files.read(instance.file)
        if habits.notices(name_of(data) != instance.file):
            raise Damaged(f"image {instance.sop} is not on the disk as it came")
        changes = habits.rewrites(self.archive.corrections(instance))
        if not changes:
            return objects.rewritten(data, instance.transfer_syntax, changes, habits.pixels)
        at = self.archive.corrected_at(instance) or moment(self._bench.clock.now())
        original = habits.originals(objects.original(instance, changes, at, self._bench.application))
        return objects.rewritten(data, instance.transfer_syntax, changes, habits.pixels, original)

    def deliver(self, instance: Instance, transfer_syntax: str) -> bytes:
        """Return a data set as it leaves, in another transfer syntax; raises CannotConvert when that would lose something."""
        seen = self.archive.habits.transcoded
        return transcoding.delivered(self.give(instance), instance.transfer_syntax, transfer_syntax, seen)

    def damaged(self, instance: Instance) -> bool:
        """Tell whether an image is on the disk otherwise than it came; files are named by what they held then."""
        return name_of(self._files.read(instance.file)) != instance.file

    def turn_over(self, instance: Instance) -> None:
        """Turn the last byte of an image over on the disk; done twice it is as it was."""
        data = self._files.read(instance.file)
        self._files.path(instance.file).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    def discard(self, files: list[str]) -> None:
        """Delete files that no instance needs; after the commit, so that a row never misses its file."""
        for name in files:
            self._files.remove(name)

    def lost(self, sops: list[str]) -> frozenset[str]:
        """Return those of the instances whose file is not there."""
        known = [one for sop in sops if (one := self.archive.instances.get(sop)) is not None]
        return frozenset(one.sop for one in known if not self._files.has(one.file))


def _not_kept(sop_class: str, transfer_syntax: str) -> Filing | None:
    """Refuse what is of no kind, or in no encoding, that is kept here."""
    if transfer_syntax not in SYNTAXES:
        return _refused(SYNTAX_NOT_SUPPORTED, f"transfer syntax {transfer_syntax} is not kept")
    if sop_class not in _CLASSES:
        return _refused(CLASS_NOT_SUPPORTED, f"SOP class {sop_class} is not kept")
    return None


def _refused(status: int, comment: str) -> Filing:
    return Filing(status, comment[:COMMENT_LIMIT], "refused")
