"""Nonsense at the DICOM doors: PDUs, association requests, command sets and data sets, each alone gone wrong.

Whatever comes is answered with a status, rejected or aborted; memory stays bounded, no socket is left open, what was answered
with success is there after a kill, and a good exchange still works. A short slice runs always; all hundred thousand inputs with
``STEPWEDGE_PDUS=100000 python -m pytest --junitxml`` (which notes the figures) and this file.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
from collections import Counter

import pytest

from stepwedge.wire import command as commands
from stepwedge.wire import negotiation, pdu
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, decode, encode
from stepwedge.wire.services import MPPS, STUDY_FIND, VERIFICATION, WORKLIST

INPUTS = int(os.environ.get("STEPWEDGE_PDUS", "1000"))
MIB = 1 << 20
CT = "1.2.840.10008.5.1.4.1.1.2"
SCANNER = "SW_CT1"
WORDS = (
    struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF),
    struct.pack("<HHI", 0xFFFE, 0xE00D, 8),
    struct.pack("<HHI", 0xFFFE, 0xE0DD, 0),
    b"\x08\0\x05\0CS\x10\0ISO 2022 IR 9999",
    b"SQ\0\0\xff\xff\xff\xff",
    b"UN\0\0\xff\xff\xff\xff",
    b"../../../../etc/passwd",
    b"\x1b$B\xe9",
    b"*?*?*?*?*?*?*?*?",
    b"\\" * 200,
)
STEP = "ScheduledProcedureStepSequence"
QUERY = {
    "PatientID": "SW*",
    "PatientName": "D*",
    STEP: [{"Modality": "CT", "ScheduledStationAETitle": SCANNER}],
}
STUDIES = {
    "QueryRetrieveLevel": "STUDY",
    "PatientName": "D*",
    "StudyInstanceUID": "",
    "StudyDate": "20260101-",
}
PERFORMED = {
    "ScheduledStepAttributesSequence": [
        {"StudyInstanceUID": "2.25.9", "AccessionNumber": "", "RequestedProcedureID": ""}
    ],
    "PatientID": "SW12345678",
    "PerformedProcedureStepID": "PPS1",
    "PerformedStationAETitle": SCANNER,
    "PerformedProcedureStepStartDate": "20261124",
    "PerformedProcedureStepStartTime": "100000",
    "PerformedProcedureStepStatus": "IN PROGRESS",
    "Modality": "CT",
}


def deep(depth):
    """Return sequences in each other, of undefined length."""
    return (b"\x08\0\x15\x11SQ\0\0\xff\xff\xff\xff" + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * depth


class Attack:
    """The ways to go wrong, and what was answered."""

    def __init__(self, archive, ris, small, wrong):
        self.archive, self.ris, self.small, self.wrong = archive, ris, small, wrong
        self.dice = random.Random(3)  # noqa: S311 - the same nonsense in every run
        self.stored, self.told = set(), Counter()
        self.open = {}
        self.number = 0

    # --- bytes below the messages

    def throw(self, entity, raw, proposal=None, *, whole=False):
        """Send bytes, after an association when one is proposed, say no more, and return what comes.

        What is ``whole`` must be answered while the sender still listens for more.
        """
        heard = b""
        with (
            socket.create_connection((entity.host, entity.port), 20) as peer,
            contextlib.suppress(ConnectionError),
        ):
            if proposal:
                peer.sendall(proposal)
                assert peer.recv(1 << 16)[:1] == b"\x02"
            peer.sendall(raw)
            if whole:
                heard = peer.recv(1 << 16)
                assert heard
            peer.shutdown(socket.SHUT_WR)
            while data := peer.recv(1 << 16):
                heard += data
        return heard

    def proposal(self, entity, *contexts):
        return negotiation.write_proposal(
            negotiation.Proposal(SCANNER, entity.ae, negotiation.contexts(contexts))
        )

    def association_request(self):
        entity = self.dice.choice((self.archive, self.ris))
        raw = self.wrong(self.dice, self.proposal(entity, VERIFICATION, CT, WORKLIST), b"\x20\x21\x50")
        if self.dice.random() < 0.7 and len(raw) > 6:  # a length that is right lets the rest be looked at
            raw = raw[:2] + struct.pack(">I", len(raw) - 6) + raw[6:]
        whole = len(raw) > 6 and raw[0] == 1 and int.from_bytes(raw[2:6], "big") == len(raw) - 6
        heard = self.throw(entity, raw, whole=whole)
        assert heard[:1] in {b"", b"\x02", b"\x03", b"\x07"}
        self.told[
            {b"": "closed", b"\x02": "accepted", b"\x03": "rejected", b"\x07": "aborted"}[heard[:1]]
        ] += 1

    def message(self, command, data):
        raw = b"".join(pdu.fragments(1, command, 4096, is_command=True))
        return raw + b"".join(pdu.fragments(1, data, 4096, is_command=False))

    def stream(self):
        """A good message whose PDUs are changed anywhere."""
        entity, sop_class, command, data = self.chosen()
        raw = self.wrong(self.dice, self.message(commands.encode(command), data), b"\x04\x01\x03")
        self.told["stream " + self.seen(self.throw(entity, raw, self.proposal(entity, sop_class)))] += 1

    def command(self):
        """Whole PDUs around a command set gone wrong."""
        entity, sop_class, command, data = self.chosen()
        raw = self.wrong(self.dice, commands.encode(command), b"\0", (b"\0\0\0\1\2\0\0\0\x30\0", b"\xff" * 8))
        self.told[
            "command "
            + self.seen(self.throw(entity, self.message(raw, data), self.proposal(entity, sop_class)))
        ] += 1

    def seen(self, heard):
        return {b"": "closed", b"\x04": "answered", b"\x07": "aborted", b"\x06": "released"}[heard[:1]]

    def chosen(self):
        self.number += 1
        image = self.small(self.number % 50)
        field, entity, sop_class, data = self.dice.choice(
            (
                (1, self.archive, CT, image),
                (0x20, self.archive, STUDY_FIND, STUDIES),
                (0x20, self.ris, WORKLIST, QUERY),
                (0x140, self.ris, MPPS, PERFORMED),
            )
        )
        instance = image["SOPInstanceUID"] if field == 1 else f"2.25.{self.number}"
        command = {
            "CommandField": field,
            "AffectedSOPClassUID": sop_class,
            "MessageID": 1,
            "CommandDataSetType": 0,
        }
        command |= {"Priority": 0} if field < 0x100 else {}
        command |= {} if field == 0x20 else {"AffectedSOPInstanceUID": instance}
        return entity, sop_class, command, encode(data, explicit=True)

    # --- data sets

    def spoil(self, elements):
        if self.dice.random() < 0.02:
            return deep(self.dice.choice((30, 40, 10_000)))
        return self.wrong(self.dice, encode(elements, explicit=True), b"", WORDS)

    def data_set(self):
        """A good command over a data set gone wrong; every one must be answered with a status."""
        self.number += 1
        image = self.small(self.number)
        name = self.dice.choice(("archive", "ris"))
        verb = self.dice.choice(("store", "find") if name == "archive" else ("find", "create"))
        link = self.linked(name)
        channel, entity = link._channel, (self.archive if name == "archive" else self.ris)
        sop_class = {"store": CT, "create": MPPS}.get(verb) or (
            STUDY_FIND if entity is self.archive else WORKLIST
        )
        instance = image["SOPInstanceUID"] if verb == "store" else f"2.25.{self.number}"
        data = self.spoil({CT: image, MPPS: PERFORMED, STUDY_FIND: STUDIES, WORKLIST: QUERY}[sop_class])
        context = next(one for one in channel.contexts.values() if one.abstract == sop_class)
        command = {
            "CommandField": {"store": 1, "find": 0x20, "create": 0x140}[verb],
            "MessageID": self.number % 60_000 + 1,
        }
        command |= {"AffectedSOPClassUID": sop_class, "CommandDataSetType": 0}
        command |= {"Priority": 0} if verb != "create" else {}
        command |= {"AffectedSOPInstanceUID": instance} if verb != "find" else {}
        link._write([b"".join(self.numbered(context.id, commands.encode(command), data))])
        while (answer := link._hear(20)).command["Status"] & 0xFF00 == 0xFF00:
            decode(answer.data, explicit=True)
        status = answer.command["Status"]
        self.told[f"{verb} {status:04X}"] += 1
        if verb == "store" and status == 0:
            self.stored.add(instance)

    def numbered(self, context, command, data):
        yield from pdu.fragments(context, command, 16384, is_command=True)
        yield from pdu.fragments(context, data, 16384, is_command=False)

    def linked(self, name):
        if name not in self.open:
            entity = self.archive if name == "archive" else self.ris
            contexts = [CT, STUDY_FIND] if name == "archive" else [WORKLIST, MPPS]
            self.open[name] = Association.open(
                entity.host,
                entity.port,
                calling=SCANNER,
                called=entity.ae,
                contexts=[(one, [EXPLICIT_LE]) for one in contexts],
                timeout=20,
            )
        return self.open[name]

    def close(self):
        for each in self.open.values():
            each.release()


@pytest.fixture
def small(ct_image):
    def make(number):
        from stepwedge.model.identifiers import uid

        return ct_image(1) | {
            "Rows": 4,
            "Columns": 4,
            "PixelData": bytes(32),
            "SOPInstanceUID": uid("fuzz", number),
            "InstanceNumber": str(number),
        }

    return make


@pytest.mark.timeout(2400)
def test_pdus_and_data_sets_of_nonsense_are_survived(victim, small, wrong, record_testsuite_property):
    host = victim(ris={}, pacs={})
    archive, ris = host.address("pacs").dicom, host.address("ris").worklist
    attack = Attack(archive, ris, small, wrong)
    at_first, floor = host.sockets(), 0
    for number in range(INPUTS):
        kind = attack.dice.choices(("data_set", "association_request", "stream", "command"), (7, 1, 1, 1))[0]
        getattr(attack, kind)()
        if number == INPUTS // 4:
            floor = host.peak()
    attack.close()
    peak = host.peak()
    grown = peak - floor
    host.settles(at_first)
    host.unharmed()
    with Association.open(
        archive.host, archive.port, calling=SCANNER, called=archive.ae, contexts=[CT]
    ) as good:
        image = small(INPUTS + 1)
        assert good.store(CT, image["SOPInstanceUID"], EXPLICIT_LE, encode(image, explicit=True)).status == 0
    attack.stored.add(image["SOPInstanceUID"])
    rows = attack.told["create 0000"] + len(attack.stored)
    assert grown < 48 * MIB + 8192 * rows, f"{grown / MIB:.1f} MiB more for {rows} rows"
    assert {"accepted", "rejected", "aborted", "find 0000", "store 0000"} <= set(attack.told)
    host.kill()
    host.start()
    kept = retrieved(host.address("pacs").dicom, image["StudyInstanceUID"])
    assert attack.stored <= kept
    figures = ", ".join(f"{count} {what}" for what, count in attack.told.most_common())
    record_testsuite_property(
        "figures",
        f"{INPUTS} inputs: {figures}; {peak / MIB:.0f} MiB at most, {grown / MIB:.1f} after the first quarter",
    )


def retrieved(entity, study):
    """Return the instances that the archive lists, in whatever study the nonsense has put them."""
    with Association.open(
        entity.host, entity.port, calling=SCANNER, called=entity.ae, contexts=[STUDY_FIND], timeout=120
    ) as asking:
        found = set()
        for one in asking.find(STUDY_FIND, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}):
            for series in asking.find(
                STUDY_FIND,
                {
                    "QueryRetrieveLevel": "SERIES",
                    "StudyInstanceUID": one["StudyInstanceUID"],
                    "SeriesInstanceUID": "",
                },
            ):
                keys = {key: series[key] for key in ("StudyInstanceUID", "SeriesInstanceUID")}
                answers = asking.find(
                    STUDY_FIND, {"QueryRetrieveLevel": "IMAGE", **keys, "SOPInstanceUID": ""}
                )
                found |= {each["SOPInstanceUID"] for each in answers}
        return found
