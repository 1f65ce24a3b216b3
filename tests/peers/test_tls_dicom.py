"""DICOM over TLS with software we did not write: DCMTK, pynetdicom, Orthanc, and Wireshark's dissector."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager

import pydicom
import pytest
from pynetdicom import AE, StoragePresentationContexts, build_role, evt
from pynetdicom.pdu import A_ASSOCIATE_AC
from pynetdicom.pdu_items import PresentationContextItemAC
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as Get
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as Move
from pynetdicom.sop_class import Verification

from stepwedge.errors import LinkLost, WireError
from stepwedge.wire import part10
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.results import Instance
from stepwedge.wire.services import STUDY_FIND, VERIFICATION
from stepwedge.wire.tls import Credentials, TlsRefused

pytestmark = pytest.mark.peer

CT = "1.2.840.10008.5.1.4.1.1.2"
ORTHANC = "/usr/sbin/Orthanc"


@pytest.fixture
def image(ct_image):
    """Return one CT image as an instance, and its elements."""
    made = ct_image(1)
    return Instance(CT, made["SOPInstanceUID"], EXPLICIT_LE, encode(made, explicit=True)), made


@pytest.fixture
def file(image, tmp_path):
    """Return the same as a file."""
    path = tmp_path / "image.dcm"
    path.write_bytes(part10.write(image[0]))
    return path


def dcmtk(papers, name="probe", *options):
    """Return the options that let a tool of DCMTK present a certificate and judge ours with revocation lists."""
    own = (papers / f"{name}.key", papers / f"{name}.pem")
    return ("+tls", *own, "+cf", papers / "ca.pem", "+crl", papers / "crl.pem", "+cra", *options)


def open_ssl_context(papers, name="probe"):
    """Return a context of the standard library alone, as a user of pynetdicom makes it."""
    context = ssl.create_default_context(cafile=papers / "ca.pem")
    context.load_cert_chain(papers / f"{name}.pem", papers / f"{name}.key")
    return context


def ours(papers, entity, *contexts):
    """Open an association of ours over TLS."""
    return Association.open(
        *(entity.host, entity.port),
        calling="SW_PROBE",
        called=entity.ae,
        contexts=list(contexts),
        timeout=10,
        context=Credentials.of_folder(papers, "probe").client(),
    )


def test_dcmtk_stores_and_finds(program, call, archive, papers, file, image):
    store, find = program("storescu"), program("findscu")

    async def main():
        async with archive(tls={"folder": str(papers)}) as (_, entity, _):
            there = ("-aec", entity.ae, entity.host, entity.port)
            assert await call(store, *dcmtk(papers), *there, file) == (0, "")
            keys = (
                "-S",
                "-k",
                "QueryRetrieveLevel=STUDY",
                "-k",
                "PatientID=SW12345678",
                "-k",
                "AccessionNumber",
            )
            code, said = await call(find, "-v", *dcmtk(papers), *keys, *there)
            assert (code, "SW00012345" in said) == (0, True), said
            plain, said = await call(store, *there, file)
            assert plain != 0, said
            for kind in ("expired", "revoked", "unknown-ca", "wrong-usage"):
                code, said = await call(store, *dcmtk(papers, f"bad/{kind}"), *there, file)
                assert code != 0, kind
            assert await call(store, *dcmtk(papers), *there, file) == (0, "")

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["+py", "+px", "+pa", "+pn"])
def test_profiles_of_dcmtk_meet_ours_or_are_refused(program, call, archive, papers, kind):
    """Non-downgrading BCP 195 and BCP 195 share suites with us; the retired AES and NULL profiles must not."""
    echo = program("echoscu")

    async def main():
        async with archive(tls={"folder": str(papers)}) as (_, entity, _):
            return await call(
                echo, *dcmtk(papers, "probe", kind), "-aec", entity.ae, entity.host, entity.port
            )

    code, said = asyncio.run(main())
    assert (code == 0) is (kind in {"+py", "+px"}), said


@contextmanager
def running(command, folder, port):
    """Run a server until the block is left; it is there when its port takes connections."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*map(str, command)], stdout=log, stderr=log, cwd=folder)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield folder / "log"
    finally:
        process.terminate()
        process.wait(20)


