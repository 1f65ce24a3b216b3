"""Four gigabytes that are announced and never come: refused before any memory is taken, and the door stays open."""

from __future__ import annotations

import contextlib
import socket
import struct
from urllib.parse import urlsplit

import httpx
import pytest

from stepwedge.errors import WireError
from stepwedge.wire import command as commands
from stepwedge.wire import mllp, multipart, negotiation, pdu
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.services import STUDY_FIND, VERIFICATION, WORKLIST

MIB = 1 << 20
GIANT = 0xFFFFFFF0
CT = "1.2.840.10008.5.1.4.1.1.2"
CALLER = "SW_CT1"
ABORTED = b"\x07"


@pytest.fixture
def besieged(victim):
    """A host that has served every door once, so that what it still learns is not taken for what it was made to allocate."""
    host = victim(ris={}, pacs={}, auditor={})
    echo(host)
    httpx.get(f"{host.address('pacs').web}/studies", trust_env=False)
    httpx.post(f"{host.address('ris').fhir}/Patient", content=b"{}", trust_env=False)
    before = host.peak()
    yield host
    echo(host)
    host.unharmed()
    assert host.peak() - before < 24 * MIB, f"{(host.peak() - before) / MIB:.0f} MiB were taken"


def echo(host):
    for entity in (host.address("pacs").dicom, host.address("ris").worklist):
        with Association.open(
            entity.host, entity.port, calling=CALLER, called=entity.ae, contexts=[VERIFICATION], timeout=20
        ) as link:
            assert link.echo().status == 0


def conversation(point, *pieces):
    """Send pieces, each after an answer to the one before; return the last answer."""
    heard = b""
    with (
        socket.create_connection((point.host, point.port), 20) as peer,
        contextlib.suppress(ConnectionResetError),
    ):
        for piece in pieces:
            peer.sendall(piece)
            heard = peer.recv(1 << 16)
    return heard


def proposal(entity, *contexts):
    return negotiation.write_proposal(negotiation.Proposal(CALLER, entity.ae, negotiation.contexts(contexts)))


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack(">BxI", 4, GIANT),
        struct.pack(">BxIIBB", 4, 100, GIANT, 1, 3) + bytes(94),
        b"".join(
            pdu.fragments(
                1,
                b"\0\0\0\0\4\0\0\0" + struct.pack("<I", GIANT) + b"\0\0\2\0" + struct.pack("<I", GIANT),
                0,
                is_command=True,
            )
        ),
    ],
    ids=["PDU", "presentation data value", "command element"],
)
def test_lengths_below_the_data_set(besieged, raw):
    entity = besieged.address("pacs").dicom
    assert conversation(entity, proposal(entity, VERIFICATION), raw)[:1] == ABORTED


@pytest.mark.parametrize("kind", [1, 2, 3, 5, 6, 7])
def test_lengths_of_other_pdus(besieged, kind):
    """Before there is an association; an answer is an A-ABORT, or the connection is closed."""
    assert conversation(besieged.address("pacs").dicom, struct.pack(">BxI", kind, GIANT))[:1] in {
        ABORTED,
        b"",
    }


def test_an_item_of_an_association_request(besieged):
    entity = besieged.address("pacs").dicom
    raw = bytearray(proposal(entity, VERIFICATION))
    at = raw.index(b"\x50\0", 74)
    raw[at + 2 : at + 4] = b"\xff\xff"
    assert conversation(entity, bytes(raw))[:1] == ABORTED


def sized(tag, vr, length, tail=b""):
    return struct.pack("<HH2s2xI", tag >> 16, tag & 0xFFFF, vr, length) + tail


