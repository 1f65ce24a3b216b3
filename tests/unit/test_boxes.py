"""A system in a container: what the engine must say before a kill, a pause or a start counts as having happened."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from stepwedge.errors import Broken, Inconclusive
from stepwedge.lab.boxes import Box
from stepwedge.lab.containers import LABEL


class EngineError(Exception):
    """What the engine's client raises."""


class Container:
    """One container, as its engine tells of it; ``deaf`` to whatever it is told."""

    short_id = "c0ffee"

    def __init__(self):
        self.state = {"Running": True, "Paused": False, "Status": "running", "ExitCode": 0, "StartedAt": "1"}
        self.attrs, self.deaf, self.killed_with = {"State": self.state}, False, 137

    def _now(self, **state):
        if not self.deaf:
            self.state = {**self.state, **state}

    def reload(self):
        self.attrs = {"State": self.state}

    def kill(self, signal):
        assert signal == "SIGKILL"
        self._now(Running=False, Status="exited", ExitCode=self.killed_with)

    def stop(self, timeout):
        assert timeout
        self._now(Running=False, Status="exited", ExitCode=143)

    def start(self):
        self._now(Running=True, Status="running", StartedAt="2")

    def restart(self, timeout):
        assert timeout
        self.start()

    def pause(self):
        self._now(Paused=True, Status="paused")

    def unpause(self):
        self._now(Paused=False, Status="running")


@pytest.fixture
def engine(monkeypatch):
    """Stand an engine in for the real one; its containers can be changed."""
    there = SimpleNamespace(containers=[Container()], down=False)

    def listed(*, all, filters):  # noqa: A002 - the client's word
        assert all
        assert filters == {"label": [LABEL, "com.docker.compose.service=pacs"]}
        if there.down:
            raise EngineError("connection refused")
        for one in there.containers:
            one.reload()
        return there.containers

    client = SimpleNamespace(containers=SimpleNamespace(list=listed))
    errors = SimpleNamespace(DockerException=EngineError)
    monkeypatch.setitem(sys.modules, "docker", SimpleNamespace(from_env=lambda: client, errors=errors))
    monkeypatch.setattr("stepwedge.lab.boxes._PATIENCE", 0.0)
    return there


def test_what_the_engine_did_is_told_in_its_words(engine):
    box = Box("pacs")
    assert box.cannot("kill") == ""
    assert box.pause() == "container c0ffee is paused"
    assert box.resume() == "container c0ffee is running"
    assert box.kill() == "SIGKILL: container c0ffee ended with exit code 137"
    assert box.start() == "container c0ffee runs since 2"
    engine.containers[0].state["StartedAt"] = "1"
    assert box.restart() == "container c0ffee runs since 2, before since 1"
    assert box.stop() == "SIGTERM: container c0ffee ended with exit code 143"


@pytest.mark.parametrize("trouble", ["kill", "stop", "restart", "pause"])
def test_what_did_not_happen_is_inconclusive(engine, trouble):
    engine.containers[0].deaf = True
    with pytest.raises(Inconclusive, match="pacs"):
        getattr(Box("pacs"), trouble)()


def test_one_that_ended_by_itself_was_not_killed(engine):
    engine.containers[0].killed_with = 1
    with pytest.raises(Inconclusive, match="ended with 1 before SIGKILL"):
        Box("pacs").kill()


@pytest.mark.parametrize("count", [0, 2])
def test_only_the_one_container_that_plays_it_is_touched(engine, count):
    engine.containers = [Container() for _ in range(count)]
    assert Box("pacs").cannot("kill") == f"{count} containers of ours play pacs"
    with pytest.raises(Broken):
        Box("pacs").kill()
    assert Box("pacs").mend() == ""


def test_without_an_engine_it_cannot(engine):
    engine.down = True
    assert "no engine answers (connection refused)" in Box("pacs").cannot("pause")


@pytest.mark.parametrize("kind", ["disk-full", "fd-limit"])
def test_what_an_engine_cannot_do_is_said(kind):
    box = Box("pacs")
    does = {"disk-full": box.fill, "fd-limit": box.limit_files}
    assert box.cannot(kind)
    with pytest.raises(Broken):
        does[kind]()


def test_what_a_killed_run_left_behind_is_taken_back(engine):
    box, one = Box("pacs"), engine.containers[0]
    assert box.mend() == ""
    one.pause()
    assert box.mend() == "container c0ffee is running"
    one.stop(1)
    assert box.mend() == "container c0ffee runs since 2"
