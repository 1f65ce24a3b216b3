"""H5 and H6: another order, and an answer in two halves."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from stepwedge.wire.hl7 import acknowledgement, parse
from stepwedge.wire.mllp import Frame, Framer, frame


def message(control, trigger):
    text = f"MSH|^~\\&|EHR||RIS||20261124093000||ADT^{trigger}|{control}|P|2.5.1\rPID|1||SW1\r"
    return text.encode()


def frames(data):
    framer = Framer()
    framer.receive_data(data)
    found = []
    while isinstance(event := framer.next_event(), Frame):
        found.append(event.payload)
    return found


def acknowledge(data):
    now = datetime.now(UTC)
    return b"".join(frame(acknowledgement(parse(one), "AA", control="A", now=now)) for one in frames(data))


async def send(bench, *messages):
    """Send one after the other, each behind the answer to the one before; return the answers."""
    reader, writer = await bench.call()
    answers = []
    for one in messages:
        writer.write(frame(one))
        answers.append(parse(frames(await reader.readuntil(b"\x1c\r"))[0]))
    writer.write_eof()
    answers += [parse(one) for one in frames(await asyncio.wait_for(reader.read(), 5))]
    writer.close()
    return [(one["MSA-1"], one["MSA-2"]) for one in answers]


def test_a_message_behind_the_next_one(tapped):
    async def body(bench):
        fault = await bench.begin("reorder", times=1, type="ADT^A04")
        said = await send(
            bench, message("1", "A05"), message("2", "A04"), message("3", "A08"), message("4", "A08")
        )
        assert said == [("AA", one) for one in "1234"], "the sender notices nothing"
        heard = [parse(one).control for one in frames(bytes(bench.far.heard[0]))]
        assert heard in (list("1324"), list("1342"))
        assert [one.what for one in fault.acts] == ["ADT^A04 behind ADT^A08: AA"]
        assert fault.told()["forged"] == ["2"]

    tapped(body, answer=acknowledge)


def test_what_nothing_overtook_is_brought_in_the_end(tapped, until):
    async def body(bench):
        fault = await bench.begin("reorder")
        reader, writer = await bench.call()
        writer.write(frame(message("1", "A04")))
        assert parse(frames(await reader.readuntil(b"\x1c\r"))[0])["MSA-2"] == "1"
        assert not bench.far.heard[0]
        assert await bench.tap.lift() == ""
        await until(lambda: [parse(one).control for one in frames(bytes(bench.far.heard[0]))] == ["1"])
        assert fault.count == 0, "it was in order after all"
        writer.close()

    tapped(body, answer=acknowledge)


def test_committed_first(tapped):
    async def body(bench):
        fault = await bench.begin("commit", times=1, then="AE")
        assert await send(bench, message("1", "A04"), message("2", "A04")) == [
            ("CA", "1"),
            ("AE", "1"),
            ("AA", "2"),
        ]
        assert fault.acts[0].what == "CA to 1, then AE"
        assert len(frames(bytes(bench.far.heard[0]))) == 2

    tapped(body, answer=acknowledge)


def test_committed_and_nothing_more(tapped):
    async def body(bench):
        fault = await bench.begin("commit", then="nothing")
        assert await send(bench, message("1", "A04")) == [("CA", "1")]
        assert fault.told()["forged"] == ["1"]

    tapped(body, answer=acknowledge)


def test_numbered_with_a_gap(tapped):
    async def body(bench):
        fault = await bench.begin("sequence", first=5, step=3)
        said = await send(bench, message("1", "A04"), message("2", "A04"))
        assert said == [("AA", "1"), ("AA", "2")]
        heard = [parse(one) for one in frames(bytes(bench.far.heard[0]))]
        assert [(one["MSH-13"], one["PID-3"], one.control) for one in heard] == [
            ("5", "SW1", "1"),
            ("8", "SW1", "2"),
        ]
        assert fault.count == 2

    tapped(body, answer=acknowledge)


def batch_of_answers(data):
    """Answer a batch as section 2.10.3 has it: one answer each, in a batch; what has no control ID is refused."""
    (raw,) = frames(data)
    if not raw.startswith(b"FHS"):
        return acknowledge(data)
    now = datetime.now(UTC)
    good = acknowledgement(parse(message("7", "A04")), "AA", control="A", now=now)
    bad = acknowledgement(None, "AR", control="B", now=now)
    assert raw.index(b"MSH|^~\\&||||") < raw.index(b"|ADT^A04|7|")
    return frame(b"FHS|^~\\&\rBHS|^~\\&\r" + bad + good + b"BTS|2\rFTS|1\r")


def test_a_batch_with_one_that_cannot_be_read(tapped):
    async def body(bench):
        fault = await bench.begin("batch", times=1)
        assert await send(bench, message("7", "A04"), message("8", "A04")) == [("AA", "7"), ("AA", "8")]
        assert [one.what for one in fault.acts] == ["batch of two answered AR, AA"]

    tapped(body, answer=batch_of_answers)


def test_a_receiver_that_takes_no_batches(tapped, until):
    def refuse(data):
        now = datetime.now(UTC)
        raw = frames(data)[0]
        return (
            frame(acknowledgement(None, "AR", control="B", now=now))
            if raw.startswith(b"FHS")
            else acknowledge(data)
        )

    async def body(bench):
        fault = await bench.begin("batch", times=1)
        reader, writer = await bench.call()
        writer.write(frame(message("7", "A04")))
        await until(lambda: fault.count == 1)
        writer.write(frame(message("7", "A04")))
        assert parse(frames(await reader.readuntil(b"\x1c\r"))[0])["MSA-2"] == "7"
        assert fault.acts[0].what == "batch of two answered AR"
        writer.close()

    tapped(body, answer=refuse)