LENGTHS = {
    "element": sized(0x00420011, b"OB", GIANT),
    "sequence": sized(0x00081115, b"SQ", GIANT),
    "item": sized(0x00081115, b"SQ", 0xFFFFFFFF, struct.pack("<HHI", 0xFFFE, 0xE000, GIANT)),
    "pixels": sized(0x7FE00010, b"OW", GIANT),
    "fragment": sized(0x7FE00010, b"OB", 0xFFFFFFFF, struct.pack("<HHI", 0xFFFE, 0xE000, GIANT)),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_lengths_inside_a_data_set(besieged, ct_image, name):
    archive, ris = besieged.address("pacs"), besieged.address("ris").worklist
    image = ct_image(1)
    image.pop("PixelData")
    broken = (
        encode(
            {
                key: image[key]
                for key in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
            },
            explicit=True,
        )
        + LENGTHS[name]
    )
    for entity, context, field in (
        (archive.dicom, CT, 1),
        (archive.dicom, STUDY_FIND, 0x20),
        (ris, WORKLIST, 0x20),
    ):
        with Association.open(
            entity.host,
            entity.port,
            calling=CALLER,
            called=entity.ae,
            contexts=[(context, [EXPLICIT_LE])],
            timeout=20,
        ) as link:
            command = {
                "CommandField": field,
                "AffectedSOPClassUID": context,
                "MessageID": 1,
                "Priority": 0,
                "CommandDataSetType": 0,
            }
            command |= {"AffectedSOPInstanceUID": image["SOPInstanceUID"]} if field == 1 else {}
            link._write(list(pdu.fragments(1, commands.encode(command), 0, is_command=True)))
            link._write(list(pdu.fragments(1, broken, 0, is_command=False)))
            assert link._hear(20).command["Status"] & 0xF000 == 0xC000


def test_content_lengths(besieged):
    """A body that is announced too large is refused by its announcement; one that is cut is never taken for whole."""
    archive, fhir = besieged.address("pacs").web, besieged.address("ris").fhir
    wanted = {
        (f"{archive}/studies", 'multipart/related; type="application/dicom"; boundary=x'): b"413",
        (f"{fhir}/Patient", "application/fhir+json"): b"413",
    }
    for (url, kind), status in wanted.items():
        where = urlsplit(url)
        head = f"POST {where.path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {1 << 32}\r\n\r\n"
        with socket.create_connection((where.hostname, where.port), 20) as peer:
            peer.sendall(head.encode())
            assert peer.recv(1 << 16)[9:12] == status


def test_the_length_of_a_part(besieged):
    body = b"--x\r\nContent-Type: application/dicom\r\nContent-Length: 4294967296\r\n\r\nshort\r\n--x--"
    kind = 'multipart/related; type="application/dicom"; boundary=x'
    answer = httpx.post(
        f"{besieged.address('pacs').web}/studies",
        content=body,
        headers={"Content-Type": kind},
        trust_env=False,
    )
    assert answer.status_code == 400
    assert "4294967296" in answer.text


def test_a_part_grows_beyond_its_bound():
    reader = multipart.Reader("multipart/related; boundary=x", part_limit=1000)
    reader.receive_data(b"--x\r\n\r\n" + bytes(1000 + multipart.HEAD_LIMIT + 1))
    with pytest.raises(WireError, match="longer than 1000"):
        list(reader.parts())


def test_a_page_of_four_billion(besieged):
    """A limit is no promise to allocate."""
    for name in ("limit", "offset"):
        answer = httpx.get(f"{besieged.address('pacs').web}/studies?{name}={1 << 32}", trust_env=False)
        assert answer.status_code == 204


def test_the_length_of_a_syslog_frame(besieged):
    assert conversation(besieged.address("auditor").syslog, b"4294967296 <85>1 ") == b""


def test_a_message_without_an_end(besieged):
    """MLLP announces nothing, so that a message is counted as it grows."""
    door = besieged.address("ris").hl7
    with socket.create_connection((door.host, door.port), 20) as peer, contextlib.suppress(ConnectionError):
        peer.sendall(b"\x0bMSH|")
        sent = 0
        while sent < 64 * MIB:
            sent += peer.send(b"A" * MIB)
    assert sent < mllp.MESSAGE_LIMIT + 8 * MIB
