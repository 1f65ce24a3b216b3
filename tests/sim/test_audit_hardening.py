"""Nonsense at the syslog door: bounded memory, nothing of it kept as a record of somebody, and still serving.

A short slice runs always; all hundred thousand frames with ``STEPWEDGE_FRAMES=100000 python -m pytest`` and this file.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tracemalloc

import pytest

from stepwedge.sim.host import Host, Part, Plan
from stepwedge.wire import syslog
from stepwedge.wire.syslog_asyncio import Sender

FRAMES = int(os.environ.get("STEPWEDGE_FRAMES", "2000"))
GOOD = (
    b"<AuditMessage><EventIdentification EventActionCode='E' EventDateTime='2026-11-24T09:30:00Z' EventOutcomeIndicator='0'>"
    b"<EventID csd-code='110100' codeSystemName='DCM' originalText='Application Activity'/>"
    b"<EventTypeCode csd-code='110120' codeSystemName='DCM' originalText='Application Start'/></EventIdentification>"
    b"<ActiveParticipant UserID='theirs' UserIsRequestor='false'>"
    b"<RoleIDCode csd-code='110150' codeSystemName='DCM' originalText='Application'/></ActiveParticipant>"
    b"<AuditSourceIdentification AuditSourceID='THEIRS'/></AuditMessage>"
)
HEAD = b"<85>1 2026-11-24T09:30:00Z here theirs 1 IHE+RFC-3881 - "
BOMB = b"<!DOCTYPE a [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><AuditMessage>&b;</AuditMessage>"


def nonsense(dice):
    """Return one mutated message: a header, a document or a length that is none."""
    raw = bytearray(HEAD + GOOD)
    match dice.randrange(8):
        case 0:
            for _ in range(dice.randrange(1, 20)):
                raw[dice.randrange(len(raw))] = dice.randrange(256)
        case 1:
            del raw[dice.randrange(len(raw)) :]
        case 2:
            raw[:0] = dice.randbytes(dice.randrange(1, 64))
        case 3:
            return dice.randbytes(dice.randrange(0, 2048))
        case 4:
            return HEAD + b"<a>" * dice.randrange(1, 2000)
        case 5:
            return HEAD + BOMB
        case 6:
            cut = dice.randrange(len(HEAD), len(raw))
            raw[cut:cut] = raw[dice.randrange(len(raw)) :]
        case 7:
            return b"<%d>%d - - - - - [%s]" % (
                dice.randrange(999),
                dice.randrange(20),
                b'a="' * dice.randrange(200),
            )
    return bytes(raw)


@pytest.mark.timeout(1800)
def test_frames_of_nonsense_are_survived(tmp_path):
    dice = random.Random(13)  # noqa: S311 - the same nonsense in every run

    async def main():
        host = Host(Plan({"auditor": Part("auditor")}), tmp_path / "state", 7)
        await host.start()
        state, point = host.simulators["auditor"].state, host.directory["auditor"].syslog
        stream, datagrams = (Sender(point.host, point.port, how) for how in ("tcp", "udp"))
        tracemalloc.start()
        floor = 0
        try:
            for number in range(FRAMES):
                raw = nonsense(dice)
                if number % 10 == 0:
                    await datagrams.send(raw[: syslog.LARGEST_DATAGRAM])
                elif number % 50 == 1:
                    await _broken(point, dice)
                else:
                    await stream.send(raw or b"x")
                if number % 200 == 0:
                    await asyncio.sleep(0)
                if number == FRAMES // 4:
                    floor = tracemalloc.get_traced_memory()[0]
            before = len(state.records)
            await Sender(point.host, point.port).send(HEAD.replace(b"theirs", b"honest") + GOOD)
            async with asyncio.timeout(60 + FRAMES / 500):
                while not any(one.application == "honest" for one in list(state.records.values())[-2000:]):  # noqa: ASYNC110 - the repository's state
                    await asyncio.sleep(0.02)
            grown = tracemalloc.get_traced_memory()[0] - floor
            tracemalloc.stop()
            await stream.close()
            await datagrams.close()
            return before, grown, list(state.records.values()), state.verify()
        finally:
            await host.stop()

    before, grown, records, verdict = asyncio.run(main())
    told = [one for one in records if one.raw]
    assert before <= len(told) + 1000 + 10
    assert not verdict.reason
    assert grown < (16 << 20) + 8192 * len(
        told
    )  # what could be a record is one; of all else there is no more
    assert all(one.problems for one in records if not one.event)
    assert {one.application for one in records if one.event and not one.problems} >= {"honest"}


async def _broken(point, dice):
    """Open a stream, send a length that lies, and go away."""
    lies = (b"999999999 x", b"12 short", b"x" * 40, b"00012 zero", b"1048577 too long")
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection(point.host, point.port)
        writer.write(dice.choice(lies))
        writer.close()
        await writer.wait_closed()
