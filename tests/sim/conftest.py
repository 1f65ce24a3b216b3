"""What tests of simulated systems need: a lab with one small simulator, and a clean place for its state."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from stepwedge.sim.host import Host, Part, Plan
from stepwedge.wire import mllp_asyncio
from stepwedge.wire.hl7 import compose, header

LAB = Path(__file__).parent / "lab"


@pytest.fixture
def lab(monkeypatch):
    monkeypatch.setenv("STEPWEDGE_LAB", str(LAB))
    return LAB


@pytest.fixture
def hospital(lab, tmp_path):
    """Start small systems: ``async with hospital(a={...settings}, b={"role": "archive"}) as host``."""

    @contextlib.asynccontextmanager
    async def start(*, state=tmp_path / "state", seed=1, quirks=(), others=None, **settings):
        plan = Plan(
            {name: Part(given.pop("role", "echo"), given) for name, given in settings.items()}, others or {}
        )
        host = Host(plan, state, seed, quirks)
        await host.start()
        try:
            yield host
        finally:
            await host.stop()

    return start


@pytest.fixture
def admission():
    """Compose an ADT^A04."""

    def make(control, patient="SW1", name="Doe", application="TEST"):
        from datetime import datetime

        now = datetime(2026, 11, 24, 9, 30).astimezone()
        head = header("ADT^A04", control=control, now=now, sender=(application, "STEPWEDGE"))
        return compose([head, ("PID", {3: [patient, "", "", "STEPWEDGE"], 5: [name]})])

    return make


@pytest.fixture
def ask():
    """Send messages to an HL7 door on one connection and return the answers."""

    async def send(host, name, *messages):
        endpoint = host.directory[name].hl7
        client = mllp_asyncio.Client(endpoint.host, endpoint.port)
        try:
            return [await client.ask(message, 5) for message in messages]
        finally:
            await client.close()

    return send


@pytest.fixture
def run():
    """Run one coroutine to its end."""
    return asyncio.run


@pytest.fixture
def bench(lab, tmp_path):
    """Return the state of an echo system that does not listen, and its HL7 door."""
    host = Host(Plan({"ris": Part("echo")}), tmp_path / "state", 1)
    simulator = host.simulators["ris"]
    simulator.state.bench = simulator.bench
    yield simulator.state, simulator.doors[0]
    simulator.bench.store.close()
    host.journal.close()
