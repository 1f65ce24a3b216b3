"""The taps of a host: callers are led through them, real ones are seen, faults are told and end by themselves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from stepwedge.errors import BadInput, Broken
from stepwedge.sim.host import Host, Plan
from stepwedge.sim.tap.countdown import After
from stepwedge.sim.tap.taps import _wish
from stepwedge.wire.hl7 import acknowledgement, parse
from stepwedge.wire.mllp_asyncio import Client, serve

MESSAGE = (
    b"MSH|^~\\&|RIS||PACS||20261124093000||ADT^A04|C1|P|2.5.1\rPID|1||SW12345678^^^STEPWEDGE||DOE^JANE\r"
)


@pytest.fixture
def hosted(tmp_path):
    """Run a test with an EHR and two systems that are not ours, and a tap between each."""

    def run(body):
        async def whole():
            def answer(raw, _peer):
                return acknowledgement(parse(raw), "AA", control="A", now=datetime.now(UTC))

            real = await serve("127.0.0.1", 0, answer)
            door = f"mllp://127.0.0.1:{real.port}"
            plan = {
                "actors": {"ehr": {"role": "ehr", "settings": {"tells": ["pacs"]}}},
                "directory": {"ris": {"hl7": "mllp://127.0.0.1:1"}, "pacs": {"hl7": door}},
                "taps": [{"on": "ehr->pacs"}, {"on": "ris->pacs"}],
            }
            host = Host(Plan.parse(plan, "test"), tmp_path, 1)
            await host.start()
            try:
                await body(host)
            finally:
                await host.stop()
                await real.close()

        asyncio.run(asyncio.wait_for(whole(), 30))

    return run


def port(host, on):
    return next(one["port"] for one in host.taps.told()["taps"] if one["on"] == on)


def test_what_two_real_systems_say_is_in_the_journal(hosted):
    async def body(host):
        client = Client("127.0.0.1", port(host, "ris->pacs"))
        assert parse(await client.ask(MESSAGE))["MSA-1"] == "AA"
        await client.close()
        assert await host.journal.wait(0, 5)
        (seen,) = host.journal.after(0)
        assert (seen.actor, seen.peer, seen.direction, seen.kind) == ("pacs", "ris", "in", "ADT^A04")
        assert seen.request.read() == MESSAGE

    hosted(body)


def test_only_the_caller_of_a_tap_is_led_through_it(hosted):
    async def body(host):
        assert host.simulators["ehr"].bench.directory["pacs"].hl7.port == port(host, "ehr->pacs")
        assert host.directory["pacs"].hl7.port not in {one["port"] for one in host.taps.told()["taps"]}
        assert all(tap.host == "127.0.0.1" for tap in host.taps.taps)

    hosted(body)


def test_a_fault_ends_by_itself(hosted):
    async def body(host):
        told = await host.taps.begin({"on": "ris->pacs", "kind": "reset", "seconds": 0.05, "case": "c"})
        assert (told["kind"], told["ended"]) == ("reset", 0.0)
        await asyncio.sleep(0.2)
        told = await host.taps.lift(told["fault"])
        assert told["ended"]
        assert told["left"] == ""
        assert all(tap.fault is None for tap in host.taps.taps)

    hosted(body)


@pytest.mark.parametrize(
    ("asked", "error", "text"),
    [
        ({"on": "ris->pacs", "kind": "rest"}, BadInput, "reset"),
        ({"on": "pacs->ris", "kind": "reset"}, Broken, "no tap on pacs->ris"),
        ({"on": "ris->pacs", "kind": "reject"}, Broken, "no tap on ris->pacs dicom"),
        ({"on": "ris", "kind": "reset"}, BadInput, "caller->callee"),
        ({"on": "ris->pacs", "kind": "latency", "args": {"delay": 1000}}, BadInput, "0 to 60"),
    ],
)
def test_what_cannot_be_begun(hosted, asked, error, text):
    async def body(host):
        with pytest.raises(error, match=text):
            await host.taps.begin(asked)
        assert all(tap.fault is None for tap in host.taps.taps)

    hosted(body)


def test_one_that_is_on_stands_in_the_way_of_another(hosted):
    async def body(host):
        first = await host.taps.begin({"on": "ris->pacs", "kind": "reset"})
        with pytest.raises(Broken, match="one fault at a time"):
            await host.taps.begin({"on": "ris->pacs", "kind": "latency"})
        await host.taps.lift(first["fault"])
        await host.taps.begin({"on": "ris->pacs", "kind": "latency"})

    hosted(body)


def test_a_step_names_pdus_and_frames_and_the_one_that_counts_is_not_nothing():
    for named, units in (
        ({"pdu": 0, "frame": 2}, 2),
        ({"pdu": 3, "frame": 0}, 3),
        ({"frame": 1}, 1),
        ({}, 0),
    ):
        assert _wish({"kind": "reset", "after": named}).after == After(units)


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_repository_is_reached_through_a_tap(tmp_path, transport):
    async def body():
        heard = bytearray()

        async def hear(reader, writer):
            heard.extend(await reader.read(100))
            writer.close()

        server = await asyncio.start_server(hear, "127.0.0.1", 0)
        where = f"{transport}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        plan = {
            "actors": {"ehr": {"role": "ehr", "settings": {"audit": False}}},
            "directory": {"auditor": {"syslog": where}},
            "taps": [{"on": "ehr->auditor"}],
        }
        host = Host(Plan.parse(plan, "test"), tmp_path, 1)
        await host.start()
        tapped = host.simulators["ehr"].bench.directory["auditor"].syslog
        assert (tapped.transport, tapped.port) == (transport, port(host, "ehr->auditor"))
        _, writer = await asyncio.open_connection(tapped.host, tapped.port)
        writer.write(b"3 abc")
        async with asyncio.timeout(5):
            while bytes(heard) != b"3 abc":  # noqa: ASYNC110 - what a socket did tells nobody
                await asyncio.sleep(0.01)
        writer.close()
        await host.stop()
        server.close()

    asyncio.run(asyncio.wait_for(body(), 30))


def test_a_tap_hands_on_no_datagrams(tmp_path):
    async def body():
        plan = {
            "actors": {"ehr": {"role": "ehr", "settings": {"audit": False}}},
            "directory": {"auditor": {"syslog": "udp://127.0.0.1:514"}},
            "taps": [{"on": "ehr->auditor", "doors": ["syslog"]}],
        }
        host = Host(Plan.parse(plan, "test"), tmp_path, 1)
        with pytest.raises(BadInput, match="datagrams"):
            await host.start()

    asyncio.run(asyncio.wait_for(body(), 30))


@pytest.mark.parametrize(
    ("elsewhere", "kept"),
    [
        pytest.param({}, 1, id="a real system"),
        pytest.param({"admin": "http://127.0.0.1:1/pacs"}, 0, id="a simulated one keeps its own"),
    ],
)
def test_what_reaches_a_system_that_keeps_a_journal_is_not_written_down_twice(tmp_path, elsewhere, kept):
    async def body():
        async def hear(reader, writer):
            await reader.read(1000)
            writer.close()

        server = await asyncio.start_server(hear, "127.0.0.1", 0)
        where = {"hl7": f"mllp://127.0.0.1:{server.sockets[0].getsockname()[1]}", **elsewhere}
        plan = {
            "actors": {"ehr": {"role": "ehr", "settings": {"audit": False}}},
            "directory": {"pacs": where},
            "taps": [{"on": "ehr->pacs", "doors": ["hl7"]}],
        }
        host = Host(Plan.parse(plan, "test"), tmp_path, 1)
        await host.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port(host, "ehr->pacs"))
        writer.write(b"\x0bMSH|^~\\&|SW_EHR||SW_PACS||20261124||ADT^A04|M1|P|2.5.1\rPID|1||SW1\r\x1c\r")
        assert await reader.read() == b""
        writer.close()
        await host.stop()
        server.close()
        assert host.journal.last == kept

    asyncio.run(asyncio.wait_for(body(), 30))
