"""What comes on the wire of a TLS door: records too long, handshakes cut or trickling, halves of connections, wrong names."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
import tracemalloc
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from stepwedge.errors import BadInput, LinkLost, NoAnswer, RemoteProtocolError
from stepwedge.wire import pki, tls
from stepwedge.wire.tls import Credentials, TlsRefused
from stepwedge.wire.tls_asyncio import Gate, connect, listen

LOCAL = "127.0.0.1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "pki"
    pki.make(path, ["pacs", "probe"])
    return path


class Echo(asyncio.Protocol):
    """Sends back what comes; counts those who hear that a peer is gone."""

    gone = 0

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def connection_lost(self, exc):
        del exc
        Echo.gone += 1


@contextlib.asynccontextmanager
async def door(folder, **options):
    """Listen behind a gate; yield the port and what was refused."""
    refusals = []
    gate = Gate(Credentials.of_folder(folder, "pacs"), refused=lambda _, why: refusals.append(why), **options)
    server = await listen(Echo, LOCAL, 0, gate)
    try:
        yield server.sockets[0].getsockname()[1], refusals, gate
    finally:
        server.close()


class Asker(asyncio.Protocol):
    def __init__(self):
        self.heard = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        transport.write(b"are you there")

    def data_received(self, data):
        if not self.heard.done():
            self.heard.set_result(data)

    def connection_lost(self, exc):
        if not self.heard.done():
            self.heard.set_exception(exc or LinkLost("closed"))


async def serves(port, folder, own=None):
    """Be served as a known node, or with credentials of its own."""
    own = own or Credentials.of_folder(folder, "probe")
    transport, asker = await connect(Asker, LOCAL, port, own.client(), name="pacs", seconds=10)
    assert await asyncio.wait_for(asker.heard, 10) == b"are you there"
    transport.close()


class Hand:
    """A client that makes its handshake by hand, so that each flight can be held back, cut or followed by nonsense."""

    def __init__(self, folder, version=None):
        context = Credentials.of_folder(folder, "probe").client()
        if version is not None:
            context.maximum_version = version
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.into, self.out, server_hostname="localhost")

    def step(self):
        """Go on as far as possible; tell whether the handshake is done."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    async def shake(self, reader, writer):
        """Do the whole handshake and return its flights."""
        flights = []
        while True:
            done = self.step()
            if flight := self.out.read():
                flights.append(flight)
                writer.write(flight)
            if done:
                return flights
            self.into.write(await asyncio.wait_for(reader.read(1 << 16), 10))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_handshake_cut_at_every_flight_ends_alone(folder, version):
    async def main():
        async with door(folder) as (port, refusals, gate):
            reader, writer = await asyncio.open_connection(LOCAL, port)
            flights = await Hand(folder, version).shake(reader, writer)
            writer.close()
            cuts = 0
            for number, flight in enumerate(flights):
                for length in {1, 5, len(flight) // 2, len(flight) - 1}:
                    reader, writer = await asyncio.open_connection(LOCAL, port)
                    hand = Hand(folder, version)
                    for _ in range(number):
                        hand.step()
                        writer.write(hand.out.read())
                        hand.into.write(await asyncio.wait_for(reader.read(1 << 16), 10))
                    hand.step()
                    # signatures differ in length: what is cut is this flight, not the one of the first handshake
                    sent = hand.out.read()
                    writer.write(sent[: min(length, len(sent) - 1)])
                    writer.write_eof()
                    await asyncio.wait_for(reader.read(), 10)
                    writer.close()
                    cuts += 1
            await serves(port, folder)
            async with asyncio.timeout(30):  # the server notices each cut when its turn comes
                while len(refusals) < cuts or gate.under_way:  # noqa: ASYNC110 - the gate tells nobody
                    await asyncio.sleep(0.01)
            assert len(refusals) == cuts
            return refusals

    refusals = asyncio.run(main())
    assert {type(why) for why in refusals} == {LinkLost}


def test_a_record_longer_than_the_protocol_has_ends_its_connection(folder):
    """2**14 + 256 octets are the most of TLS 1.3 (RFC 8446 section 5.2): a longer one, first or later, is refused."""

    async def main():
        async with door(folder) as (port, refusals, _):
            reader, writer = await asyncio.open_connection(LOCAL, port)
            writer.write(b"\x16\x03\x01" + (16385 + 2048).to_bytes(2) + bytes(16385 + 2048))
            said = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            assert said[:1] == b"\x15"  # an alert
            assert [type(why) for why in refusals] == [RemoteProtocolError]

            reader, writer = await asyncio.open_connection(LOCAL, port)
            await Hand(folder).shake(reader, writer)
            before = Echo.gone
            writer.write(b"\x17\x03\x03" + (16385 + 256).to_bytes(2) + bytes(16385 + 256))
            await asyncio.wait_for(reader.read(), 10)
            writer.close()
            assert Echo.gone == before + 1
            await serves(port, folder)

    asyncio.run(main())


@pytest.mark.parametrize("politely", [True, False])
def test_half_a_connection_is_no_connection(folder, politely):
    """With close_notify and without it, what was asked before the end is answered, and the protocol hears of the end."""

    async def main():
        async with door(folder) as (port, _, _):
            reader, writer = await asyncio.open_connection(LOCAL, port)
            hand = Hand(folder)
            await hand.shake(reader, writer)
            before = Echo.gone
            hand.tls.write(b"last words")
            if politely:
                with contextlib.suppress(ssl.SSLError):
                    hand.tls.unwrap()
            writer.write(hand.out.read())
            writer.write_eof()
            hand.into.write(await asyncio.wait_for(reader.read(), 10))
            writer.close()
            assert hand.tls.read() == b"last words"
            assert Echo.gone == before + 1
            await serves(port, folder)

    asyncio.run(main())


def test_trickling_handshakes_are_ended_in_time_and_cost_little(folder):
    """Two hundred clients that send an octet now and then are all gone when the handshake's seconds are over."""
    most, seconds = 200, 1.0

    async def trickle(port, hello):
        reader, writer = await asyncio.open_connection(LOCAL, port)
        ending = asyncio.ensure_future(reader.read())
        with contextlib.suppress(OSError):
            for octet in hello:
                if ending.done():
                    break
                writer.write(bytes([octet]))
                await asyncio.wait({ending}, timeout=0.05)
        with contextlib.suppress(OSError):
            await asyncio.wait_for(ending, 10)
        writer.close()

    async def main():
        async with door(folder, seconds=seconds) as (port, refusals, gate):
            hand = Hand(folder)
            hand.step()
            hello = hand.out.read()
            tracemalloc.start()
            began = time.monotonic()
            tasks = [asyncio.ensure_future(trickle(port, hello)) for _ in range(most)]
            await asyncio.sleep(seconds / 2)
            await serves(port, folder)  # beside them
            assert gate.under_way
            await asyncio.gather(*tasks)
            took = time.monotonic() - began
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert [type(why) for why in refusals] == [NoAnswer] * most
            assert not gate.under_way
            return took, peak

    took, peak = asyncio.run(main())
    assert took < seconds + 8
    assert peak < 64 << 20


@pytest.mark.parametrize(
    ("names", "host", "good"),
    [
        (["*.hospital.example"], "pacs.hospital.example", True),
        (["*.hospital.example"], "hospital.example", False),
        (["*.hospital.example"], "a.pacs.hospital.example", False),  # RFC 9525 section 6.3: one label
        (["pacs.*.example"], "pacs.hospital.example", False),
        (["pacs.hospital.example"], "127.0.0.1", False),  # no iPAddress among the names
        (["127.0.0.1"], "127.0.0.1", True),
        (["localhost"], "elsewhere.example", False),
    ],
)
def test_a_server_is_called_by_a_name_of_its_certificate(tmp_path, names, host, good):
    """Wild cards stand for one whole label on the left; an address needs an address among the names."""
    authority = pki.Authority()
    (tmp_path / "ca.pem").write_bytes(authority.root.certificate.public_bytes(Encoding.PEM))
    pki._write(tmp_path, "own", authority.issue(pki.Wish("own", names)))
    caller = Credentials(tmp_path / "ca.pem")

    def call(port):
        with tls.wrap(socket.create_connection((LOCAL, port), 10), caller.client(), host, "pacs"):
            pass

    async def main():
        gate = Gate(replace(Credentials.of_folder(tmp_path, "own"), mutual=False))
        server = await listen(Echo, LOCAL, 0, gate)
        try:
            await asyncio.to_thread(call, server.sockets[0].getsockname()[1])
        finally:
            server.close()

    if good:
        asyncio.run(main())
    else:
        with pytest.raises(TlsRefused) as caught:
            asyncio.run(main())
        assert caught.value.by == "us"


def test_a_revocation_list_that_is_gone_is_missed_at_start_and_kept_while_running(folder, tmp_path):
    """Lists are files: one that cannot be read stops a door from opening, and leaves an open one with the last good list."""
    for path in folder.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())

    async def main():
        async with door(tmp_path) as (port, _, _):
            (tmp_path / "crl.pem").unlink()
            revoked = replace(
                Credentials.of_folder(folder, "probe"),
                certificate=folder / "bad/revoked.pem",
                key=folder / "bad/revoked.key",
            )
            with pytest.raises(TlsRefused, match="revoked"):
                await serves(port, folder, revoked)
            await serves(port, folder)

    asyncio.run(main())
    own = replace(Credentials.of_folder(tmp_path, "pacs"), crl=tmp_path / "crl.pem")
    with pytest.raises(BadInput, match=r"crl"):
        own.server()
    (tmp_path / "crl.pem").write_bytes(
        (folder / "crl.pem").read_bytes().split(b"-----END X509 CRL-----\n")[0] + b"-----END X509 CRL-----\n"
    )

    async def lacking():
        async with door(tmp_path) as (port, refusals, _):
            with pytest.raises(TlsRefused):
                await serves(port, folder)
            return refusals

    (why,) = asyncio.run(lacking())
    assert "CRL" in str(why)  # the authority in the midst has none: nobody is known not to be revoked
