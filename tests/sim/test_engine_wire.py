"""The interface engine over real MLLP: order, time-outs, dead letters, replay, python-hl7 on both sides, SIGKILL."""

import asyncio
import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from hl7.client import MLLPClient
from hl7.mllp import open_hl7_connection, start_hl7_server

from stepwedge.checks.rules.relays import arrives_once
from stepwedge.errors import WireError
from stepwedge.evidence.exchange import Exchange
from stepwedge.evidence.journal import read
from stepwedge.sim.address import Address, Endpoint
from stepwedge.sim.simulator import Case
from stepwedge.wire import mllp_asyncio
from stepwedge.wire.hl7 import acknowledgement, compose, header, parse

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def admit(control, *more):
    head = header("ADT^A04", control=control, now=NOW, sender=("WARD", "SW"), receiver=("ENGINE", "SW"))
    return compose([head, ("PID", {3: [f"SW{control}", "", "", "STEPWEDGE"], 8: "F"}), *more])


class Receiver:
    """A destination that follows a script by message: control ID to what it does first."""

    def __init__(self, **script):
        self.script = {control: list(words) for control, words in script.items()}
        self.heard = []

    async def answer(self, raw, _peer):
        message = parse(raw)
        self.heard.append(raw)
        words = self.script.get(message.control) or ["AA"]
        word = words.pop(0) if len(words) > 1 else words[0]
        if word == "silent":
            return None
        return acknowledgement(message, word, control="A", now=NOW, text="as scripted")

    @property
    def controls(self):
        return [parse(raw).control for raw in self.heard]

    @contextlib.asynccontextmanager
    async def listening(self):
        async with await mllp_asyncio.serve("127.0.0.1", 0, self.answer) as server:
            yield Address(hl7=Endpoint("127.0.0.1", server.port))


ROUTE = {"from": "WARD", "to": ["ris"]}


@pytest.fixture
def relay(hospital, ask):
    """Send messages through an engine to one receiver until ``done(engine)``; return the engine's answers."""

    async def go(receiver, messages, done, *, quirks=(), after=None, **settings):
        async with receiver.listening() as address:
            given = {"role": "engine", "hl7_timeout": 0.2, "routes": [ROUTE], **settings}
            async with hospital(engine=given, others={"ris": address}, quirks=quirks) as host:
                answers = [parse(one) for one in await ask(host, "engine", *messages)]
                engine = host.simulators["engine"]
                await until(lambda: done(engine))
                return answers, await after(host, engine) if after else None

    return go


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the engine tells nobody
            await asyncio.sleep(0.005)


def fates(engine):
    return [copy.fate for copy in engine.state.copies.values()]


def settled(engine):
    return "waiting" not in fates(engine)


def test_a_silent_receiver_gets_the_same_message_again_and_the_next_one_waits(relay, run):
    receiver = Receiver(**{"1": ["silent", "silent", "AA"]})
    answers, _ = run(relay(receiver, [admit("1"), admit("2")], settled))
    assert [one["MSA-1"] for one in answers] == ["AA", "AA"]
    assert receiver.controls == ["1", "1", "1", "2"]
    assert len(set(receiver.heard)) == 2


def test_the_quirk_that_gives_up_after_a_time_out_loses_it(relay, run):
    receiver = Receiver(**{"1": ["silent", "AA"]})
    messages = [admit("1"), admit("2")]
    _, dead = run(
        relay(
            receiver,
            messages,
            settled,
            quirks=["queue.no_retry_on_timeout"],
            after=lambda _, engine: engine.ask("dead_letters", {}),
        )
    )
    assert receiver.controls == ["1", "2"]
    assert [one["control"] for one in dead["letters"]] == ["1"]


def test_an_error_is_tried_again_a_rejection_is_not_and_neither_stops_the_others(relay, run):
    receiver = Receiver(**{"1": ["AE"], "2": ["AR"], "3": ["CE", "CA"], "4": ["CR"]})
    messages = [admit(str(number)) for number in range(1, 6)]
    _, queues = run(relay(receiver, messages, settled, after=lambda _, engine: engine.ask("queues", {})))
    assert receiver.controls == ["1", "1", "1", "2", "3", "3", "4", "5"]
    assert queues == {"ris": {"waiting": 0, "dead": 3, "paused": False, "trouble": ""}}


