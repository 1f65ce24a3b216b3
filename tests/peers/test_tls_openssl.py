"""Our doors and our clients as OpenSSL's own programs see them: versions, cipher suites, certificates."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import subprocess

import pytest

from stepwedge.errors import LinkLost, RemoteProtocolError
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.wire import pki
from stepwedge.wire.tls import Credentials, TlsRefused
from stepwedge.wire.tls_asyncio import connect

pytestmark = pytest.mark.peer

NOBODYS_EVENT = b"\x0bMSH|^~\\&|SW_PROBE|STEPWEDGE|||20261124093000||ADT^Z99^ADT_A01|SW1|P|2.5.1\r\x1c\r"  # every door answers it AR
ANSWERED = b"MSA|AR|SW1"
STRANGERS = frozenset({"wrong-name", "name-in-cn"})
"""What TLS has nothing against: these are refused by the list of known nodes, in HL7's own words."""
SAID = {
    "expired": b"certificate expired",
    "not-yet-valid": b"bad certificate",
    "unknown-ca": b"unknown ca",
    "self-signed": b"unknown ca",
    "revoked": b"certificate revoked",
    "weak-key": b"alert",
    "weak-signature": b"alert",
    "missing-intermediate": b"unknown ca",
    "wrong-usage": b"unsupported certificate",
    "not-a-ca": b"alert",
    "path-too-long": b"alert",
}


def shows(papers, name):
    """Return the options that let s_client present a certificate with all that comes with it."""
    file = papers / f"{name}.pem"
    return ("-cert", file, "-cert_chain", file, "-key", papers / f"{name}.key", "-CAfile", papers / "ca.pem")


@contextlib.asynccontextmanager
async def door(archive, papers, **settings):
    """Yield the port of an HL7 door over TLS, and what its host keeps in the journal."""
    async with archive(tls={"folder": str(papers)}, **settings) as (host, _, _):
        yield host.directory["pacs"].hl7.port, host.journal


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_every_bad_certificate_is_refused_and_the_door_goes_on(archive, papers, dial, version):
    assert set(SAID) | STRANGERS == set(pki.BAD)

    async def main():
        async with door(archive, papers, nodes={"certificates": ["probe"]}) as (port, journal):
            for kind in sorted(pki.BAD):
                options = (version, "-quiet", "-cipher", "ALL:@SECLEVEL=0", *shows(papers, f"bad/{kind}"))
                heard = await dial(port, *options, say=NOBODYS_EVENT, until=b"MSA|")
                if kind in STRANGERS:
                    assert b"not a known node" in heard, (kind, heard)
                else:
                    assert SAID[kind] in heard.lower(), (kind, heard)
                    assert b"MSA|" not in heard, kind
                good = await dial(
                    port, version, "-quiet", *shows(papers, "probe"), say=NOBODYS_EVENT, until=ANSWERED
                )
                assert ANSWERED in good, kind
                assert b"not a known node" not in good
            return [one for one in journal.after(0) if one.outcome == "refused"]

    refused = asyncio.run(main())
    assert len(refused) == len(pki.BAD)
    assert all(one.facts["security"] for one in refused)


ROLES = ("ehr", "ris", "pacs", "modality", "reader", "engine", "mpi", "router", "idp", "auditor")


def test_every_door_of_a_hospital_wants_a_certificate(program, call, papers, dial, tmp_path):
    """HL7 by s_client, DICOM by echoscu, web by curl: with a known certificate every door serves, without none does."""
    echo, curl = program("echoscu"), program("curl")
    own = (papers / "probe.pem", papers / "probe.key")

    async def hl7(endpoint, *options):
        heard = await dial(endpoint.port, "-quiet", *options, say=NOBODYS_EVENT, until=b"MSA|")
        return b"MSA|A" in heard

    async def dicom(entity, *options):
        there = ("-aec", entity.ae, entity.host, entity.port)
        return (await call(echo, *options, "+cf", papers / "ca.pem", *there))[0] == 0

    async def web(root, *options):
        url = root.replace("127.0.0.1", "localhost")
        code, _ = await call(curl, "-sS", "-o", "/dev/null", "--cacert", papers / "ca.pem", *options, url)
        return code == 0

    async def main():
        parts = {role: Part(role, {"tls": {"folder": str(papers)}}) for role in ROLES}
        host = Host(Plan(parts), tmp_path / "state", 7)
        await host.start()
        told = {}
        try:
            for role in ROLES:
                address = host.directory[role]
                if address.hl7:
                    told[role, "hl7"] = (
                        await hl7(address.hl7, *shows(papers, "probe")),
                        await hl7(address.hl7),
                    )
                if entity := address.dicom or address.worklist:
                    bare = ("+tla",)
                    told[role, "dicom"] = (
                        await dicom(entity, "+tls", own[1], own[0]),
                        await dicom(entity, *bare),
                    )
                if address.web:
                    pair = ("--cert", own[0], "--key", own[1])
                    told[role, "web"] = await web(address.web, *pair), await web(address.web)
            return told
        finally:
            await host.stop()

    told = asyncio.run(main())
    assert {role for role, _ in told} == set(ROLES)
    assert {door: served for door, served in told.items() if served != (True, False)} == {}