class There:
    """Where a foreign server listens."""

    def __init__(self, ae, port):
        self.ae, self.host, self.port = ae, "127.0.0.1", port


def test_we_store_to_storescp(program, papers, image, free_port, tmp_path):
    there = There("STORESCP", free_port())
    instance, _ = image
    command = [program("storescp"), *dcmtk(papers, "pacs"), "-od", tmp_path, there.port]
    with running(command, tmp_path, there.port):
        with ours(papers, there, VERIFICATION, (CT, [EXPLICIT_LE])) as association:
            assert association.echo().status == 0
            assert association.store(CT, instance.sop_instance, EXPLICIT_LE, instance.data).status == 0
        stranger = Credentials.of_folder(papers, "bad/expired").client()
        with pytest.raises((TlsRefused, LinkLost)):
            Association.open(
                *(there.host, there.port),
                calling="SW_PROBE",
                called=there.ae,
                contexts=[VERIFICATION],
                timeout=10,
                context=stranger,
            )
    (kept,) = [path for path in tmp_path.iterdir() if path.name.startswith("CT")]
    assert pydicom.dcmread(kept).SOPInstanceUID == instance.sop_instance


@pytest.mark.parametrize("kind", ["expired", "revoked", "self-signed", "wrong-name"])
def test_we_refuse_a_storescp_with_a_bad_certificate(program, papers, free_port, tmp_path, kind):
    there = There("STORESCP", free_port())
    pair = (papers / f"bad/{kind}.key", papers / f"bad/{kind}.pem")
    command = [program("storescp"), "+tls", *pair, "-ic", "-od", tmp_path, there.port]
    with running(command, tmp_path, there.port), pytest.raises(TlsRefused) as caught:
        ours(papers, there, VERIFICATION)
    assert caught.value.by == "us"


def test_pynetdicom_echoes_stores_and_retrieves(archive, papers, file):
    """C-STORE and C-GET on one association over TLS; a context without a certificate gets none."""

    def talk(entity):
        ae = AE("SW_PROBE")
        ae.add_requested_context(Verification)
        ae.add_requested_context(CT, EXPLICIT_LE)
        ae.add_requested_context(Get)
        received = []
        handlers = [(evt.EVT_C_STORE, lambda event: received.append(event.dataset) or 0)]
        association = ae.associate(
            entity.host,
            entity.port,
            ae_title=entity.ae,
            ext_neg=[build_role(CT, scu_role=True, scp_role=True)],
            evt_handlers=handlers,
            tls_args=(open_ssl_context(papers), "localhost"),
        )
        assert association.is_established
        dataset = pydicom.dcmread(file)
        assert association.send_c_store(dataset).Status == 0
        query = pydicom.Dataset()
        query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", dataset.StudyInstanceUID
        statuses = [status.Status for status, _ in association.send_c_get(query, Get)]
        association.release()
        assert statuses[-1] == 0
        assert [one.PixelData for one in received] == [dataset.PixelData]
        bare = ssl.create_default_context(cafile=papers / "ca.pem")
        refused = ae.associate(entity.host, entity.port, ae_title=entity.ae, tls_args=(bare, "localhost"))
        assert not refused.is_established

    async def main():
        async with archive(tls={"folder": str(papers)}) as (_, entity, _):
            await asyncio.to_thread(talk, entity)

    asyncio.run(main())


