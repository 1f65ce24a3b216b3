"""An archive that keeps what it acknowledged endures; one that lies does not, whichever way it lies."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from stepwedge import cli, kit
from stepwedge.lab import labfile
from stepwedge.load import judging
from stepwedge.load.archive import Archive, SmallDisk
from stepwedge.load.doors import Held
from stepwedge.load.endure import Plan, Round
from stepwedge.load.endure_result import Result
from stepwedge.load.intents import Intents, study
from stepwedge.load.judging import Finding
from stepwedge.load.strike import Strike
from stepwedge.sim.tap.countdown import After
from stepwedge.sim.tap.fault import ANSWER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


FORGETS = 'find "$STEPWEDGE_STATE" -mindepth 1 -delete; exec "$@"'
"""What was acknowledged before is gone after a start."""


@pytest.fixture
def lab(tmp_path: Path) -> Callable[..., Path]:
    """Write a lab whose archive is ours, as a process of its own that one may kill: ``lab(quirk, forgets=...)``."""

    def write(*quirks: str, forgets: bool = False) -> Path:
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        dicom, web = (str(one.getsockname()[1]) for one in sockets)
        for one in sockets:
            one.close()
        command = [sys.executable, "-m", "stepwedge", "sim", "pacs", "--state", "{state}"]
        command += ["--dicom-port", dicom, "--web-port", web]
        command += [word for quirk in quirks for word in ("--quirk", quirk)]
        if forgets:
            command = ["sh", "-c", FORGETS, "sh", *command]
        doors = {"dicom": f"dicom://SW_PACS@127.0.0.1:{dicom}", "web": f"http://127.0.0.1:{web}/dicom-web"}
        pacs = {"real": doors, "start": {"command": command, "ready": "dicom"}}
        path = tmp_path / "lab.yaml"
        path.write_text(yaml.safe_dump({"lab": "own-archive", "actors": {"pacs": pacs}}))
        return path

    return write


def endured(path: Path, folder: Path, *more: str) -> tuple[int, dict[str, Any], str]:
    told = [str(path), "--evidence", str(folder), "--seed", "5", *more]
    done = CliRunner().invoke(cli.app, ["endure", *told])
    file = folder / "endure.json"
    return done.exit_code, json.loads(file.read_text()) if file.is_file() else {}, done.output


def test_an_archive_that_keeps_its_word_endures(lab: Callable[..., Path], tmp_path: Path) -> None:
    troubles = ("kill", "answer-lost", "disk-full")
    told = [word for one in troubles for word in ("--trouble", one)]
    code, said, text = endured(lab(), tmp_path / "run", "--kills", "1", "--others", "1", *told)
    assert code == 0, text
    assert [one["trouble"] for one in said["rounds"]] == list(troubles)
    assert all(one["acted"] for one in said["rounds"])
    assert "SIGKILL" in said["rounds"][0]["acted"]
    assert sum(one["unknown"] for one in said["rounds"]) > 0
    lines = [
        json.loads(line) for line in (tmp_path / "run" / "ledger-intents.jsonl").read_text().splitlines()
    ]
    first: dict[str, str] = {}
    for line in lines:
        first.setdefault(line["id"], line["state"])
    assert set(first.values()) == {"attempted"}


@pytest.mark.parametrize(
    ("quirks", "forgets"), [(["store.success_on_failure"], False), ([], True)], ids=["drops", "forgets"]
)
def test_an_archive_that_lies_is_found_out(
    lab: Callable[..., Path], tmp_path: Path, quirks: list[str], *, forgets: bool
) -> None:
    code, said, text = endured(
        lab(*quirks, forgets=forgets), tmp_path / "run", "--kills", "1", "--others", "0"
    )
    assert code == 1, text
    assert said["counts"]["lost"] > 0
    assert "I1: what was acknowledged is there" in " ".join(text.split())


def test_one_that_never_comes_back_is_found_out(lab: Callable[..., Path], tmp_path: Path) -> None:
    path = lab()
    text = yaml.safe_load(path.read_text())
    start = text["actors"]["pacs"]["start"]
    once = 'test -e "$0" && exit 7; touch "$0"; exec "$@"'
    start["command"] = ["sh", "-c", once, str(tmp_path / "started"), *start["command"]]
    path.write_text(yaml.safe_dump(text))
    code, said, _ = endured(path, tmp_path / "run", "--kills", "1", "--others", "0")
    assert code == 1
    assert said["counts"] == {"not recovered": 1}
    assert "code 7" in said["trouble"]


def test_what_is_not_started_here_is_not_killed(tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    doors = {"dicom": "dicom://PACS@127.0.0.1:104", "web": "http://127.0.0.1:80/dicom-web"}
    path.write_text(yaml.safe_dump({"lab": "theirs", "actors": {"pacs": {"real": doors}}}))
    code, _, text = endured(path, tmp_path / "run")
    assert code == 2, text
    assert not (tmp_path / "run").exists()


def test_unknown_troubles_are_refused(lab: Callable[..., Path], tmp_path: Path) -> None:
    assert endured(lab(), tmp_path / "run", "--trouble", "earthquake")[0] == 2


# Judging


def kept(images: Any, *, listed: int = 1, opened: int = 1) -> Held:
    return Held(
        Counter({one.sop: listed for one in images if listed}),
        {one.sop: [dict(one.elements)] * opened for one in images if opened},
    )


def whats(number: int, sent: Any, held: Held) -> list[str]:
    return [one.what for one in judging.judge(number, sent, held, "dimse", "after")]


def test_what_is_kept_as_it_was_sent_is_good(tmp_path: Path) -> None:
    sent, intents = study(1, 1, 2), Intents(tmp_path)
    intents.note(sent.images, "attempted", 1, "dimse")
    assert whats(1, sent, kept(sent.images)) == whats(1, sent, Held()) == []  # unknown: there or not
    intents.note(sent.images, "acknowledged", 1, "dimse")
    assert whats(1, sent, kept(sent.images)) == []
    intents.close()


@pytest.mark.parametrize(
    ("state", "listed", "opened", "what"),
    [
        ("acknowledged", 0, 0, "lost"),
        ("acknowledged", 1, 0, "unreadable"),
        ("acknowledged", 0, 1, "unreadable"),
        ("acknowledged", 2, 1, "doubled"),
        ("acknowledged", 1, 2, "doubled"),
        ("attempted", 2, 2, "doubled"),
        ("refused", 1, 1, "refused yet there"),
        ("", 1, 1, "invented"),
    ],
)
def test_what_is_wrong_is_named(state: str, listed: int, opened: int, what: str) -> None:
    sent = study(1, 1, 1)
    sent.images[0].state = state  # type: ignore[assignment]
    assert whats(1, sent, kept(sent.images, listed=listed, opened=opened)) == [what]


def test_another_pixel_another_name_and_a_stranger_are_seen() -> None:
    sent = study(1, 1, 1)
    image = sent.images[0]
    image.state = "acknowledged"
    for key, value in (
        ("PixelData", bytes(len(image.elements["PixelData"]))),
        ("PatientName", "SOMEBODY^ELSE"),
    ):
        held = kept(sent.images)
        held.opened[image.sop][0][key] = value
        found = list(judging.judge(1, sent, held, "dimse", "after"))
        assert [one.what for one in found] == ["altered"]
        assert key in found[0].said
    held = kept(sent.images)
    held.listed["1.2.3"] = 1
    assert whats(1, sent, held) == ["invented"]


def test_the_same_seed_makes_the_same_images() -> None:
    one, two, other = study(1, 1, 2), study(1, 1, 2), study(2, 1, 2)
    assert [each.sop for each in one.images] == [each.sop for each in two.images]
    assert not {each.sop for each in one.images} & {each.sop for each in other.images}
    assert one.images[0].pixels == two.images[0].pixels


def test_what_was_acknowledged_once_stays_so(tmp_path: Path) -> None:
    sent, intents = study(1, 1, 1), Intents(tmp_path)
    for state in ("attempted", "acknowledged", "attempted", "refused"):
        intents.note(sent.images, state, 1, "dimse")  # type: ignore[arg-type]
    assert sent.images[0].state == "acknowledged"
    intents.close()


# Results


def result(*rounds: Round, findings: tuple[Finding, ...] = (), left: int = 0) -> Result:
    return Result("an archive", 1, list(rounds), list(findings), left)


GOOD = Round(1, "kill", "dimse", acted="SIGKILL")


def test_nobody_can_tell_is_not_good() -> None:
    assert result(GOOD).exit == 0
    assert result().exit == result(GOOD, left=1).exit == 3
    assert result(GOOD, Round(2, "kill", "dimse", unsure="the trouble never came")).exit == 3
    unknown = Finding(1, "still unknown", "1.2", "dimse", "after", "")
    assert result(GOOD, findings=(unknown,)).exit == 3
    assert result(GOOD, findings=(unknown, Finding(1, "lost", "1.2", "dimse", "after", ""))).exit == 1


def test_both_doors_take_turns(tmp_path: Path, lab: Callable[..., Path]) -> None:
    plan = Plan(labfile.load(lab()), "pacs", tmp_path, kills=3, others=1, troubles=("pause", "kill"))
    assert plan.rounds() == [("kill", "dimse"), ("kill", "dicomweb"), ("kill", "dimse"), ("pause", "dimse")]


# Blows and disks


class Wire:
    """A line of a tap, as far as a fault needs it."""

    def __init__(self) -> None:
        self.number, self.given, self.over = 1, b"", False
        self.arrived_bytes = {"request": 0, "answer": 0}

    def give(self, side: str, data: bytes) -> None:
        del side
        self.given += data

    def reset(self) -> None:
        self.over = True


def test_a_withheld_answer_never_arrives() -> None:
    blows: list[int] = []
    strike, line = Strike(ANSWER, After(1, 1), lambda: blows.append(1), withholds=True), Wire()
    for data in (b"accepted", b"answer"):
        line.arrived_bytes["answer"] += len(data)
        strike.saw(line, ANSWER, len(data), [len(data)])  # type: ignore[arg-type]
        strike.arrived(line, ANSWER, data, [len(data)])  # type: ignore[arg-type]
    assert (line.given, line.over, blows, strike.count) == (b"accepted", True, [1], 1)


def test_a_blow_may_come_a_moment_later() -> None:
    async def scene() -> list[bytes]:
        struck = asyncio.Event()
        strike, line = Strike(ANSWER, After(bytes=1), struck.set, delay=0.01), Wire()
        strike.saw(line, ANSWER, 6, [6])  # type: ignore[arg-type]
        strike.arrived(line, ANSWER, b"answer", [6])  # type: ignore[arg-type]
        assert not struck.is_set()
        await asyncio.wait_for(struck.wait(), 5)
        return [line.given]

    assert asyncio.run(scene()) == [b"answer"]


@pytest.mark.parametrize("kind", ["tmpfs", "RLIMIT_FSIZE"])
def test_a_disk_can_be_filled_and_freed(lab: Callable[..., Path], tmp_path: Path, kind: str) -> None:
    """Both ways: whichever this machine allows is used, and the other must work elsewhere."""
    script = """
