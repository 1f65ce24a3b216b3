"""Wireshark's dissector as peer: what our cores put on the wire has no malformed packet."""

import json
import shutil
import struct
import subprocess

import pytest

from stepwedge.wire.dimse import Channel, Message
from stepwedge.wire.dul import Release, Released, UpperLayer
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, encode
from stepwedge.wire.negotiation import Proposal, Role, answer, contexts
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE, MPPS, VERIFICATION, WORKLIST

CT = "1.2.840.10008.5.1.4.1.1.2"
PORT = 11112

pytestmark = pytest.mark.skipif(
    shutil.which("tshark") is None, reason="tshark is not installed (package tshark)"
)


def conversation():
    """Play one association of a scanner; yield (from the scanner, bytes)."""
    scanner, hospital = Channel(UpperLayer(requestor=True)), Channel(UpperLayer(requestor=False))
    proposal = Proposal(
        "SW_CT1",
        "PACS",
        contexts([VERIFICATION, WORKLIST, MPPS, COMMITMENT, CT]),
        roles=(Role(CT, scu=False, scp=True),),
    )

    def pass_on(sender, receiver, raw):
        receiver.upper.receive_data(raw)
        while type(receiver.next_event()).__name__ != "NeedData":
            pass
        return sender is scanner, raw

    def say(sender, receiver, context_id, command, elements=None):
        data = encode(elements, explicit=True) if elements else b""
        command = {**command, "CommandDataSetType": 1 if data else 0x0101}
        return pass_on(sender, receiver, b"".join(sender.send_message(Message(context_id, command, data))))

    yield pass_on(scanner, hospital, scanner.send(proposal))
    accepts = dict.fromkeys((VERIFICATION, WORKLIST, MPPS, COMMITMENT, CT), (EXPLICIT_LE, IMPLICIT_LE))
    yield pass_on(hospital, scanner, hospital.send(answer(proposal, accepts, 16384)))
    yield say(
        scanner, hospital, 1, {"AffectedSOPClassUID": VERIFICATION, "CommandField": 0x30, "MessageID": 1}
    )
    yield say(hospital, scanner, 1, {"AffectedSOPClassUID": VERIFICATION, "CommandField": 0x8030,
                                     "MessageIDBeingRespondedTo": 1, "Status": 0})  # fmt: skip
    yield say(
        scanner, hospital, 3,
        {"AffectedSOPClassUID": WORKLIST, "CommandField": 0x20, "MessageID": 2, "Priority": 0},
        {"PatientID": "SW1", "ScheduledProcedureStepSequence": [{"Modality": "CT"}]},
    )  # fmt: skip
    yield say(
        hospital, scanner, 3,
        {"AffectedSOPClassUID": WORKLIST, "CommandField": 0x8020, "MessageIDBeingRespondedTo": 2, "Status": 0xFF00},
        {"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Jörg",
         "ScheduledProcedureStepSequence": [{"Modality": "CT"}, {"Modality": "CT"}]},
    )  # fmt: skip
    yield say(hospital, scanner, 3, {"AffectedSOPClassUID": WORKLIST, "CommandField": 0x8020,
                                     "MessageIDBeingRespondedTo": 2, "Status": 0})  # fmt: skip
    yield say(
        scanner, hospital, 9,
        {"AffectedSOPClassUID": CT, "CommandField": 1, "MessageID": 3, "Priority": 0, "AffectedSOPInstanceUID": "2.25.1"},
        {"SOPClassUID": CT, "SOPInstanceUID": "2.25.1", "PatientName": "A^B", "Rows": 100, "PixelData": bytes(50_000)},
    )  # fmt: skip
    yield say(
        scanner, hospital, 7,
        {"RequestedSOPClassUID": COMMITMENT, "CommandField": 0x130, "MessageID": 4, "ActionTypeID": 1,
         "RequestedSOPInstanceUID": COMMITMENT_INSTANCE},
        {"TransactionUID": "2.25.6", "ReferencedSOPSequence": [{"ReferencedSOPInstanceUID": "2.25.1"}]},
    )  # fmt: skip
    yield pass_on(scanner, hospital, scanner.send(Release()))
    yield pass_on(hospital, scanner, hospital.send(Released()))


def capture(path, exchanges):
    """Write the conversation as a pcap of raw IPv4 packets, as a capture of loopback would hold it."""
    sequence = {True: 1, False: 1}
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101))
        for number, (from_scanner, raw) in enumerate(exchanges):
            for start in range(0, len(raw), 1400):
                part = raw[start : start + 1400]
                ports = (40000, PORT) if from_scanner else (PORT, 40000)
                tcp = struct.pack(
                    ">HHIIBBHHH",
                    *ports,
                    sequence[from_scanner],
                    sequence[not from_scanner],
                    0x50,
                    0x18,
                    65535,
                    0,
                    0,
                )
                sequence[from_scanner] += len(part)
                size = 40 + len(part)
                address = b"\x7f\0\0\1\x7f\0\0\1"
                file.write(struct.pack("<IIII", number, start, size, size))
                file.write(struct.pack(">BBHHHBBH", 0x45, 0, size, 0, 0, 64, 6, 0) + address + tcp + part)


def test_the_dissector_finds_nothing_malformed(tmp_path):
    path = tmp_path / "association.pcap"
    capture(path, conversation())
    done = subprocess.run(
        ["tshark", "-r", path, "-d", f"tcp.port=={PORT},dicom", "-T", "json", "-e", "_ws.col.Info", "-e", "_ws.malformed",
         "-e", "_ws.expert.message", "-e", "dicom.pdu.type"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    packets = [packet["_source"]["layers"] for packet in json.loads(done.stdout)]
    infos = " | ".join(info for packet in packets for info in packet.get("_ws.col.Info", []))
    assert not [packet for packet in packets if "_ws.malformed" in packet], infos
    assert sum("dicom.pdu.type" in packet for packet in packets) >= 10, infos
    for expected in (
        "A-ASSOCIATE request",
        "A-ASSOCIATE accept",
        "C-ECHO-RQ",
        "C-FIND-RSP",
        "C-STORE-RQ",
        "N-ACTION-RQ",
        "A-RELEASE",
    ):
        assert expected in infos, infos