def test_a_move_goes_over_tls_to_storescp(program, archive, papers, file, free_port, tmp_path):
    """Asked by pynetdicom, the archive calls the destination with its own certificate (DCMTK's movescu has no TLS)."""
    port = free_port()
    folder = tmp_path / "there"
    folder.mkdir()

    def talk(entity):
        ae = AE("SW_PROBE")
        for context in (CT, Move):
            ae.add_requested_context(context, EXPLICIT_LE)
        arguments = {"ae_title": entity.ae, "tls_args": (open_ssl_context(papers), "localhost")}
        association = ae.associate(entity.host, entity.port, **arguments)
        dataset = pydicom.dcmread(file)
        assert association.send_c_store(dataset).Status == 0
        query = pydicom.Dataset()
        query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", dataset.StudyInstanceUID
        statuses = [status.Status for status, _ in association.send_c_move(query, "STORESCP", Move)]
        association.release()
        return dataset, statuses

    async def main():
        settings = {"destinations": [f"dicoms://STORESCP@127.0.0.1:{port}"]}
        async with archive(tls={"folder": str(papers)}, **settings) as (_, entity, _):
            return await asyncio.to_thread(talk, entity)

    with running([program("storescp"), *dcmtk(papers, "probe"), "-od", folder, port], folder, port):
        dataset, statuses = asyncio.run(main())
    assert statuses[-1] == 0
    (kept,) = [path for path in folder.iterdir() if path.name.startswith("CT")]
    assert pydicom.dcmread(kept).PixelData == dataset.PixelData


def test_we_talk_to_pynetdicom_over_tls(papers, image):
    instance, _ = image
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=papers / "ca.pem")
    context.load_cert_chain(papers / "pacs.pem", papers / "pacs.key")
    context.verify_mode = ssl.CERT_REQUIRED
    ae = AE("THEIRS")
    ae.supported_contexts = StoragePresentationContexts[:60]
    ae.add_supported_context(Verification)
    ae.add_supported_context(CT, EXPLICIT_LE)
    kept = []
    server = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        ssl_context=context,
        evt_handlers=[(evt.EVT_C_STORE, lambda event: kept.append(event.dataset.SOPInstanceUID) or 0)],
    )
    there = There("THEIRS", server.socket.getsockname()[1])
    try:
        with ours(papers, there, VERIFICATION, (CT, [EXPLICIT_LE])) as association:
            assert association.echo().status == 0
            assert association.store(CT, instance.sop_instance, EXPLICIT_LE, instance.data).status == 0
        with pytest.raises(WireError):
            Association.open(
                *(there.host, there.port),
                calling="SW_PROBE",
                called="THEIRS",
                contexts=[VERIFICATION],
                timeout=10,
                context=Credentials(papers / "ca.pem").client(),
            )
    finally:
        server.shutdown()
    assert kept == [instance.sop_instance]


def orthanc_settings(papers, folder, ports):
    """Return the configuration of an Orthanc whose DICOM door speaks TLS and wants certificates."""
    return {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "HttpPort": ports[0],
        "DicomPort": ports[1],
        "DicomAet": "ORTHANC",
        "DicomAlwaysAllowFind": True,
        "RemoteAccessAllowed": True,
        "AuthenticationEnabled": False,
        "DicomTlsEnabled": True,
        "DicomTlsCertificate": str(papers / "pacs.pem"),
        "DicomTlsPrivateKey": str(papers / "pacs.key"),
        "DicomTlsTrustedCertificates": str(papers / "ca.pem"),
        "DicomTlsRemoteCertificateRequired": True,
    }


@pytest.mark.skipif(not os.access(ORTHANC, os.X_OK), reason="Orthanc is not installed")
def test_we_talk_to_orthanc_over_tls(papers, image, free_port, tmp_path):
    instance, elements = image
    ports = (free_port(), free_port())
    (tmp_path / "orthanc.json").write_text(json.dumps(orthanc_settings(papers, tmp_path, ports)))
    there = There("ORTHANC", ports[1])
    with running([ORTHANC, tmp_path / "orthanc.json"], tmp_path, ports[1]):
        with ours(papers, there, VERIFICATION, STUDY_FIND, (CT, [EXPLICIT_LE])) as association:
            assert association.echo().status == 0
            assert association.store(CT, instance.sop_instance, EXPLICIT_LE, instance.data).status == 0
            asked = {
                "QueryRetrieveLevel": "STUDY",
                "PatientID": elements["PatientID"],
                "StudyInstanceUID": "",
            }
            (found,) = list(association.find(STUDY_FIND, asked))
        assert found["StudyInstanceUID"] == elements["StudyInstanceUID"]
        with pytest.raises((TlsRefused, LinkLost)):
            Association.open(
                *(there.host, there.port),
                calling="SW_PROBE",
                called="ORTHANC",
                contexts=[VERIFICATION],
                timeout=10,
                context=Credentials(papers / "ca.pem").client(),
            )