import itertools, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
for number in itertools.count():  # a file that is written over would find the room it had
    try:
        (folder / str(number)).write_bytes(bytes(1 << 17))
        said = "written"
    except OSError as trouble:
        said = str(trouble.errno)
    pathlib.Path(sys.argv[2]).write_text(said)
    time.sleep(0.05)
"""
    path = lab()
    text = yaml.safe_load(path.read_text())
    said = tmp_path / "said"
    text["actors"]["pacs"]["start"]["command"] = [sys.executable, "-c", script, "{state}", str(said)]
    path.write_text(yaml.safe_dump(text))
    archive = Archive(labfile.load(path), "pacs", tmp_path / "state")
    disk = SmallDisk(archive.state / "pacs")
    if kind == "tmpfs" and disk.kind != "tmpfs":
        pytest.skip("no tmpfs can be mounted here")
    disk.kind, archive.inside = kind, ()
    archive.inside = disk.inside
    try:
        archive._child = _started(archive)
        wait_for(said, "written")
        disk.fill(archive)
        wait_for(said, "28" if kind == "tmpfs" else "27")  # ENOSPC, EFBIG
        disk.free(archive)
        wait_for(said, "written")
    finally:
        archive.stop()
    assert not (tmp_path / "state" / "pacs" / "filler").exists()


def _started(archive: Archive) -> Any:
    from stepwedge.lab.child import Child, python

    own = (archive.state / archive.name).resolve()
    words = [one.replace("{state}", str(own)) for one in (*archive.inside, *archive.real.start.command)]  # type: ignore[union-attr]
    return Child.start("disk", [*python("-m", "stepwedge.lab.keep"), *words], archive.state / "log")


def wait_for(path: Path, text: str) -> None:
    import time

    deadline = time.monotonic() + 20
    while not path.exists() or path.read_text() != text:
        assert time.monotonic() < deadline, path.read_text() if path.exists() else "nothing"
        time.sleep(0.01)


@pytest.mark.peer
def test_orthanc_endures(tmp_path: Path) -> None:
    """A few of the rounds whose figures are in docs/findings; ``stepwedge endure`` does the hundred."""
    if shutil.which("Orthanc") is None:
        pytest.skip("Orthanc is not installed (Debian: orthanc, orthanc-dicomweb)")
    folder = tmp_path / "labs"
    shutil.copytree(kit.find("fixtures/labs"), folder)
    text = (folder / "orthanc.yaml").read_text()
    config = (folder / "orthanc/orthanc.json").read_text()
    for old in ("11242", "18242"):
        with socket.create_server(("127.0.0.1", 0)) as one:
            port = str(one.getsockname()[1])
        text, config = text.replace(old, port), config.replace(old, port)
    (folder / "orthanc.yaml").write_text(text)
    (folder / "orthanc/orthanc.json").write_text(config)
    code, said, shown = endured(folder / "orthanc.yaml", tmp_path / "run", "--kills", "4", "--others", "1")
    assert code == 0, shown
    assert all(one["acted"] for one in said["rounds"])