def test_a_client_without_a_certificate_is_refused(archive, papers, dial):
    async def main():
        async with door(archive, papers) as (port, _):
            return {
                version: await dial(port, version, "-quiet", say=NOBODYS_EVENT, until=b"MSA|")
                for version in ("-tls1_2", "-tls1_3")
            }

    heard = asyncio.run(main())
    assert b"handshake failure" in heard["-tls1_2"].lower()
    assert b"certificate required" in heard["-tls1_3"].lower()
    assert not any(b"MSA|" in said for said in heard.values())


@pytest.mark.parametrize(
    ("version", "served"), [("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)]
)
def test_versions_begin_at_1_2(archive, papers, dial, version, served):
    async def main():
        async with door(archive, papers) as (port, _):
            options = (version, "-quiet", "-cipher", "ALL:@SECLEVEL=0", *shows(papers, "probe"))
            return await dial(port, *options, say=NOBODYS_EVENT, until=ANSWERED)

    heard = asyncio.run(main())
    assert (ANSWERED in heard) is served, heard
    assert (b"protocol version" in heard.lower()) is not served, heard


SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256": True,
    "ECDHE-ECDSA-AES256-GCM-SHA384": True,
    "ECDHE-ECDSA-AES128-SHA256": False,  # CBC
    "ECDHE-ECDSA-AES256-SHA": False,
    "ECDHE-ECDSA-CHACHA20-POLY1305": False,
    "ECDHE-ECDSA-NULL-SHA": False,
    "AES128-GCM-SHA256": False,  # no forward secrecy
    "DHE-RSA-AES128-GCM-SHA256": False,
    "ADH-AES128-GCM-SHA256": False,  # nobody is authenticated
    "PSK-AES128-GCM-SHA256": False,
}


def test_suites_are_those_of_the_profile(archive, papers, dial):
    async def main():
        async with door(archive, papers) as (port, _):
            return {
                suite: await dial(
                    port,
                    *("-tls1_2", "-quiet", "-cipher", f"{suite}:@SECLEVEL=0", "-psk", "00"),
                    *shows(papers, "probe"),
                    say=NOBODYS_EVENT,
                    until=ANSWERED,
                )
                for suite in SUITES
            }

    heard = asyncio.run(main())
    assert {suite: ANSWERED in said for suite, said in heard.items()} == SUITES
    assert all(b"handshake failure" in heard[suite].lower() for suite, good in SUITES.items() if not good)


@pytest.mark.parametrize(("profile", "chosen"), [("bcp195", b"AES128"), ("bcp195-modified", b"AES256")])
def test_the_modified_profile_chooses_longer_keys(archive, papers, dial, profile, chosen):
    async def main():
        settings = {"tls": {"folder": str(papers), "profile": profile}}
        async with archive(**settings) as (host, _, _):
            port = host.directory["pacs"].hl7.port
            order = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
            return await dial(
                port,
                *("-tls1_2", "-cipher", order),
                *shows(papers, "probe"),
                say=NOBODYS_EVENT,
                until=ANSWERED,
            )

    heard = asyncio.run(main())
    assert ANSWERED in heard
    cipher = re.search(rb"Cipher is (\S+)", heard)
    assert cipher
    assert profile == "bcp195" or chosen in cipher[1]


def test_no_ticket_is_given_and_no_early_data_taken(archive, papers, dial):
    async def main():
        async with door(archive, papers) as (port, _):
            return await dial(port, "-tls1_3", *shows(papers, "probe"), say=NOBODYS_EVENT, until=ANSWERED)

    heard = asyncio.run(main())
    assert ANSWERED in heard
    assert b"Post-Handshake New Session Ticket" not in heard
    assert b"Max Early Data" not in heard


def test_a_session_does_not_outlive_the_lists_it_was_judged_by(archive, dial, tmp_path):
    """TLS 1.2 resumes by session ID; new lists make a new context, which knows no old session."""
    first, second, session = tmp_path / "a", tmp_path / "b", tmp_path / "session.pem"
    for folder in (first, second):
        pki.make(folder, ["pacs", "probe"])
    good = shows(first, "probe")

    async def main():
        async with door(archive, first) as (port, _):
            said = {"say": NOBODYS_EVENT, "until": ANSWERED}
            await dial(port, "-tls1_2", "-sess_out", session, *good, **said)
            again = await dial(port, "-tls1_2", "-sess_in", session, *good, **said)
            for name in ("ca.pem", "crl.pem", "pacs.pem", "pacs.key"):
                shutil.copyfile(second / name, first / name)
            return again, await dial(port, "-tls1_2", "-sess_in", session, *good, **said)

    again, later = asyncio.run(main())
    assert ANSWERED in again
    assert ANSWERED not in later
    assert b"unknown ca" in later.lower()


@pytest.mark.parametrize(
    "options", [("-servername", "elsewhere.example"), ("-noservername",), ("-alpn", "h2,nonsense")]
)
def test_names_and_protocols_a_client_offers_open_nothing_else(archive, papers, dial, options):
    """Of SNI and ALPN nothing is promised: one certificate is presented, no protocol is agreed on."""

    async def main():
        async with door(archive, papers) as (port, _):
            return await dial(port, *options, *shows(papers, "probe"), say=NOBODYS_EVENT, until=ANSWERED)

    heard = asyncio.run(main())
    assert ANSWERED in heard
    assert b"CN = pacs" in heard
    assert b"No ALPN negotiated" in heard


@pytest.fixture
def s_server(program, free_port):
    """Start ``openssl s_server``: ``async with s_server(*options) as (port, said)``."""
    openssl = program("openssl")

    @contextlib.asynccontextmanager
    async def start(*options):
        port = free_port()
        command = [openssl, "s_server", "-accept", f"127.0.0.1:{port}", *map(str, options)]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said = bytearray()

        async def listen():
            while more := await process.stdout.read(1 << 16):
                said.extend(more)

        hearing = asyncio.ensure_future(listen())
        try:
            async with asyncio.timeout(20):
                while b"ACCEPT" not in said:  # noqa: ASYNC110 - the other process says so
                    await asyncio.sleep(0.005)
            yield port, said
        finally:
            process.kill()
            await process.wait()
            await hearing

    return start


class Listening(asyncio.Protocol):
    def __init__(self):
        self.end = asyncio.get_running_loop().create_future()
        self.heard = asyncio.Event()

    def data_received(self, data):
        self.heard.set()

    def connection_lost(self, exc):
        if not self.end.done():
            self.end.set_result(exc)


async def called(port, credentials):
    """Shake hands and wait what a server of TLS 1.3 thinks of it; return the version spoken."""
    transport, protocol = await connect(
        Listening, "127.0.0.1", port, credentials.client(), name="there", seconds=10
    )
    try:
        transport.write(b"Q\n")
        heard = asyncio.ensure_future(protocol.heard.wait())
        done, _ = await asyncio.wait({protocol.end, heard}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        heard.cancel()
        assert done, "nothing was heard"
        if protocol.end in done and (why := protocol.end.result()):
            raise why
        return transport.get_extra_info("version")
    finally:
        transport.close()


def presented(papers, name):
    file = papers / f"{name}.pem"
    return ("-cert", file, "-cert_chain", file, "-key", papers / f"{name}.key")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_our_client_is_served_by_s_server(s_server, papers, version):
    mutual = ("-Verify", "3", "-verify_return_error", "-CAfile", papers / "ca.pem", "-rev")

    async def main():
        async with s_server(version, *presented(papers, "pacs"), *mutual) as (port, said):
            spoken = await called(port, Credentials.of_folder(papers, "probe"))
            assert b"CN = probe" in said
            with pytest.raises(TlsRefused) as caught:
                await called(port, Credentials(papers / "ca.pem"))
            return spoken, caught.value.by

    spoken, by = asyncio.run(main())
    assert spoken == f"TLSv{version[4:].replace('_', '.')}"
    assert by == "peer"


@pytest.mark.parametrize("kind", sorted(set(pki.BAD) - {"wrong-usage"}))
def test_our_client_refuses_every_bad_server(s_server, papers, kind):
    async def main():
        options = ("-cipher", "ALL:@SECLEVEL=0", *presented(papers, f"bad/{kind}"), "-rev")
        async with s_server(*options) as (port, said):
            with pytest.raises(TlsRefused) as caught:
                await called(port, Credentials.of_folder(papers, "probe"))
            async with asyncio.timeout(10):
                while b"alert" not in said.lower():  # noqa: ASYNC110 - the other process says so
                    await asyncio.sleep(0.01)
            return caught.value

    assert asyncio.run(main()).by == "us"


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        (("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), (TlsRefused,)),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"), (TlsRefused,)),
        (
            ("-tls1_2", "-cipher", "ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0"),
            (TlsRefused, RemoteProtocolError, LinkLost),
        ),
    ],
)
def test_our_client_speaks_nothing_old_or_weak(s_server, papers, options, kinds):
    async def main():
        async with s_server(*options, *presented(papers, "pacs"), "-rev") as (port, _):
            with pytest.raises(kinds):
                await called(port, Credentials.of_folder(papers, "probe"))

    asyncio.run(main())
