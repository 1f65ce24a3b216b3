"""Reading in a process of its own: nothing is lost, nothing waits for it, and what it could not read is said."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime

import pytest

from stepwedge.evidence.journal import Journal
from stepwedge.sim.address import Directory
from stepwedge.sim.bench import Bench
from stepwedge.sim.ports import Ports
from stepwedge.sim.tap.apart import Apart
from stepwedge.sim.tap.ring import POSSIBLE
from stepwedge.sim.tap.tap import Edge, Tap
from stepwedge.sim.tap.witness import MOST
from stepwedge.sim.tap.witnesses import Witnesses
from stepwedge.wire.hl7 import acknowledgement, parse
from stepwedge.wire.mllp_asyncio import Client, serve

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="everything is read in the taps' process here")


def message(number, note="x", patient="SW12345678"):
    return (
        f"MSH|^~\\&|RIS||PACS||20261124093000||ADT^A04|{number}|P|2.5.1\r"
        f"PID|1||{patient}^^^STEPWEDGE||DOE^JANE\rNTE|1||{note}\r"
    ).encode()


class Tapped:
    """A tap whose callee is not ours, what reads it, and the journal."""

    def __init__(self, tap, apart, journal):
        self.tap, self.apart, self.journal = tap, apart, journal

    async def say(self, *numbers, **told):
        client = Client("127.0.0.1", self.tap.port)
        for number in numbers:
            assert parse(await client.ask(message(number, **told)))["MSA-2"] == str(number)
        await client.close()

    def seen(self):
        return [one.request.read().split(b"|")[9] for one in self.journal.after(0) if one.kind == "ADT^A04"]


@pytest.fixture
def tapped(tmp_path):
    """Run a test's coroutine with a tap; what it returns is called when everything was stopped."""

    def run(body, most=MOST):
        async def whole():
            def answer(raw, _peer):
                return acknowledgement(parse(raw), "AA", control="A", now=datetime.now(UTC))

            real = await serve("127.0.0.1", 0, answer)
            journal = Journal(tmp_path)
            bench = Bench(
                "pacs", "tap", {}, tmp_path / "pacs", 1, journal, Directory(), Ports(tmp_path / "p.json")
            )
            apart = Apart(Witnesses(lambda _: bench), lambda _: bench, journal, most)
            edge = Edge("ris", "pacs", "hl7")
            tap = Tap(edge, ("127.0.0.1", real.port), apart.of(edge, "", sealed=False), behind=apart)
            await tap.listen()
            await apart.start()
            try:
                then = await body(Tapped(tap, apart, journal))
            finally:
                await tap.close()
                await apart.stop()
                await real.close()
                await bench.stop()
            with pytest.raises(ProcessLookupError):
                os.kill(apart.process, 0)
            if then is not None:
                then()
            journal.close()

        asyncio.run(asyncio.wait_for(whole(), 60))

    return run


def test_all_that_passed_is_in_the_journal_when_it_stops(tapped):
    async def body(tapped):
        await asyncio.gather(*(tapped.say(*range(100 * n, 100 * n + 20)) for n in range(1, 6)))

        def then():
            seen = tapped.seen()
            assert sorted(seen) == sorted(b"%d" % (100 * n + k) for n in range(1, 6) for k in range(20))
            for n in range(1, 6):
                mine = [one for one in seen if one.startswith(b"%d" % n)]
                assert mine == sorted(mine)
            (first, *_) = tapped.journal.after(0)
            assert (first.actor, first.peer, first.outcome) == ("pacs", "ris", "AA")
            assert first.facts["tap"] == "ris->pacs hl7"
            assert first.keys["patient"] == ["SW12345678"]

        return then

    tapped(body)


def test_who_asks_the_journal_finds_what_passed_before(tapped):
    async def body(tapped):
        await tapped.say(0)
        await tapped.apart.caught_up(20)
        for number in range(1, 10):
            await tapped.say(number)
            await tapped.apart.caught_up(20)
            assert tapped.seen()[-1] == b"%d" % number

    tapped(body)


def test_a_large_payload_is_a_file(tapped):
    async def body(tapped):
        await tapped.say(1, note="x" * 100_000)
        await tapped.apart.caught_up(20)
        (seen,) = tapped.journal.after(0)
        assert seen.request.file
        assert seen.request.read() == message(1, note="x" * 100_000)

    tapped(body)


def test_nobody_real_is_written_down(tapped):
    async def body(tapped):
        await tapped.say(1, patient="4711")
        await tapped.apart.caught_up(20)
        (seen,) = tapped.journal.after(0)
        assert seen.facts["refused"]
        assert "4711" not in tapped.journal.path.read_text()

    tapped(body)


def test_nothing_waits_for_one_that_is_too_far_behind_and_the_journal_says_so(tapped):
    async def body(tapped):
        await tapped.say(1)
        await tapped.apart.caught_up(20)
        os.kill(tapped.apart.process, signal.SIGSTOP)
        await tapped.say(2, *range(100, 150), note="y" * 5000)  # every one of them is answered
        os.kill(tapped.apart.process, signal.SIGCONT)
        await tapped.apart.caught_up(20)
        await tapped.say(3)

        def then():
            troubles = [one for one in tapped.journal.after(0) if one.kind == "unreadable"]
            assert [one.outcome for one in troubles] == ["garbled"]
            assert "not read: too far behind, more than 100000 bytes" in troubles[0].facts["error"]
            seen = tapped.seen()
            assert seen[:3] == [b"1", b"2", b"100"]
            assert seen[-1] == b"3"
            assert 3 < len(seen) < 30

        return then

    tapped(body, most=100_000)


def test_one_that_dies_leaves_a_word_and_reading_goes_on_here(tapped, until):
    async def body(tapped):
        client = Client("127.0.0.1", tapped.tap.port)
        await client.ask(message(1))
        await tapped.apart.caught_up(20)
        os.kill(tapped.apart.process, signal.SIGKILL)
        await until(lambda: tapped.journal.last == 2)
        assert b"|AA|" in await client.ask(message(2))
        await client.close()
        await tapped.say(3)

        def then():
            assert tapped.seen() == [b"1", b"3"]
            trouble = tapped.journal.after(1)[0]
            assert (trouble.kind, trouble.facts["error"]) == (
                "unreadable",
                "not read: the process that read it is gone",
            )

        return then

    tapped(body)