def test_wireshark_reads_the_association_inside(program, archive, papers, file, tmp_path):
    """With the keys of the session the dissector finds a whole association in our records, and nothing malformed."""
    tshark = program("tshark")
    keys, capture = tmp_path / "keys", tmp_path / "tls.pcapng"

    def talk(entity):
        context = open_ssl_context(papers)
        context.keylog_filename = str(keys)
        ae = AE("SW_PROBE")
        ae.add_requested_context(Verification)
        ae.add_requested_context(CT, EXPLICIT_LE)
        association = ae.associate(
            entity.host, entity.port, ae_title=entity.ae, tls_args=(context, "localhost")
        )
        assert association.send_c_echo().Status == 0
        assert association.send_c_store(pydicom.dcmread(file)).Status == 0
        association.release()

    async def main():
        async with archive(tls={"folder": str(papers)}) as (_, entity, _):
            watching = await asyncio.create_subprocess_exec(
                *(tshark, "-i", "lo", "-f", f"tcp port {entity.port}", "-w", str(capture)),
                stderr=asyncio.subprocess.DEVNULL,
            )
            try:
                await asyncio.to_thread(_poked, capture, entity.port)
                await asyncio.to_thread(talk, entity)
                await asyncio.to_thread(_written, capture)
            finally:
                watching.terminate()
                await watching.wait()
            return entity.port

    port = asyncio.run(main())
    read = [tshark, "-r", str(capture), "-o", f"tls.keylog_file:{keys}", "-d", f"tcp.port=={port},tls"]
    run = {"capture_output": True, "text": True, "timeout": 60}
    fields = ("-T", "json", "-e", "_ws.malformed", "-e", "tls.handshake.ciphersuite", "-e", "tcp.stream")
    layers = [
        one["_source"]["layers"]
        for one in json.loads(subprocess.run([*read, *fields], check=True, **run).stdout)
    ]
    assert not [one for one in layers if "_ws.malformed" in one]
    (stream,) = {one["tcp.stream"][0] for one in layers if "tls.handshake.ciphersuite" in one}
    followed = subprocess.run([*read, "-q", "-z", f"follow,tls,raw,{stream}"], check=True, **run).stdout
    lines = [line for line in followed.splitlines() if line.strip() and line.strip().isalnum()]
    sides = [
        [line.strip() for line in lines if line.startswith("\t") is indented] for indented in (False, True)
    ]
    to_us, from_us = sorted((bytes.fromhex("".join(side)) for side in sides), key=lambda side: side[0])
    accepted = A_ASSOCIATE_AC()
    accepted.decode(from_us[: 6 + int.from_bytes(from_us[2:6])])
    contexts = [item for item in accepted.variable_items if isinstance(item, PresentationContextItemAC)]
    assert [context.result for context in contexts] == [0, 0]
    assert (to_us[0], from_us[0]) == (1, 2)  # A-ASSOCIATE; at the end both sides of A-RELEASE
    assert (to_us[-10], from_us[-10]) == (5, 6)
    assert pydicom.dcmread(file).PixelData[:1000] in to_us


def _poked(capture, port):
    """Wait until the capture runs: it has seen a connection that came to nothing."""
    deadline = time.monotonic() + 20
    while not capture.exists() or capture.stat().st_size < 1000:
        if time.monotonic() > deadline:
            pytest.skip("tshark may not capture here")
        socket.create_connection(("127.0.0.1", port), 5).close()
        time.sleep(0.1)


def _written(capture):
    """Wait until the capture holds the whole conversation: its file has not grown for a while."""
    deadline, size, still = time.monotonic() + 20, -1, 0
    while still < 8 and time.monotonic() < deadline:
        time.sleep(0.1)
        now = capture.stat().st_size if capture.exists() else 0
        still = still + 1 if now == size and now > 30_000 else 0
        size = now