def test_poison_blocks_with_the_quirk(relay, run):
    receiver = Receiver(**{"1": ["AR"]})
    run(
        relay(
            receiver,
            [admit("1"), admit("2")],
            lambda _: len(receiver.heard) > 4,
            quirks=["queue.poison_blocks"],
        )
    )
    assert set(receiver.controls) == {"1"}


def test_a_dead_letter_is_corrected_and_arrives_once_with_its_trail(relay, run):
    receiver = Receiver(**{"1": ["AR"]})

    async def after(_, engine):
        (dead,) = (await engine.ask("dead_letters", {}))["letters"]
        assert dead["reason"] == "AR: as scripted"
        again = await engine.act("replay", {"letter": "1", "correct": {"PID-8": "M"}}, Case("c", 1))
        await until(lambda: settled(engine))
        assert await engine.ask("parked", {}) == []
        return again, await engine.ask("trail", {"control": "1"})

    _, (again, trail) = run(relay(receiver, [admit("1"), admit("2")], settled, after=after))
    assert receiver.controls == ["1", "2", again["control"]]
    assert parse(receiver.heard[-1])["PID-8"] == "M"
    (letter,) = trail["letters"]
    assert [copy["fate"] for copy in letter["copies"]] == ["replayed", "delivered"]
    assert letter["copies"][1]["changed"]["PID[1]-8"] == "corrected by an operator"


def test_a_repeated_message_is_answered_and_goes_nowhere(relay, run):
    receiver = Receiver()
    answers, _ = run(
        relay(receiver, [admit("1"), admit("1"), admit("2")], lambda _: "2" in receiver.controls)
    )
    assert [one["MSA-1"] for one in answers] == ["AA"] * 3
    assert receiver.controls == ["1", "2"]


def test_the_destination_answers_where_the_route_says_so(relay, run):
    receiver = Receiver(**{"1": ["AE"], "2": ["silent", "silent", "silent", "AA"]})
    route = {**ROUTE, "reply": "destination"}
    messages = [admit("1"), admit("2"), admit("3"), admit("3")]
    answers, _ = run(relay(receiver, messages, settled, routes=[route], within=0.3, tries=1))
    assert [one["MSA-1"] for one in answers] == [
        "AE",
        "AA",
        "AA",
        "AA",
    ]  # 2: stored, its own answer came too late
    assert [one["MSA-2"] for one in answers] == ["1", "2", "3", "3"]
    assert receiver.controls == ["1", "2", "2", "2", "2", "3"]


@pytest.mark.parametrize("quirk", [None, "hl7.zseg_damage"])
def test_the_rule_about_relays_sees_a_damaged_segment(relay, run, tmp_path, quirk):
    damaged = Receiver()
    message = admit("1", ("ZAC", {1: ["a", "", "c"], 4: "d"}))
    run(relay(damaged, [message], settled, quirks=[quirk] if quirk else []))

    journal = [Exchange.from_json(one) for one in read(tmp_path / "state" / "journal.jsonl")]
    finding = arrives_once(SimpleNamespace(exchanges=journal))
    assert finding.reached == 1
    places = [one.path.rpartition(": ")[2] for one in finding.differences]
    assert places == (["ZAC[1]-1", "ZAC[1]-2", "ZAC[1]-4"] if quirk else [])
    assert (b"ZAC|a^^c|||d" in damaged.heard[0]) is (quirk is None)


