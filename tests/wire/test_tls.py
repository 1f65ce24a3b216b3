"""Transport security: the test PKI, contexts, and the asyncio shell, with OpenSSL and DCMTK as peers."""

import asyncio
import shutil
import ssl
import subprocess

import pytest

from stepwedge.errors import BadInput, LinkLost, NoAnswer, RemoteProtocolError
from stepwedge.wire import dimse_asyncio, pki, tls, tls_intruder
from stepwedge.wire.tls import Credentials, TlsRefused
from stepwedge.wire.tls_asyncio import Gate, connect, listen

KINDS = sorted(name for name, one in tls_intruder.INTRUDERS.items() if one.alerts)
STRANGERS = {"wrong-name", "name-in-cn"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "pki"
    pki.make(path, ["pacs", "probe"])
    return path


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


class Asker(asyncio.Protocol):
    def __init__(self):
        self.heard, self.end = b"", asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        transport.write(b"x" * 200_000)

    def data_received(self, data):
        self.heard += data
        if len(self.heard) == 200_000 and not self.end.done():
            self.end.set_result(None)

    def connection_lost(self, exc):
        if not self.end.done():
            self.end.set_exception(exc or LinkLost("closed"))


def around(folder, talk, **options):
    """Run ``talk(port, refusals)`` beside an echo server behind a gate."""

    async def main():
        refusals = []
        gate = Gate(
            Credentials.of_folder(folder, "pacs"), refused=lambda _, why: refusals.append(why), **options
        )
        server = await listen(Echo, "127.0.0.1", 0, gate)
        try:
            return await talk(server.sockets[0].getsockname()[1], refusals), refusals, gate
        finally:
            server.close()

    return asyncio.run(main())


async def echoed(port, context):
    transport, asker = await connect(Asker, "127.0.0.1", port, context, name="pacs", seconds=5)
    try:
        await asyncio.wait_for(asker.end, 5)
    finally:
        transport.close()
    return transport.get_extra_info("version")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_good_certificates_are_served(folder, version):
    context = Credentials.of_folder(folder, "probe").client()
    context.maximum_version = version

    async def talk(port, _):
        return await echoed(port, context)

    spoken, refusals, _ = around(folder, talk)
    assert (spoken, refusals) == (version.name.replace("_", "."), [])


@pytest.mark.parametrize("version", [None, ssl.TLSVersion.TLSv1_2])
@pytest.mark.parametrize("kind", KINDS)
def test_the_server_refuses_says_why_and_goes_on(folder, kind, version):
    intruder = tls_intruder.INTRUDERS[kind]
    own = Credentials.of_folder(folder, "probe")

    async def talk(port, refusals):
        with pytest.raises(TlsRefused) as caught:
            await echoed(port, tls_intruder.context(own, intruder, intruder.version or version))
        assert len(refusals) == 1
        await echoed(port, own.client())
        return caught.value

    refused, refusals, gate = around(folder, talk)
    assert refused.by == "peer"
    assert refused.reason in intruder.alerts
    assert isinstance(refusals[0], TlsRefused)
    assert refusals[0].by == "us"
    assert not gate.under_way


@pytest.mark.parametrize("kind", sorted(set(pki.BAD) - {"wrong-usage"}))
def test_a_client_refuses_a_bad_server(folder, kind):
    async def main():
        good = Credentials.of_folder(folder, "pacs")
        context = tls_intruder.context(good, tls_intruder.INTRUDERS["tls-1-0"], ssl.TLSVersion.TLSv1_2)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.set_ciphers("ALL:@SECLEVEL=0")
        server.load_cert_chain(folder / f"bad/{kind}.pem", folder / f"bad/{kind}.key")
        gate = Gate(good)
        gate.context = lambda: server
        listening = await listen(Echo, "127.0.0.1", 0, gate)
        port = listening.sockets[0].getsockname()[1]
        try:
            with pytest.raises(TlsRefused) as caught:
                await echoed(port, Credentials.of_folder(folder, "probe").client())
            await echoed(port, context)
        finally:
            listening.close()
        return caught.value

    assert asyncio.run(main()).by == "us"


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", RemoteProtocolError),
        (b"\x00" * 4096, RemoteProtocolError),
        (b"\x16\x03\x01", LinkLost),
        (b"", LinkLost),
    ],
)
def test_what_is_no_handshake_ends_alone(folder, sent, kind):
    async def talk(port, refusals):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await echoed(port, Credentials.of_folder(folder, "probe").client())

    _, refusals, gate = around(folder, talk)
    assert [type(why) for why in refusals] == [kind]
    assert not gate.under_way


def test_stalled_handshakes_are_ended_and_keep_nobody_out(folder):
    async def talk(port, refusals):
        stalled = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        await echoed(port, Credentials.of_folder(folder, "probe").client())
        await asyncio.gather(
            *(asyncio.wait_for(reader.read(), 10) for reader, _ in stalled), return_exceptions=True
        )
        for _, writer in stalled:
            writer.close()

    _, refusals, gate = around(folder, talk, seconds=0.3)
    assert [type(why) for why in refusals] == [NoAnswer] * 100
    assert not gate.under_way


