"""Audit records survive the death of their sender and of their repository: none lost, none twice, in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from stepwedge.errors import WireError
from stepwedge.sim.address import Address
from stepwedge.wire.mllp_asyncio import Client

ROOT = Path(__file__).parents[2]


class Process:
    """One host process on a state folder of its own, which can be killed and comes back at the same address."""

    def __init__(self, folder, actors, directory):
        self.folder, self.plan = folder, {"actors": actors, "directory": directory}
        folder.mkdir()
        (folder / "plan.json").write_text(json.dumps(self.plan))

    def start(self):
        ready = self.folder / "state" / "hospital.json"
        ready.unlink(missing_ok=True)
        options = ["--actors", self.folder / "plan.json", "--state", self.folder / "state", "--seed", "7"]
        command = [sys.executable, "-m", "stepwedge", "sim", "--hospital", *map(str, options)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log, stdout=log)
        deadline = time.monotonic() + 60
        while not ready.exists():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.told = json.loads(ready.read_text())["actors"]
        return self

    def address(self, name):
        return Address.parse(self.told[name]["address"])

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def ask(self, name, what):
        answer = httpx.post(f"{self.told[name]['admin']}/ask", json={"what": what, "args": {}}, timeout=30)
        return answer.json()["result"]


@pytest.fixture
def two(tmp_path):
    """Start a repository and a RIS that tells it everything, as two processes."""
    repository = Process(tmp_path / "repository", {"auditor": {"role": "auditor"}}, {}).start()
    there = {"auditor": {"syslog": repository.told["auditor"]["address"]["syslog"]}}
    ris = Process(tmp_path / "ris", {"ris": {"role": "ris"}}, there).start()
    yield repository, ris
    for one in (repository, ris):
        one.process.kill()
        one.process.wait()


def admission(number):
    return (
        f"MSH|^~\\&|SW_EHR|STEPWEDGE|SW_RIS|STEPWEDGE|20261124093000||ADT^A04^ADT_A01|K{number}|P|2.5.1\r"
        f"EVN||20261124093000\rPID|||SW7{number:05}^^^STEPWEDGE||Doe^Jane||19700101|F\rPV1||O\r"
    ).encode()


async def told(endpoint, numbers):
    """Send admissions until one is not answered; return the numbers that were acknowledged."""
    client, acknowledged = Client(endpoint.host, endpoint.port), []
    try:
        for number in numbers:
            with contextlib.suppress(WireError):
                if b"MSA|AA" in await client.ask(admission(number), 2):
                    acknowledged.append(number)
                    continue
            break
    finally:
        await client.close()
    return acknowledged


@pytest.mark.parametrize("victim", ["repository", "ris"])
@pytest.mark.parametrize("after", [0.02, 0.1, 0.35])
def test_a_kill_at_any_moment_neither_loses_nor_doubles(two, victim, after):
    """Kill one of both in the midst of a flood, at a moment of its own; what was acknowledged is recorded once."""
    repository, ris = two
    dice = random.Random(f"{victim} {after}")  # noqa: S311 - the same moments in every run
    acknowledged = []

    async def flood(start, killing):
        sending = asyncio.ensure_future(told(ris.address("ris").hl7, range(start, start + 150)))
        await asyncio.sleep(after * dice.uniform(0.7, 1.3))
        if killing:
            (repository if victim == "repository" else ris).kill()
        acknowledged.extend(await sending)

    for turn in range(3):
        asyncio.run(flood(turn * 1000, killing=True))
        (repository if victim == "repository" else ris).start()
    asyncio.run(flood(9000, killing=False))
    assert len(acknowledged) >= 150

    wanted = {f"SW7{number:05}" for number in acknowledged}
    deadline = time.monotonic() + 30
    while True:
        records = records_of(repository)
        missing = wanted - {patient for record in records for patient in record["patients"]}
        if not missing or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert not missing
    moments = [(record["at"], record["raw"]) for record in records if record["source"] == "SW_RIS"]
    assert len(set(moments)) == len(moments), "a record stands twice"
    assert [at for at, _ in moments] == sorted(at for at, _ in moments), "records came out of order"
    assert repository.ask("auditor", "verify")["intact"]


def records_of(repository):
    """Return all records that can be asked for."""
    answer = repository.ask("auditor", "records")
    assert answer["count"] <= 1000
    return answer["records"]
