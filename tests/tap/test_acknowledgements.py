"""H1, H4, H7: a no, another's answer, twice, and bytes between."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stepwedge.sim.tap.countdown import After
from stepwedge.wire.hl7 import acknowledgement, parse
from stepwedge.wire.mllp import Frame, Framer, frame


def message(control):
    return f"MSH|^~\\&|EHR||RIS||20261124093000||ADT^A04|{control}|P|2.5.1\rPID|1||SW1\r".encode()


def acknowledge(data):
    return b"".join(
        frame(acknowledgement(parse(one), "AA", control="A", now=datetime.now(UTC))) for one in frames(data)
    )


def frames(data):
    framer = Framer()
    framer.receive_data(data)
    found = []
    while isinstance(event := framer.next_event(), Frame):
        found.append(event.payload)
    return found


async def talk(bench, *controls):
    """Send messages one after the other on one connection; return the answers as they came."""
    reader, writer = await bench.call()
    answers = []
    for control in controls:
        writer.write(frame(message(control)))
        answers.append(parse(frames(await reader.readuntil(b"\x1c\r"))[0]))
    writer.write_eof()
    answers += [parse(one) for one in frames(await reader.read())]
    writer.close()
    return answers


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_a_no_in_the_receivers_place(tapped, code):
    async def body(bench):
        fault = await bench.begin("nak", after=After(units=1), times=1, code=code)
        answers = await talk(bench, "1", "2", "3")
        assert [(one["MSA-1"], one["MSA-2"]) for one in answers] == [("AA", "1"), (code, "2"), ("AA", "3")]
        assert "locked" in answers[1]["ERR-8"]
        assert [parse(one).control for one in frames(bytes(bench.far.heard[0]))] == ["1", "3"]
        assert [one.what for one in fault.acts] == [f"{code} to 2"]

    tapped(body, answer=acknowledge)


def test_an_answer_to_another_message(tapped):
    async def body(bench):
        fault = await bench.begin("wrong-msa", times=1)
        answers = await talk(bench, "C1", "C2")
        assert [one["MSA-2"] for one in answers] == ["X1", "C2"]
        assert fault.told()["forged"] == ["C1"]

    tapped(body, answer=acknowledge)


@pytest.mark.parametrize(("side", "heard"), [("request", 3), ("answer", 2)])
def test_twice(tapped, side, heard):
    async def body(bench):
        fault = await bench.begin("twice", side=side, times=1)
        reader, writer = await bench.call()
        for control in ("1", "2"):
            writer.write(frame(message(control)))
        writer.write_eof()
        answers = [parse(one)["MSA-2"] for one in frames(await reader.read())]
        assert answers == ["1", "1", "2"]
        assert len(frames(bytes(bench.far.heard[0]))) == heard
        assert fault.told()["forged"] == ["1"]
        writer.close()

    tapped(body, answer=acknowledge)


def test_bytes_between_messages(tapped):
    async def body(bench):
        fault = await bench.begin("junk", bytes=3)
        await talk(bench, "1", "2")
        assert bytes(bench.far.heard[0]) == b"".join(b"\r\n\r" + frame(message(one)) for one in ("1", "2"))
        assert fault.count == 2

    tapped(body, answer=acknowledge)


def test_a_message_under_way_when_it_begins_passes(tapped, until):
    async def body(bench):
        _, writer = await bench.call()
        raw = frame(message("1"))
        writer.write(raw[:20])
        await until(lambda: bench.far.heard == [raw[:20]])
        fault = await bench.begin("nak")
        writer.write(raw[20:] + frame(message("2")))
        await until(lambda: fault.count == 1)
        assert fault.acts[0].what == "AE to 2"
        assert bench.far.heard == [raw]
        writer.close()

    tapped(body, answer=lambda _: b"")


def test_what_is_not_whole_is_let_go_in_the_end(tapped, until):
    async def body(bench):
        await bench.begin("nak")
        _, writer = await bench.call()
        writer.write(b"\x0bMSH|")
        await until(lambda: next(iter(bench.tap.lines.values())).arrived_bytes["request"] == 5)
        assert bench.far.heard == [b""]
        assert await bench.tap.lift() == ""
        await until(lambda: bench.far.heard == [b"\x0bMSH|"])
        writer.close()

    tapped(body, answer=lambda _: b"")
