"""The hospital in containers for the tests of this folder: started once, and removed again whatever became of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepwedge import kit
from stepwedge.errors import Broken
from stepwedge.lab import apart, containers, labfile

ROOT = Path(__file__).parents[2]


def command(*arguments, **more):
    """Run ``stepwedge`` and return what came of it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    whole = [sys.executable, "-m", "stepwedge", *map(str, arguments)]
    return subprocess.run(
        whole, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=110, **more
    )


class Hospital:
    """The running containers, each a ``docker.models.containers.Container`` by the name of its system."""

    def __init__(self, client):
        self.client = client
        self.lab = labfile.load(kit.find(containers.LAB))

    def __getitem__(self, name):
        labels = [containers.LABEL, f"com.docker.compose.service={name}"]
        (found,) = self.client.containers.list(all=True, filters={"label": labels})
        return found

    def address(self, name):
        from stepwedge.sim.address import Address

        return Address.parse(apart.look(self.lab)[name]["address"])

    def wait(self, seconds=40):
        """Wait until every system says who it is."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return apart.look(self.lab)
            except Broken:
                assert time.monotonic() < deadline
                time.sleep(0.1)


@pytest.fixture(scope="session")
def engine():
    """Return the engine's client, or skip with the reason why there is none."""
    if trouble := containers.missing():
        pytest.skip(trouble)
    import docker

    client = docker.from_env()
    try:
        client.images.get(os.environ.get("STEPWEDGE_IMAGE", "stepwedge:0.1.0"))
    except docker.errors.ImageNotFound:
        pytest.skip("no image of ours: make images")
    if client.containers.list(all=True, filters={"label": containers.LABEL}):
        pytest.skip("a hospital in containers is there already, and these tests break theirs: stepwedge down")
    yield client
    client.close()


@pytest.fixture(scope="session")
def started(engine):
    done = command("up", "--containers")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield Hospital(engine)
    finally:
        containers.down()


@pytest.fixture
def hospital(started):
    """Give the hospital to one test, every container running before and afterwards."""
    yield started
    for name in started.lab.actors:
        container = started[name]
        if container.status == "paused":
            container.unpause()
        elif container.status == "exited":
            container.start()
    started.wait()
