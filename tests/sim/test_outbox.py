"""The outbox: order, the same bytes again, parking, restart, answers for acts."""

import asyncio

import pytest

from stepwedge.errors import Broken, LinkLost, NoAnswer, Refused
from stepwedge.sim import outbox as outbox_module
from stepwedge.sim.address import Address, Endpoint
from stepwedge.sim.simulator import Case
from stepwedge.wire import mllp_asyncio
from stepwedge.wire.hl7 import acknowledgement, parse


class Listener:
    """A receiver that follows a script: one word per message, ``AA`` when the script is over."""

    def __init__(self, *script, clock):
        self.script = list(script)
        self.heard = []
        self.clock = clock
        self.server = None

    async def answer(self, raw, peer):
        message = parse(raw)
        self.heard.append(raw)
        word = self.script.pop(0) if self.script else "AA"
        if word == "lost":
            raise ConnectionError("as scripted")
        if word == "silent":
            return None
        if word == "garbled":
            return b"not HL7"
        if word == "other":
            return acknowledgement(message, "AA", control="1", now=self.clock).replace(
                message.control.encode(), b"X"
            )
        return acknowledgement(message, word, control="1", now=self.clock, text="as scripted")

    @property
    def controls(self):
        return [parse(raw).control for raw in self.heard]

    async def __aenter__(self):
        self.server = await mllp_asyncio.serve("127.0.0.1", 0, self.answer)
        return self

    async def __aexit__(self, *_):
        await self.server.close()

    @property
    def address(self):
        return Address(hl7=Endpoint("127.0.0.1", self.server.port))


@pytest.fixture
def listener():
    from datetime import datetime

    return lambda *script: Listener(*script, clock=datetime(2026, 11, 24).astimezone())


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(outbox_module, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(outbox_module, "LONGEST_PAUSE", 0.01)


async def until(condition, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - a condition of any kind
            await asyncio.sleep(0.002)


async def register(host, **args):
    return await host.simulators["a"].act("register_patient", {"to": "x", **args}, Case("case", 1))


@pytest.mark.parametrize("trouble", ["lost", "garbled", "other", "silent"])
def test_the_same_bytes_go_again_until_the_receiver_decides(hospital, listener, run, trouble):
    async def talk():
        settings = {"hl7_timeout": 0.1}
        async with (
            listener(trouble, trouble) as there,
            hospital(a=settings, others={"x": there.address}) as host,
        ):
            await register(host)
            return there.heard, host.journal.after(0), host.simulators["a"].bench.outbox.waiting()

    heard, exchanges, waiting = run(talk())
    assert len(heard) == 3
    assert len(set(heard)) == 1
    word = {"other": "garbled", "silent": "timeout"}.get(trouble, trouble)
    assert [exchange.outcome for exchange in exchanges] == [word, word, "AA", "passed"]
    assert waiting == []


def test_messages_arrive_in_order_although_the_link_fails(hospital, listener, run):
    async def talk():
        script = ("lost", "AA", "lost", "lost", "AA", "garbled")
        async with listener(*script) as there, hospital(a={}, others={"x": there.address}) as host:
            await asyncio.gather(*(register(host, name=str(number)) for number in range(5)))
            return [parse(raw)["PID-5.1"] for raw in there.heard]

    assert run(talk()) == ["0", "0", "1", "1", "1", "2", "2", "3", "4"]


def test_a_no_parks_the_message_and_the_queue_goes_on(hospital, listener, run):
    async def talk():
        async with listener("AE") as there, hospital(a={}, others={"x": there.address}) as host:
            with pytest.raises(Refused, match="AE: as scripted"):
                await register(host)
            await register(host)
            return await host.simulators["a"].ask("parked", {}), there.controls

    parked, controls = run(talk())
    assert [(each["control"], each["reason"]) for each in parked] == [(controls[0], "AE: as scripted")]
    assert len(controls) == 2


def test_an_act_without_an_answer_says_what_kept_it_and_the_message_goes_on(hospital, listener, run):
    async def talk():
        async with listener() as there:
            address = there.address
        async with hospital(a={}, others={"x": address}) as host:
            with pytest.raises(LinkLost, match="x took nothing within"):
                await register(host, within=0.2)
            return await host.simulators["a"].ask("waiting", {}), host.journal.after(0)[-1]

    (waiting,), last = run(talk())
    assert "no connection" in waiting["trouble"]
    assert (last.protocol, last.kind, last.outcome, last.case) == (
        "act",
        "register_patient",
        "inconclusive",
        "case",
    )


def test_silence_is_no_answer(hospital, listener, run):
    async def talk():
        async with listener("silent") as there, hospital(a={}, others={"x": there.address}) as host:
            with pytest.raises(NoAnswer):
                await register(host, within=0.2)

    run(talk())


def test_what_was_not_delivered_is_delivered_after_a_restart(hospital, listener, run):
    async def talk():
        async with listener() as there:
            address = there.address
        async with hospital(a={}, others={"x": address}) as host:
            for name in ("1", "2"):
                with pytest.raises(LinkLost):
                    await register(host, name=name, within=0.05)
            before = [each["control"] for each in await host.simulators["a"].ask("waiting", {})]
        async with listener() as there:
            async with hospital(a={}, others={"x": there.address}) as host:
                await until(lambda: len(there.heard) == 2)
                await until(lambda: not host.simulators["a"].bench.outbox.waiting())
            return before, there.controls

    before, controls = run(talk())
    assert before == controls


def test_a_message_to_nobody_is_refused_before_anything_changes(hospital, run):
    async def talk():
        async with hospital(a={}) as host:
            with pytest.raises(Broken, match="no actor is called 'x'"):
                await register(host)
            return await host.simulators["a"].ask("count", {})

    assert run(talk()) == 0


def test_a_message_caused_by_a_message_leaves_with_its_commit(hospital, admission, ask, listener, run):
    async def talk():
        settings = {"tells": ["x"]}
        async with listener() as there, hospital(a=settings, others={"x": there.address}) as host:
            await ask(host, "a", admission("1"))
            await until(lambda: host.journal.last == 2)
            return there.controls, host.journal.after(0)

    (control,), exchanges = run(talk())
    assert control.startswith("SW")
    assert [(each.direction, each.peer) for each in exchanges] == [("in", "TEST"), ("out", "x")]
