"""The host process: ready soon, same ports again, ends when told or alone, and SIGKILL loses nothing acknowledged."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from stepwedge.evidence.journal import read
from stepwedge.wire.hl7 import parse
from stepwedge.wire.mllp import Frame, Framer, frame

ROOT = Path(__file__).parents[2]
COMMAND = "import sys; from stepwedge.sim.command import main; raise SystemExit(main(sys.argv[1:]))"


def arguments(state, actors, *more):
    plan = state.parent / "actors.json"
    plan.write_text(json.dumps(actors))
    return ["--hospital", "--actors", str(plan), "--state", str(state), "--seed", "7", *more]


@pytest.fixture
def start(lab, tmp_path):
    """Start a host process and wait until it is ready; whatever is left is killed at the end."""
    processes = []

    def go(actors, *more, state=tmp_path / "state"):
        (state / "hospital.json").unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments(state, actors, *more)], cwd=ROOT
        )
        processes.append(process)
        return process, ready(state, process)

    yield go
    for process in processes:
        process.kill()
        process.wait()


def ready(state, process, seconds=30.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert process.poll() is None, f"ended with {process.returncode}"
        with contextlib.suppress(FileNotFoundError):
            told = json.loads((state / "hospital.json").read_text())
            if told["pid"] == process.pid:
                return told
        time.sleep(0.01)
    raise AssertionError("not ready")


def ask(admin, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(admin + path, data, {"content-type": "application/json"})  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.loads(answer.read())


ECHO = {"actors": {"ris": {"role": "echo"}}}


def test_it_tells_where_everybody_is(start, tmp_path):
    others = {"pacs": {"hl7": "mllp://127.0.0.1:2576"}}
    process, told = start({"actors": {"ris": {"role": "echo"}, "ehr": {"role": "echo"}}, "directory": others})
    assert told["seed"] == 7
    assert told["actors"]["ris"]["role"] == "echo"
    assert told["actors"]["ris"]["address"]["hl7"].startswith("mllp://127.0.0.1:")
    assert told["actors"]["ris"]["admin"] == told["admin"] + "/ris"
    assert ask(told["admin"], "/health")["pid"] == process.pid


def test_sigterm_ends_it_soon_and_takes_the_word_back(start, tmp_path):
    process, _ = start(ECHO)
    process.terminate()
    began = time.monotonic()
    assert process.wait(10) == 0
    assert time.monotonic() - began < 3
    assert not (tmp_path / "state" / "hospital.json").exists()


def test_it_comes_back_with_the_same_ports_and_state(start, admission):
    process, before = start(ECHO)
    with Link(before) as link:
        link.say(admission("1"))
        assert link.hear()
    process.kill()
    process.wait()
    _, after = start(ECHO)
    assert after["actors"] == before["actors"]
    assert after["admin"] == before["admin"]
    assert ask(after["admin"], "/ris/ask", {"what": "count", "args": {}}) == {"result": 1}


def test_it_ends_when_its_parent_is_gone(start):
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process, _ = start(ECHO, "--parent", str(parent.pid))
    parent.communicate(b"\n")
    assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("actors", "more", "text"),
    [
        ({"actors": {"ris": {"role": "ecko"}}}, (), "simulator 'ecko': expected one of"),
        ({"actors": {}}, (), 'expected an object with "actors"'),
        (ECHO, ("--quirk", "desk.shout"), "did you mean 'desk.shouts'"),
        ({**ECHO, "directory": {"pacs": {"hl7": "http://x"}}}, (), "expected mllp://HOST:PORT"),
        (
            {"actors": {"ris": {"role": "echo", "settings": {"hl7_port": 70000}}}},
            (),
            "a port from 1 to 65535",
        ),
    ],
)
def test_bad_input_is_said_with_exit_code_2(lab, tmp_path, actors, more, text):
    command = [sys.executable, "-c", COMMAND, *arguments(tmp_path / "state", actors, *more)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_said_with_exit_code_3(lab, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        actors = {"actors": {"ris": {"role": "echo", "settings": {"hl7_port": taken.getsockname()[1]}}}}
        command = [sys.executable, "-c", COMMAND, *arguments(tmp_path / "state", actors)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "cannot be had" in done.stderr


class Link:
    """A plain HL7 client that writes ahead and reads what comes back."""

    def __init__(self, told):
        host, port = told["actors"]["ris"]["address"]["hl7"].removeprefix("mllp://").split(":")
        self.socket = socket.create_connection((host, int(port)), 10)
        self.framer = Framer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, raw):
        self.socket.sendall(frame(raw))

    def hear(self):
        """Return the next answer, None when the link ended."""
        while not isinstance(event := self.framer.next_event(), Frame):
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionError:
                return None
            if not data:
                return None
            self.framer.receive_data(data)
        return event.payload


@pytest.mark.parametrize("point", range(4))
def test_sigkill_in_the_midst_of_traffic_loses_and_doubles_nothing(start, admission, tmp_path, point):
    """Feed the chain ehr -> ris -> pacs, kill at a seeded moment, restart, repeat what was not acknowledged."""
    chain = {"actors": {"ris": {"role": "echo", "settings": {"tells": ["pacs"]}}, "pacs": {"role": "echo"}}}
    chance = random.Random(point)  # noqa: S311 - seeded on purpose
    messages = [admission(f"M{number}", patient=f"SW{number}") for number in range(60)]
    process, told = start(chain)
    acknowledged = set()
    with Link(told) as link:
        moment = chance.randrange(5, 50)
        for number, message in enumerate(messages):
            with contextlib.suppress(ConnectionError):
                link.say(message)
            if number >= moment and process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
        while (answer := link.hear()) is not None:
            assert parse(answer)["MSA-1"] == "AA"
            acknowledged.add(parse(answer)["MSA-2"])
    process.wait()
    (tmp_path / "state" / "journal.jsonl").open("ab").write(b'{"number": ')  # as if it had died while writing

    _, told = start(chain)
    for actor in ("ris", "pacs"):
        assert ask(told["admin"], f"/{actor}/health")["result"]["status"] == "ready"
    kept = ask(told["admin"], "/ris/ask", {"what": "count", "args": {}})["result"]
    assert kept >= len(acknowledged)
    with Link(told) as link:
        for message in messages:
            link.say(message)
            assert parse(link.hear())["MSA-1"] == "AA"
    deadline = time.monotonic() + 30
    while ask(told["admin"], "/ris/health")["result"]["waiting"]:
        assert time.monotonic() < deadline, "the outbox does not get empty"
        time.sleep(0.02)
    for number in range(len(messages)):
        for actor in ("ris", "pacs"):
            question = {"what": "patient", "args": {"id": f"SW{number}"}}
            assert ask(told["admin"], f"/{actor}/ask", question)["result"]["heard"] == 1, (actor, number)
    exchanges = list(read(tmp_path / "state" / "journal.jsonl"))
    assert [each["number"] for each in exchanges] == list(range(1, len(exchanges) + 1))
    recorded = {
        each["keys"]["control"][0]
        for each in exchanges
        if each["actor"] == "ris" and each["direction"] == "in"
    }
    assert acknowledged <= recorded
