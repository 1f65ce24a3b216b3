"""TLS that ends in a tap: both sides are called with certificates of the lab, what is in between is read and can be broken."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import pytest

from stepwedge.errors import WireError
from stepwedge.sim.host import Host, Plan
from stepwedge.wire import pki
from stepwedge.wire.hl7 import acknowledgement, parse
from stepwedge.wire.mllp_asyncio import Client, serve
from stepwedge.wire.tls import Credentials
from stepwedge.wire.tls_asyncio import Gate

MESSAGE = (
    b"MSH|^~\\&|RIS||PACS||20261124093000||ADT^A04|C1|P|2.5.1\rPID|1||SW12345678^^^STEPWEDGE||DOE^JANE\r"
)


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("papers") / "pki"
    pki.make(folder, ["ris", "pacs", "ehr"])
    return folder


@pytest.fixture
def hosted(tmp_path, papers):
    """Run a test with two real systems that speak HL7 over TLS, and a tap between them in which it ends or does not."""

    def run(body, *, end=True, callee="pacs"):
        async def whole():
            def answer(raw, _peer):
                return acknowledgement(parse(raw), "AA", control="A", now=datetime.now(UTC))

            gate = Gate(Credentials.of_folder(papers, callee))
            real = await serve("127.0.0.1", 0, answer, gate=gate)
            plan = {
                "actors": {"ehr": {"role": "ehr", "settings": {"tells": []}}},
                "directory": {"ris": {}, "pacs": {"hl7": f"mllps://127.0.0.1:{real.port}"}},
                "taps": [{"on": "ris->pacs", "terminate": {"folder": str(papers)} if end else None}],
            }
            host = Host(Plan.parse(plan, "test"), tmp_path / "state", 1)
            await host.start()
            client = Client(
                "127.0.0.1",
                host.taps.taps[0].port,
                context=Credentials.of_folder(papers, "ris").client(),
            )
            try:
                await body(host, client)
            finally:
                await client.close()
                await host.stop()
                await real.close()

        asyncio.run(asyncio.wait_for(whole(), 30))

    return run


def test_messages_are_read_where_it_ends(hosted):
    async def body(host, client):
        assert parse(await client.ask(MESSAGE))["MSA-1"] == "AA"
        assert await host.journal.wait(0, 5)
        (told,) = host.journal.after(0)
        assert (told.kind, told.outcome, told.peer, told.actor) == ("ADT^A04", "AA", "ris", "pacs")
        assert told.request.read() == MESSAGE

    hosted(body)


def test_nothing_is_read_where_it_passes(hosted):
    async def body(host, client):
        assert parse(await client.ask(MESSAGE))["MSA-1"] == "AA"
        assert await host.journal.wait(0, 5)
        (told,) = host.journal.after(0)
        assert (told.kind, told.outcome, told.protocol) == ("TLS", "sealed", "hl7")
        assert not told.request.read()

    hosted(body, end=False)


def test_a_fault_acts_on_frames_inside(hosted):
    async def body(host, client):
        await client.ask(MESSAGE)
        fault = await host.taps.begin({"on": "ris->pacs", "kind": "reset", "after": {"frame": 1}})
        with pytest.raises(WireError):  # the frame that is the one after which the connection goes
            await asyncio.gather(*(client.ask(MESSAGE, timeout=2) for _ in range(2)))
        told = await host.taps.lift(fault["fault"])
        assert told["count"] >= 1
        assert parse(await client.ask(MESSAGE))["MSA-1"] == "AA"

    hosted(body)


def test_an_end_of_one_side_ends_the_other(hosted, until):
    async def body(host, client):
        await client.ask(MESSAGE)
        assert len(host.taps.taps[0].lines) == 1
        await client.close()
        await until(lambda: not host.taps.taps[0].lines)

    hosted(body)


def test_a_callee_under_another_name_is_refused_and_told(hosted):
    async def body(host, client):
        with contextlib.suppress(WireError):
            await client.ask(MESSAGE, timeout=3)
        assert await host.journal.wait(0, 5)
        told = host.journal.after(0)[0]
        assert (told.kind, told.outcome) == ("TLS", "refused")

    hosted(body, callee="bad/wrong-name")
