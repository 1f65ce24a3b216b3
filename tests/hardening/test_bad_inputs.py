"""Inputs that are known to break such systems, door by door: each has its own refusal, nothing of it is kept, the door serves on.

What the parsers alone decide stands with them (``tests/wire``); here are the answers of whole systems over the wire.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from urllib.parse import urlsplit

import httpx
import pytest

from stepwedge.errors import Refused, WireError
from stepwedge.model.identifiers import uid
from stepwedge.wire import command as commands
from stepwedge.wire import multipart, negotiation, part10, pdu
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, encode
from stepwedge.wire.hl7 import parse
from stepwedge.wire.mllp_blocking import Link
from stepwedge.wire.results import Instance
from stepwedge.wire.services import STUDY_FIND, STUDY_MOVE, VERIFICATION

CT = "1.2.840.10008.5.1.4.1.1.2"
CALLER = "SW_CT1"
TYPED = {"Content-Type": "application/fhir+json"}


@pytest.fixture
def differences():
    """Collect what was not as expected, so that a table is walked to its end: ``differences(name, wanted, found)``."""
    found = {}

    def note(name, wanted, got):
        if got not in (wanted if isinstance(wanted, set) else {wanted}):
            found[name] = (wanted, got)

    yield note
    assert not found


# --- HL7


def hl7_inputs(w):
    """Return messages by what is wrong with them, with MSA-1 and the error code of table 0357."""
    order, admission = w.order("X1", "PX", 1), w.admission("X2", 1)

    def patient(line):
        return b"\r".join(line if part.startswith(b"PID|") else part for part in admission.split(b"\r"))

    return {
        "cancel of an order that has not come yet": (  # it is remembered: the order may come behind it
            order.replace(b"ORC|NW", b"ORC|CA").replace(b"PX", b"PNONE").replace(b"X1", b"X0"),
            "AA",
            "",
        ),
        "an order without a placer number": (order.replace(b"PX", b""), "AE", "101"),
        "an order without a procedure": (order.replace(b"CTCHEST", b""), "AE", "103"),
        "an order for an unknown procedure": (order.replace(b"CTCHEST", b"NONESUCH"), "AE", "103"),
        "a report of an unknown order": (w.report("X3", "SW999999999999", 1), "AE", "204"),
        "a report of an unknown patient": (w.report("X4", "SW999999999999", 77), "AE", "204"),
        "merged into itself": (w.admission("X5", 1, "A40", prior="SW00000001"), "AE", "205"),
        "an unknown event": (admission.replace(b"A04", b"A99"), "AR", "201"),
        "an unknown type": (admission.replace(b"ADT^A04^ADT_A01", b"BAR^P01^BAR_P01"), "AR", "200"),
        "a version that does not exist": (admission.replace(b"|2.5.1", b"|9.9"), "AR", "203"),
        "somebody real": (patient(b"PID|1||4711^^^HOSPITAL||Real^Person"), "AE", "204"),
        "a date of 30 February": (patient(b"PID|1||SW1||A||20260230"), "AE", "102"),
        "an unfinished character set escape": (
            patient(b"PID|1||SW1||A\x1b$B").replace(b"2.5.1", b"2.5.1||||||~ISO IR87"),
            "AE",
            "102",
        ),
        "a lone E9": (patient(b"PID|1||SW1||Ren\xe9"), "AE", "102"),
        "a batch": (b"BHS|^~\\&|\r" + admission + b"BTS|7\r", "AE", "100"),
        "no header": (b"PID|1||SW1\r", "AE", "100"),
        "nothing": (b"", "AE", "100"),
    }


TAKEN = {
    "formula": b"PID|1||SW00000090||=cmd\\F\\' /C calc'!A0",
    "markup": b"PID|1||SW00000091||<script>alert(1)</script>",
    "SQL": b"PID|1||SW00000092||'; DROP TABLE rows;--",
    "LDAP": b"PID|1||SW00000093||*)(uid=*",
    "line break by escape": b"PID|1||SW00000094||DOE\\X0D\\MSH\\F\\x",
    "NUL by escape": b"PID|1||SW00000095||DOE\\X00\\x",
    "path": b"PID|1||SW00000096||../../../../etc/passwd",
    "right to left": "PID|1||SW00000097||\u202eeoD^\u200bJ".encode(),
}
"""Patients whose names mean something elsewhere: names here, and nothing else."""


def test_hl7(victim, writer, differences):
    host = victim(ris={})
    ris = host.address("ris")
    with Link.open(ris.hl7.host, ris.hl7.port, 20) as link:
        assert parse(link.ask(writer.admission("G1", 1)))["MSA-1"] == "AA"
        for name, (raw, code, error) in hl7_inputs(writer).items():
            with Link.open(ris.hl7.host, ris.hl7.port, 20) as own:
                own._socket.sendall(b"\x0b" + raw + b"\x1c\r")
                answer = parse(own._socket.recv(1 << 16)[1:-2])
            differences(name, (code, error), (answer["MSA-1"], answer["ERR-3.1"] or answer["ERR-1.4.1"]))
        for number, (name, line) in enumerate(TAKEN.items()):
            raw = writer.admission(f"T{number}", 1).split(b"\r")
            raw = b"\r".join(line if part.startswith(b"PID|") else part for part in raw)
            raw = raw.replace(b"|2.5.1", b"|2.5.1||||||UNICODE UTF-8") if b"MSH-18" not in raw else raw
            differences(name, "AA", parse(link.ask(raw))["MSA-1"])
        assert parse(link.ask(writer.order("G2", "P1", 1)))["MSA-1"] == "AA"
    found = httpx.get(f"{ris.fhir}/Patient?_count=200", trust_env=False).json()
    assert found["total"] == 1 + len(TAKEN)
    assert not any("4711" in json.dumps(entry) for entry in found["entry"])
    host.unharmed()


# --- DICOM associations


def association_inputs(entity):
    """Return association requests by what is wrong with them, with the type of PDU that answers."""

    def ask(*contexts, **more):
        return negotiation.Proposal(
            more.pop("calling", CALLER), more.pop("called", entity.ae), contexts, **more
        )

    def context(number, abstract=VERIFICATION, transfers=(IMPLICIT_LE,)):
        return negotiation.Context(number, abstract, transfers)

    good = negotiation.write_proposal(ask(context(1)))

    def with_item(item):
        body = good[6:] + item
        return good[:2] + struct.pack(">I", len(body)) + body

    def without(kind):
        """Leave one item out."""
        body, at, kept = good[6:], 68, good[6:74]
        while at < len(body):
            end = at + 4 + struct.unpack_from(">H", body, at + 2)[0]
            kept += b"" if body[at] == kind else body[at:end]
            at = end
        return good[:2] + struct.pack(">I", len(kept)) + kept

    def identity(kind):
        item = struct.pack(">BBHH", kind, 1, 3, 0x5357) + b"X" + struct.pack(">H", 0)
        return with_user(struct.pack(">BBH", 0x58, 0, len(item)) + item)

    def with_user(sub):
        at = good.index(b"\x50\0", 74)
        (size,) = struct.unpack_from(">H", good, at + 2)
        whole = good[:at] + struct.pack(">BBH", 0x50, 0, size + len(sub)) + good[at + 4 :] + sub
        return whole[:2] + struct.pack(">I", len(whole) - 6) + whole[6:]

    unknown = struct.pack(">BBH", 0x77, 0, 4) + b"what"
    return {
        "no context": (without(0x20), 7),
        "no user information": (without(0x50), {2, 7}),
        "no application context": (without(0x10), {3, 7}),
        "an even number": (good.replace(b"\x20\0\0\x2e\1", b"\x20\0\0\x2e\2"), 7),
        "two contexts of one number": (negotiation.write_proposal(ask(context(1), context(1, CT))), 7),
        "an unknown item": (with_item(unknown), {2, 7}),
        "an unknown item of the user": (with_user(unknown), {2, 7}),
        "a megabyte about the user": (with_item(struct.pack(">BBH", 0x50, 0, 0xFFFF) * 16), 7),
        "another called title": (negotiation.write_proposal(ask(context(1), called="NOBODY")), 3),
        "blank titles": (good[:10] + b" " * 32 + good[42:], {3, 7}),
        "control characters in a title": (good[:26] + b"\x01\x02\0\xff" + good[30:], {2, 3, 7}),
        "another application context": (
            negotiation.write_proposal(ask(context(1), application_context="1.2.3")),
            3,
        ),
        "another protocol": (negotiation.write_proposal(ask(context(1), protocol=2)), 3),
        "an unknown abstract syntax": (negotiation.write_proposal(ask(context(1, "1.2.3"))), 2),
        "an unknown transfer syntax": (negotiation.write_proposal(ask(context(1, CT, ("1.2.3",)))), 2),
        **{f"user identity of kind {kind}": (identity(kind), {2, 7}) for kind in (0, 1, 2, 3, 4, 5, 6)},
        "data before there is an association": (b"".join(pdu.fragments(1, b"AB", 0, is_command=True)), 7),
        "a release before there is an association": (pdu.RELEASE_RQ, 7),
        "an unknown PDU": (b"\x42\0\0\0\0\0", 7),
        "HTTP": (b"GET / HTTP/1.1\r\n\r\n", 7),
    }


def test_associations(victim, differences):
    host = victim(pacs={})
    entity, sockets = host.address("pacs").dicom, host.sockets()
    for name, (raw, kind) in association_inputs(entity).items():
        with socket.create_connection((entity.host, entity.port), 20) as peer:
            peer.sendall(raw)
            differences(name, kind, peer.recv(1 << 16)[0])
    good = negotiation.write_proposal(
        negotiation.Proposal(CALLER, entity.ae, negotiation.contexts([VERIFICATION]))
    )
    with socket.create_connection((entity.host, entity.port), 20) as peer:
        peer.sendall(good)
        assert peer.recv(1 << 16)[0] == 2
        peer.sendall(good)
        differences("a second request", 7, peer.recv(1 << 16)[0])
    host.settles(sockets)
    with Association.open(
        entity.host, entity.port, calling=CALLER, called=entity.ae, contexts=[VERIFICATION]
    ) as link:
        assert link.echo().status == 0
    host.unharmed()


# --- DICOM objects, by C-STORE and STOW-RS


def object_inputs(image):
    """Return data sets by what is wrong with them, with the status of C-STORE; a set where more than one is right."""
    good = encode(image, explicit=True)
    header = encode({key: image[key] for key in image if key != "PixelData"}, explicit=True)

    def changed(**values):
        return encode({**image, **values}, explicit=True)

    def replaced(old, new):
        assert old in good
        return good.replace(old, new, 1)

    cannot = {*range(0xC000, 0xD000), 0xA900, 0x0106, 0x0110, 0x0117}
    instance = image["SOPInstanceUID"].encode()
    return {
        "nothing": (b"", cannot),
        "cut": (good[:-7], cannot),
        "longer than it is": (good + b"\x08", cannot),
        "implicit in an explicit context": (encode(image, explicit=False), cannot),
        "an unknown value representation": (replaced(b"\x10\0\x10\0PN", b"\x10\0\x10\0ZZ"), cannot),
        "undefined length where none may be": (
            header + struct.pack("<HH2s2xI", 0x0042, 0x0011, b"OB", 0xFFFFFFFF),
            cannot,
        ),
        "an item delimiter with a length": (
            header
            + struct.pack("<HH2s2xI", 0x0042, 0x0013, b"SQ", 0xFFFFFFFF)
            + struct.pack("<HHIHHI", 0xFFFE, 0xE000, 0xFFFFFFFF, 0xFFFE, 0xE00D, 8),
            cannot,
        ),
        "an item without an end": (
            header
            + struct.pack("<HH2s2xI", 0x0042, 0x0013, b"SQ", 0xFFFFFFFF)
            + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF),
            cannot,
        ),
        "ten thousand sequences in each other": (
            header
            + (
                struct.pack("<HH2s2xI", 0x0042, 0x0013, b"SQ", 0xFFFFFFFF)
                + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
            )
            * 10_000,
            cannot,
        ),
        "one element twice": (good + header[: 8 + header[6]], cannot),
        "fragments without an end": (
            header
            + struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF)
            + struct.pack("<HHI", 0xFFFE, 0xE000, 4)
            + b"abcd",
            cannot,
        ),
        "another instance": (
            replaced(instance, instance[:-1] + (b"1" if instance[-1:] != b"1" else b"2")),
            cannot,
        ),
        "another class": (changed(SOPClassUID="1.2.840.10008.5.1.4.1.1.4"), cannot),
        "no study": (changed(StudyInstanceUID=""), cannot),
        "a study with letters": (changed(StudyInstanceUID="1.2.abc"), cannot),
        "a study that is a path": (changed(StudyInstanceUID="../../etc"), cannot),
        "a study of 65 characters": (changed(StudyInstanceUID="1." + "2" * 63), cannot),
        "a study with a leading zero": (changed(StudyInstanceUID="1.02.3"), cannot | {0}),
        "a series that is a path": (changed(SeriesInstanceUID="../x"), cannot),
        "somebody real": (changed(PatientID="4711", PatientName="Real^Person"), 0x0124),
    }


def test_objects(victim, ct_image, differences):
    host = victim(pacs={})
    pacs = host.address("pacs")
    small = ct_image(1) | {"Rows": 4, "Columns": 4, "PixelData": bytes(32)}

    def link():
        entity = pacs.dicom
        return Association.open(
            entity.host,
            entity.port,
            calling=CALLER,
            called=entity.ae,
            contexts=[(CT, [EXPLICIT_LE])],
            timeout=20,
        )

    for number, name in enumerate(object_inputs(small)):
        image = small | {"SOPInstanceUID": uid("bad", number)}
        raw, status = object_inputs(image)[name]
        with link() as storing:
            differences(name, status, storing.store(CT, image["SOPInstanceUID"], EXPLICIT_LE, raw).status)
        file = part10.write(Instance(CT, image["SOPInstanceUID"], EXPLICIT_LE, raw))
        body, kind = multipart.encode([file], "application/dicom")
        answer = httpx.post(
            f"{pacs.web}/studies", content=body, headers={"Content-Type": kind}, trust_env=False
        )
        differences(
            f"{name}, by the web",
            200 if isinstance(status, set) and 0 in status and answer.status_code == 200 else 409,
            answer.status_code,
        )
    with link() as storing:
        assert (
            storing.store(CT, small["SOPInstanceUID"], EXPLICIT_LE, encode(small, explicit=True)).status == 0
        )
    kept = httpx.get(f"{pacs.web}/instances", trust_env=False).json()
    assert small["SOPInstanceUID"] in {one["00080018"]["Value"][0] for one in kept}
    assert len(kept) <= 2
    host.unharmed()


FILES = {
    "empty": b"",
    "no preamble": b"DICM" + bytes(200),
    "an ELF file": b"\x7fELF" + bytes(124) + b"DICX" + bytes(100),
    "no meta information": bytes(128) + b"DICM",
    "meta information that is cut": bytes(128) + b"DICM" + b"\2\0\0\0UL\4\0\xff\xff\xff\xff",
    "no transfer syntax": bytes(128) + b"DICM" + b"\2\0\0\0UL\4\0\0\0\0\0",
}


def test_files(victim, differences):
    host = victim(pacs={})
    root = host.address("pacs").web
    for name, raw in FILES.items():
        body, kind = multipart.encode([raw], "application/dicom")
        answer = httpx.post(f"{root}/studies", content=body, headers={"Content-Type": kind}, trust_env=False)
        differences(name, 409, answer.status_code)
    assert httpx.get(f"{root}/instances", trust_env=False).status_code == 204
    host.unharmed()


# --- DICOM questions

MANY = "\\".join(f"1.2.{number}" for number in range(6_000))
QUESTIONS = {
    "a wild card in a UID": (
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.*"},
        {0, 0xA900, 0xC000},
    ),
    "six thousand UIDs": (
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": MANY},
        {0, 0xA700, 0xA900, 0xC000},
    ),
    "a range that is reversed": ({"QueryRetrieveLevel": "STUDY", "StudyDate": "20261231-20260101"}, 0),
    "a date that is none": ({"QueryRetrieveLevel": "STUDY", "StudyDate": "19001301-x"}, {0, 0xA900, 0xC000}),
    "an unknown level": ({"QueryRetrieveLevel": "FRAME"}, {0xA900, 0xC000}),
    "no level": ({"PatientID": "*"}, {0xA900, 0xC000}),
    "an image without its study": (
        {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": ""},
        {0, 0xA900, 0xC000},
    ),
    "stars that multiply": ({"QueryRetrieveLevel": "STUDY", "PatientName": "*a" * 60 + "b"}, 0),
}


def test_questions(victim, ct_image, differences):
    host = victim(pacs={})
    entity = host.address("pacs").dicom
    contexts = [STUDY_FIND, STUDY_MOVE, CT]
    image = ct_image(1) | {"Rows": 4, "Columns": 4, "PixelData": bytes(32), "PatientName": "a" * 64}
    with Association.open(
        entity.host, entity.port, calling=CALLER, called=entity.ae, contexts=contexts, timeout=20
    ) as link:
        stored = link.store(CT, image["SOPInstanceUID"], EXPLICIT_LE, encode(image, explicit=True))
        assert stored.status == 0
        for name, (keys, status) in QUESTIONS.items():
            differences(name, status, link.find(STUDY_FIND, keys).status)
        study = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": image["StudyInstanceUID"]}
        differences("moved to nobody known", 0xA801, link.move(STUDY_MOVE, study, "NOBODY").status)
        differences("moved to itself", {0, 0xA801}, link.move(STUDY_MOVE, study, entity.ae).status)
        series = {"SeriesInstanceUID": image["SeriesInstanceUID"], "SOPInstanceUID": ""}
        assert len(link.find(STUDY_FIND, {**study, **series, "QueryRetrieveLevel": "IMAGE"})) == 1
    for name, more in {
        "priority 9": {"Priority": 9},
        "no message id": {"MessageID": None},
        "an unknown command": {"CommandField": 0x777},
    }.items():
        command = {
            "CommandField": 0x30,
            "AffectedSOPClassUID": VERIFICATION,
            "MessageID": 1,
            "CommandDataSetType": 0x0101,
        }
        command = {key: value for key, value in {**command, **more}.items() if value is not None}
        with (
            contextlib.suppress(Refused, WireError),
            Association.open(
                entity.host,
                entity.port,
                calling=CALLER,
                called=entity.ae,
                contexts=[VERIFICATION],
                timeout=20,
            ) as link,
        ):
            link._write(list(pdu.fragments(1, commands.encode(command), 0, is_command=True)))
            differences(name, {0, 0x0211, 0x0106}, link._hear(20).command["Status"])
    host.unharmed()


# --- DICOMweb and FHIR

GETS = {
    "/studies?limit=-1": 400,
    "/studies?limit=1000000000": {200, 204},
    "/studies?offset=1000000000": 204,
    "/studies?limit=1%002": 400,
    "/studies?includefield=all": {200, 204},
    "/studies?includefield=nonsense": 400,
    "/studies?fuzzymatching=maybe": 400,
    "/studies/%2e%2e/%2e%2e/etc/passwd": 404,
    "/studies/%252e%252e": 404,
    "/studies/1.2.3%00": 404,
    "/studies/" + "9" * 5000: 404,
    "/studies/1.2/series/3/instances/4/frames/0": {400, 404},
    "/studies/1.2/series/3/instances/4/frames/1,2,": {400, 404},
    "/studies/1.2/series/3/instances/4/frames/x": {400, 404},
    "/studies/1.2/series/3/instances/4/rendered?window=1,2,3": {400, 404},
    "/studies/1.2/rendered?viewport=99999999,99999999": {400, 404},
}


def test_dicomweb(victim, ct_image, differences):
    host = victim(pacs={})
    root = host.address("pacs").web
    where = urlsplit(root)
    with httpx.Client(trust_env=False, timeout=20) as client:
        for path, status in GETS.items():
            differences(path[:60], status, client.get(root + path).status_code)
        differences("Accept", 406, client.get(f"{root}/studies", headers={"Accept": "text/html"}).status_code)
        multi = 'multipart/related; type="application/dicom"; boundary=x'
        bodies = {
            "gzip": ({"Content-Type": multi, "Content-Encoding": "gzip"}, b"\x1f\x8b\x08", 415),
            "no boundary": ({"Content-Type": "multipart/related"}, b"--x--", 400),
            "an empty boundary": ({"Content-Type": 'multipart/related; boundary=""'}, b"----", 400),
            "no CRLF": ({"Content-Type": multi}, b"--x\nContent-Type: application/dicom\n\nDICM\n--x--", 400),
            "a hundred thousand parts": (
                {"Content-Type": multi},
                b"--x\r\n\r\n\r\n" * 100_001 + b"--x--",
                400,
            ),
            "JSON": (
                {"Content-Type": 'multipart/related; type="application/dicom+json"; boundary=x'},
                b"[]",
                415,
            ),
        }
        for name, (headers, body, status) in bodies.items():
            differences(
                name, status, client.post(f"{root}/studies", content=body, headers=headers).status_code
            )
        raws = {
            "two lengths": b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
            "length and chunks": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "a chunk that is no number": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            "a negative length": b"Content-Length: -1\r\n\r\n",
            "a header without end": b"X: " + b"y" * 200_000,
        }
        for name, raw in raws.items():
            with socket.create_connection((where.hostname, where.port), 20) as peer:
                with contextlib.suppress(ConnectionError):
                    peer.sendall(
                        f"POST {where.path}/studies HTTP/1.1\r\nHost: x\r\nContent-Type: {multi}\r\n".encode()
                        + raw
                    )
                differences(name, b"HTTP/1.1 400", peer.recv(12))
        file = part10.write(
            Instance(CT, ct_image(1)["SOPInstanceUID"], EXPLICIT_LE, encode(ct_image(1), explicit=True))
        )
        body, kind = multipart.encode([file], "application/dicom")
        answer = client.post(f"{root}/studies/1.2.3", content=body, headers={"Content-Type": kind})
        differences("another study in the path", 409, answer.status_code)
        assert client.get(f"{root}/instances").status_code == 204
        assert client.post(f"{root}/studies", content=body, headers={"Content-Type": kind}).status_code == 200
    host.unharmed()


def fhir_inputs():
    patient = {"resourceType": "Patient", "identifier": [{"value": "SW1"}]}
    order = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "identifier": [{"type": {"coding": [{"code": "PLAC"}]}, "value": "P1"}],
        "subject": {"identifier": {"value": "SW1"}},
        "code": {"coding": [{"code": "CTCHEST"}]},
    }
    entry = {"fullUrl": "urn:uuid:1", "resource": patient, "request": {"method": "POST", "url": "Patient"}}
    return {
        "not JSON": ("/Patient", b"{", 400),
        "XML with an entity": (
            "/Patient",
            b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><Patient>&x;</Patient>',
            {400, 415},
        ),
        "another type": ("/Patient", json.dumps({**patient, "resourceType": "Task"}).encode(), 400),
        "a key twice": ("/Patient", b'{"resourceType":"Patient","active":true,"active":false}', 400),
        "NaN": ("/Patient", b'{"resourceType":"Patient","x":NaN}', 400),
        "a NUL": ("/Patient", b'{"resourceType":"Patient","language":"\\u0000"}', 400),
        "UTF-16": ("/Patient", json.dumps(patient).encode("utf-16"), 400),
        "depth": ("/Patient", b'{"contained":[' * 3000, 400),
        "an unknown element": ("/Patient", json.dumps({**patient, "nonsense": 1}).encode(), 400),
        "a modifier that is unknown": (
            "/Patient",
            json.dumps({**patient, "modifierExtension": [{"url": "urn:x", "valueBoolean": True}]}).encode(),
            {400, 422},
        ),
        "a date that is none": ("/Patient", json.dumps({**patient, "birthDate": "2026-02-30"}).encode(), 400),
        "somebody real": (
            "/Patient",
            json.dumps({**patient, "identifier": [{"value": "4711"}]}).encode(),
            422,
        ),
        "nobody": (
            "/ServiceRequest",
            json.dumps({**order, "subject": {"identifier": {"value": "SW404"}}}).encode(),
            422,
        ),
        "a script for a reference": (
            "/ServiceRequest",
            json.dumps({**order, "subject": {"reference": "javascript:alert(1)"}}).encode(),
            {400, 422},
        ),
        "another server": (
            "/ServiceRequest",
            json.dumps({**order, "subject": {"reference": "http://10.0.0.1/Patient/1"}}).encode(),
            {400, 422},
        ),
        "one fullUrl twice": (
            "/",
            json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": [entry, entry]}).encode(),
            {400, 409, 422},
        ),
        "a Subscription to elsewhere": (
            "/Subscription",
            json.dumps(
                {
                    "resourceType": "Subscription",
                    "status": "requested",
                    "reason": "x",
                    "criteria": "Task?",
                    "channel": {"type": "rest-hook", "endpoint": "http://169.254.169.254/"},
                }
            ).encode(),
            {400, 422},
        ),
    }


FHIR_GETS = {
    "/Patient/" + "a" * 65: {400, 404},
    "/Patient/a%2Fb": {400, 404},
    "/Patient/%2e%2e": {400, 404},
    "/Patient?_count=1000000000": 200,
    "/Patient?_count=-1": 400,
    "/Patient?_count=0": 200,
    "/Patient?birthdate=never": 400,
    "/Patient?identifier:below=x": 400,
    "/Patient?name=%00": {200, 400},
    "/ServiceRequest?_include=ServiceRequest:subject&_revinclude=ServiceRequest:subject": {200, 400},
}


def test_fhir(victim, differences):
    host = victim(ris={})
    base = host.address("ris").fhir
    with httpx.Client(trust_env=False, timeout=20) as client:
        for name, (path, body, status) in fhir_inputs().items():
            answer = client.post(base + path, content=body, headers=TYPED)
            differences(name, status, answer.status_code)
            assert answer.json()["resourceType"] == "OperationOutcome", name
        for path, status in FHIR_GETS.items():
            differences(path[:60], status, client.get(base + path).status_code)
        assert client.get(f"{base}/Patient").json()["total"] == 0
        assert client.get(f"{base}/ServiceRequest").json()["total"] == 0
        assert (
            client.post(
                f"{base}/Patient",
                json={"resourceType": "Patient", "identifier": [{"value": "SW1"}]},
                headers=TYPED,
            ).status_code
            == 201
        )
    host.unharmed()