def test_python_hl7_sends_and_python_hl7_receives(hospital, run):
    heard = []

    async def receive(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while not writer.is_closing():
                message = await reader.readmessage()
                heard.append(message)
                writer.writemessage(message.create_ack())
                await writer.drain()

    def send(port):
        with MLLPClient("127.0.0.1", port) as client:
            return [client.send_message(admit(str(number))) for number in range(5)]

    async def talk():
        async with await start_hl7_server(receive, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            others = {"ris": Address(hl7=Endpoint("127.0.0.1", port))}
            tables = {"sex": {"at": "PID-8", "rows": {"F": "W"}}}
            route = {**ROUTE, "translate": ["sex"]}
            given = {"role": "engine", "routes": [route], "tables": tables}
            async with hospital(engine=given, others=others) as host:
                answers = await asyncio.to_thread(send, host.directory["engine"].hl7.port)
                await until(lambda: len(heard) == 5)
                return answers

    answers = run(talk())
    assert [parse(one.strip(b"\x0b\x1c\r"))["MSA-2"] for one in answers] == list("01234")
    assert [str(one["MSH.F10.R1"]) for one in heard] == list("01234")
    assert {str(one["PID.F8.R1"]) for one in heard} == {"W"}


# --- enhanced acknowledgement mode, several listeners


class Department:
    """A receiver made of python-hl7, that says of each message what its script has: MSA-1 and how long it thinks before."""

    def __init__(self, **script):
        self.script, self.heard = script, []

    async def __call__(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError):
            while not writer.is_closing():
                message = await reader.readmessage()
                self.heard.append(message)
                for pause, code in self.script[str(message["MSH.F10.R1"])]:
                    await asyncio.sleep(pause)
                    writer.writemessage(message.create_ack(ack_code=code))
                await writer.drain()

    @property
    def controls(self):
        return [str(one["MSH.F10.R1"]) for one in self.heard]


@pytest.fixture
def enhanced_relay(hospital, ask):
    """As ``relay``, in enhanced mode, to a receiver made of python-hl7."""

    async def go(department, messages, done, quirks=()):
        async with await start_hl7_server(department, "127.0.0.1", 0) as server:
            address = Address(hl7=Endpoint("127.0.0.1", server.sockets[0].getsockname()[1]))
            given = {"role": "engine", "hl7_timeout": 0.3, "routes": [ROUTE], "enhanced": ["ris"]}
            async with hospital(engine=given, others={"ris": address}, quirks=quirks) as host:
                await ask(host, "engine", *messages)
                engine = host.simulators["engine"]
                await until(lambda: done(engine))
                return await engine.ask("unresolved", {}), fates(engine)

    return go


def test_what_is_accepted_and_never_answered_for_is_unresolved_and_not_sent_again(enhanced_relay, run):
    department = Department(
        **{"1": [(0, "CA"), (0.1, "AA")], "2": [(0, "CA")], "3": [(0, "CA"), (0, "AR")], "4": [(0, "CR")]}
    )
    told, found = run(enhanced_relay(department, [admit(str(n)) for n in range(1, 5)], settled))
    assert found == ["delivered", "unresolved", "dead", "dead"]
    assert department.controls == ["1", "2", "3", "4"]
    assert {(str(one["MSH.F15.R1"]), str(one["MSH.F16.R1"])) for one in department.heard} == {("AL", "AL")}
    (left,) = told["letters"]
    assert (left["control"], left["to"], left["patient"]) == ("2", "ris", "SW2")
    assert left["reason"] == "CA, and no application acknowledgement in time"


@pytest.mark.parametrize(("code", "fate"), [("AA", "delivered"), ("AE", "dead")])
def test_an_application_that_answers_late_settles_what_was_unresolved(enhanced_relay, run, code, fate):
    department = Department(**{"1": [(0, "CA"), (0.6, code)]})
    _, found = run(enhanced_relay(department, [admit("1")], lambda engine: fates(engine) == [fate]))
    assert found == [fate]
    assert department.controls == ["1"]


def test_with_the_quirk_an_accept_acknowledgement_is_taken_for_the_end(enhanced_relay, run):
    department = Department(**{"1": [(0, "CA")]})
    told, found = run(enhanced_relay(department, [admit("1")], settled, quirks=["ack.commit_is_enough"]))
    assert (told["letters"], found) == ([], ["delivered"])


def wishing(control, accept, application):
    head = header(
        "ADT^A04", control=control, now=NOW, sender=("WARD", "SW"), more={15: accept, 16: application}
    )
    return compose([head, ("PID", {3: [f"SW{control}", "", "", "STEPWEDGE"], 8: "F"})])


def test_each_listener_has_its_routes_and_answers_python_hl7_in_the_mode_it_asks_for(hospital, run):
    receiver = Receiver()

    async def asked(port, message, count):
        reader, writer = await open_hl7_connection("127.0.0.1", port)
        writer.write(b"\x0b" + message + b"\x1c\r")
        found = [await asyncio.wait_for(reader.readmessage(), 5) for _ in range(count)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readmessage(), 0.1)
        writer.close()
        assert len({str(one["MSH.F10.R1"]) for one in found}) == count, "each answer is a message of its own"
        return [(str(one["MSA.F1.R1"]), str(one["MSA.F2.R1"])) for one in found]

    async def talk():
        async with receiver.listening() as address:
            routes = [ROUTE | {"listener": "ward"}]
            given = {"role": "engine", "hl7_timeout": 0.2, "routes": routes, "listeners": ["ward", "lab"]}
            async with hospital(engine=given, others={"ris": address}) as host:
                ports = {name: host.directory[f"engine.{name}"].hl7.port for name in ("ward", "lab")}
                assert Address.parse(host.directory["engine"].format()) == host.directory["engine"]
                said = {
                    "both": await asked(ports["ward"], wishing("1", "AL", "AL"), 2),
                    "accept": await asked(ports["ward"], wishing("2", "AL", "NE"), 1),
                    "on error": await asked(ports["ward"], wishing("3", "ER", "ER"), 0),
                    "elsewhere": await asked(ports["lab"], wishing("4", "ER", "ER"), 1),
                    "original": await asked(ports["ward"], admit("5"), 1),
                    "again": await asked(ports["ward"], wishing("1", "AL", "AL"), 2),
                }
                await until(lambda: len(receiver.heard) == 4)
                return said

    said = run(talk())
    assert said == {
        "both": [("CA", "1"), ("AA", "1")],
        "accept": [("CA", "2")],
        "on error": [],
        "elsewhere": [("CR", "4")],
        "original": [("AA", "5")],
        "again": [("CA", "1"), ("AA", "1")],
    }
    assert receiver.controls == ["1", "2", "3", "5"]
    assert {parse(raw)["MSH-15"] for raw in receiver.heard} == {""}, "the sender's wishes end at the engine"


@pytest.fixture
def process(tmp_path):
    """Start the engine as a process of its own, over and over on one state folder."""
    processes = []

    def start(port):
        plan = {
            "actors": {"engine": {"role": "engine", "settings": {"routes": [ROUTE], "hl7_timeout": 2}}},
            "directory": {"ris": {"hl7": f"mllp://127.0.0.1:{port}"}},
        }
        actors, state = tmp_path / "actors.json", tmp_path / "state"
        actors.write_text(json.dumps(plan))
        (state / "hospital.json").unlink(missing_ok=True)
        options = ["--hospital", "--actors", str(actors), "--state", str(state), "--seed", "7"]
        one = subprocess.Popen([sys.executable, "-m", "stepwedge", "sim", *options], cwd=ROOT)
        processes.append(one)
        deadline = time.monotonic() + 30
        while not (state / "hospital.json").exists():
            assert one.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        ready = json.loads((state / "hospital.json").read_text())
        return one, Address.parse(ready["actors"]["engine"]["address"]).hl7

    yield start
    for one in processes:
        one.kill()
        one.wait()


def test_a_kill_between_accept_and_delivery_loses_and_doubles_nothing(process, run):
    receiver, accepted, numbers, chance = Receiver(), [], itertools.count(1), random.Random(4171)  # noqa: S311 - a seeded test

    async def feed(endpoint):
        client = mllp_asyncio.Client(endpoint.host, endpoint.port)
        with contextlib.suppress(WireError):
            while True:
                control = str(next(numbers))
                await client.ask(admit(control), 5)
                accepted.append(control)
        await client.close()

    async def talk():
        async with receiver.listening() as address:
            for _ in range(5):
                engine, endpoint = await asyncio.to_thread(process, address.hl7.port)
                feeding = asyncio.ensure_future(feed(endpoint))
                await asyncio.sleep(chance.uniform(0.01, 0.15))
                os.kill(engine.pid, signal.SIGKILL)
                engine.wait()
                await feeding
            await asyncio.to_thread(process, address.hl7.port)
            await until(lambda: set(accepted) <= set(receiver.controls))

    run(talk())
    first = list(dict.fromkeys(receiver.controls))
    assert len(accepted) > 5
    assert first == sorted(first, key=int)
    # what was sent again is the same message, which a receiver knows by its control ID: it has no second effect
    assert len(set(receiver.heard)) == len(first)