def test_a_replaced_certificate_holds_without_a_restart(tmp_path):
    pki.make(tmp_path / "a", ["pacs", "probe"])
    pki.make(tmp_path / "b", ["pacs", "probe"])

    async def talk(port, _):
        await echoed(port, Credentials.of_folder(tmp_path / "a", "probe").client())
        for name in ("ca.pem", "crl.pem", "pacs.pem", "pacs.key"):
            shutil.copyfile(tmp_path / "b" / name, tmp_path / "a" / name)
        await echoed(port, Credentials.of_folder(tmp_path / "b", "probe").client())

    _, refusals, _ = around(tmp_path / "a", talk)
    assert refusals == []


def bad_files(folder, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    pems = (folder / "pacs.pem").read_text().split("-----END CERTIFICATE-----\n")
    turned = tmp_path / "turned.pem"
    turned.write_text("-----END CERTIFICATE-----\n".join([pems[1], pems[0], ""]))
    good = {"ca": folder / "ca.pem", "cert": folder / "pacs.pem", "key": folder / "pacs.key"}
    return {
        "empty list of authorities": {**good, "ca": empty},
        "no such file": {**good, "cert": tmp_path / "none.pem"},
        "key of another": {**good, "key": folder / "probe.key"},
        "chain out of order": {**good, "cert": turned},
        "key in the place of the certificate": {**good, "cert": folder / "pacs.key"},
        "weak key": {**good, "cert": folder / "bad/weak-key.pem", "key": folder / "bad/weak-key.key"},
        "empty revocation list": {**good, "crl": empty},
        "no key": {"ca": folder / "ca.pem", "cert": folder / "pacs.pem"},
    }


@pytest.mark.parametrize("case", range(8))
def test_files_that_cannot_be_used_are_named_with_a_remedy(folder, tmp_path, case):
    written = list(bad_files(folder, tmp_path).values())[case]
    with pytest.raises(BadInput) as caught:
        Credentials.parse({key: str(path) for key, path in written.items()}, "pacs").server()
    assert caught.value.remedy


def test_crlf_pem_is_taken(folder, tmp_path):
    for name in ("ca.pem", "crl.pem", "pacs.pem", "pacs.key"):
        (tmp_path / name).write_bytes((folder / name).read_bytes().replace(b"\n", b"\r\n"))
    assert Credentials.of_folder(tmp_path, "pacs").server().verify_mode is ssl.CERT_REQUIRED


def test_an_encrypted_key_wants_the_name_of_a_variable(folder, tmp_path, monkeypatch):
    from cryptography.hazmat.primitives import serialization as serial

    key = serial.load_pem_private_key((folder / "pacs.key").read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serial.Encoding.PEM, serial.PrivateFormat.PKCS8, serial.BestAvailableEncryption(b"pw")
        )
    )
    written = {"ca": str(folder / "ca.pem"), "cert": str(folder / "pacs.pem"), "key": str(locked)}
    with pytest.raises(BadInput, match="encrypted key"):
        Credentials.parse(written, "pacs").server()
    monkeypatch.setenv("PACS_PW", "pw")
    assert Credentials.parse({**written, "passphrase_from": "PACS_PW"}, "pacs").server()


def test_keys_are_for_their_owner_alone(folder):
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*.key")} == {0o600}
    with pytest.raises(BadInput, match="without a PKI"):
        pki.make(folder, ["pacs"])


def test_known_nodes_go_by_name_or_fingerprint(folder):
    der = ssl.PEM_cert_to_DER_cert(
        (folder / "probe.pem").read_text().split("-----END")[0] + "-----END CERTIFICATE-----"
    )
    shown = {"subjectAltName": (("DNS", "probe"),)}
    for known in ("probe", tls.fingerprint(folder / "probe.pem")):
        assert not Credentials(folder / "ca.pem", known=(known,)).stranger(shown, der)
    assert "probe" in Credentials(folder / "ca.pem", known=("ct",)).stranger(shown, der)


@pytest.mark.peer
@pytest.mark.parametrize("kind", ["pacs", *sorted(set(pki.BAD))])
def test_openssl_says_the_same(folder, kind):
    file = folder / (f"{kind}.pem" if kind == "pacs" else f"bad/{kind}.pem")
    options = ["-crl_check_all", "-x509_strict", "-auth_level", "2", "-purpose", "sslclient"]
    trust = ["-CAfile", folder / "ca.pem", "-CRLfile", folder / "crl.pem", "-untrusted", file]
    done = subprocess.run(["openssl", "verify", *options, *trust, file], capture_output=True, check=False)
    assert (done.returncode == 0) == (kind in {"pacs", *STRANGERS}), done.stderr


@pytest.mark.peer
@pytest.mark.parametrize(
    ("shown", "served"), [("probe", True), ("bad/expired", False), ("bad/unknown-ca", False)]
)
def test_dcmtk_is_served_or_refused(folder, program, shown, served):
    echoscu = program("echoscu")

    async def main():
        acceptor = dimse_asyncio.Acceptor("PACS", {"1.2.840.10008.1.1": ["1.2.840.10008.1.2"]})
        server = await dimse_asyncio.serve(
            "127.0.0.1", 0, acceptor, Gate(Credentials.of_folder(folder, "pacs"))
        )
        pair = [str(folder / f"{shown}.key"), str(folder / f"{shown}.pem")]
        command = [
            echoscu,
            "+tls",
            *pair,
            "+cf",
            str(folder / "ca.pem"),
            "-aec",
            "PACS",
            "localhost",
            str(server.port),
        ]
        process = await asyncio.create_subprocess_exec(
            *command, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        said = await asyncio.wait_for(process.communicate(), 30)
        await server.close()
        return process.returncode, said

    code, said = asyncio.run(main())
    assert (code == 0) is served, said
