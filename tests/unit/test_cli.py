import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepwedge import __version__, cli, kit
from stepwedge.lab import launch
from stepwedge.report import session


@pytest.fixture
def command(monkeypatch, capsys, tmp_path):
    """Run the command in an empty folder; returns exit code, standard output, standard error.

    Containers that somebody runs on this machine are none of its business.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("stepwedge.lab.containers.down", dict)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["stepwedge", *arguments])
        code = cli.main()
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def pretended(monkeypatch, sample_run):
    """Let a run be a process that writes a sample journal, as pytest would."""

    def pretend(code=0, log="", **how):
        def start(wish, folder):
            if how.get("verdicts") is not None:
                sample_run.write(folder, **how)
            (folder / "pytest.log").write_text(log)
            return launch.Child.start(
                "pytest", [sys.executable, "-c", f"raise SystemExit({code})"], folder / "pytest.log"
            )

        monkeypatch.setattr(session.launch, "start", start)

    return pretend


def test_help_names_every_command_and_the_exit_codes(command):
    code, out, _ = command("--help")
    assert code == 0
    for word in (
        "run",
        "check",
        "explain",
        "prove",
        "up",
        "down",
        "status",
        "report",
        "preflight",
        "init",
        "matrix",
    ):
        assert word in out
    assert "3 broken" in " ".join(out.split())


def test_version(command):
    assert command("--version")[:2] == (0, f"stepwedge {__version__}\n")


def test_an_unknown_option_is_a_usage_error(command):
    code, _, err = command("run", "--bogus")
    assert code == 2
    assert "--bogus" in err


@pytest.mark.parametrize(
    ("verdicts", "ended", "code", "says"),
    [
        (("passed",), True, 0, "Everything that ran passed"),
        (("passed", "failed"), True, 1, "expected  control one of CA, OC, DC"),
        (("passed", "broken"), True, 3, "Stepwedge or the lab is at fault"),
        (("inconclusive",), True, 3, "Nobody can tell yet"),
        (("skipped",), True, 5, "Nothing ran"),
        (("passed", None), False, 3, "The run was aborted"),
    ],
)
def test_run_says_what_came_out_and_returns_its_code(command, pretended, verdicts, ended, code, says):
    pretended(verdicts=verdicts, ended=ended)
    got, out, err = command("run", "--evidence", "here")
    assert got == code, err
    assert says in out
    assert "here/report.html" in out
    for name in ("report.html", "summary.json", "allure-results", "manifest.json"):
        assert Path("here", name).exists()
    assert json.loads(Path("here/summary.json").read_text())["exit"] == code


def test_quiet_prints_no_line_of_a_case_that_passed(command, pretended):
    pretended(verdicts=("passed",))
    assert "cancel-after-worklist" not in command("run", "--quiet")[1]
    assert "cancel-after-worklist" in command("run")[1]


def test_the_newest_run_is_the_latest(command, pretended):
    pretended(verdicts=("passed",))
    command("run")
    first = Path("runs/latest").resolve()
    command("run")
    assert Path("runs/latest").resolve() != first
    assert Path("runs/latest/summary.json").exists()


def test_evidence_is_never_written_over(command, pretended):
    pretended(verdicts=("passed",))
    command("run", "--evidence", "here")
    code, _, err = command("run", "--evidence", "here")
    assert code == 2
    assert "a folder without a run in it" in err


def test_nothing_that_matches_is_nothing_run(command, pretended):
    pretended(code=5)
    code, _, err = command("run", "-k", "nothing")
    assert code == 5
    assert "no case matches" in err


def test_scenarios_that_cannot_be_read_are_bad_input(command, pretended, tmp_path):
    pretended(code=2)
    bad = tmp_path / "bad.yaml"
    text = kit.find("scenarios/cancel/after-worklist.yaml").read_text()
    bad.write_text(text.replace("expect: message.received", "expect: mesage.received"))
    code, out, _ = command("run", str(bad))
    assert code == 2
    assert "did you mean 'message.received'" in out
    assert "bad.yaml:" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no-such.yaml"], "a scenario file or a folder"),
        (["--patience", "soon"], "a factor such as 2x"),
        (["--quirk", "mwl.keep_canceled"], "did you mean 'mwl.keep_cancelled'"),
        (["--lab", "no-such.yaml"], "a readable file"),
    ],
)
def test_what_is_plainly_wrong_is_refused_before_anything_starts(command, arguments, says):
    code, _, err = command("run", *arguments)
    assert code == 2
    assert says in err
    assert not Path("runs").exists()


def test_a_run_that_dies_at_once_is_our_fault(command, pretended):
    pretended(code=1, log="Segmentation fault")
    code, _, err = command("run")
    assert code == 3
    assert "Segmentation fault" in err


def test_more_processes_than_lanes_are_refused(command, tmp_path):
    lab = tmp_path / "lab.yaml"
    lab.write_text("lab: x\nactors:\n  pacs: {real: {dicom: dicom://A@127.0.0.1:104}}\n")
    code, _, err = command("run", "--lab", str(lab), "-n", "2")
    assert code == 2
    assert "lanes" in err


def test_a_bad_lab_file_is_bad_input(command, tmp_path):
    lab = tmp_path / "lab.yaml"
    lab.write_text("lab: x\nactors: {pacs: simulatd}\n")
    for arguments in (["run", "--lab", str(lab)], ["check", str(lab)], ["up", "--lab", str(lab)]):
        code, out, err = command(*arguments)
        assert code == 2
        assert "did you mean 'simulated'" in out + err


def test_everything_that_ships_is_good(command, monkeypatch):
    monkeypatch.setenv("STEPWEDGE_LAB", str(kit.shipped()))
    code, out, _ = command("check")
    assert code == 0, out


def test_reports_are_made_again_and_evidence_is_verified(command, sample_run, tmp_path):
    sample_run.write(tmp_path / "old", verdicts=("passed", None), ended=False)
    assert command("report", "old")[0] == 0
    assert command("report", "old", "--verify")[0] == 0
    journal = tmp_path / "old/journal.jsonl"
    journal.write_text(journal.read_text() + "\n")
    code, out, _ = command("report", "old", "--verify")
    assert code == 1
    assert "journal.jsonl: changed" in out
    assert command("matrix", "old")[0] == 0


def test_a_lab_of_ones_own_is_good(command, monkeypatch, tmp_path):
    assert command("init", "mine")[0] == 0
    monkeypatch.chdir(tmp_path / "mine")
    monkeypatch.setenv("STEPWEDGE_LAB", str(tmp_path / "mine"))
    code, out, _ = command("check", "fixtures/labs/my-lab.yaml", "scenarios")
    assert code == 0, out
    code, _, err = command("init", ".")
    assert code == 2
    assert "scenarios" in err


def test_nobody_there_is_said(command):
    assert command("status")[0] == 3
    assert command("down")[0] == 0


def test_preflight_names_what_does_not_answer(command, tmp_path, unused_port):
    lab = tmp_path / "lab.yaml"
    lab.write_text(
        f"lab: x\nactors:\n  ct: {{simulated: modality}}\n  pacs: {{real: {{dicom: dicom://A@127.0.0.1:{unused_port}}}}}\n"
    )
    code, out, _ = command("preflight", "--lab", str(lab))
    assert code == 3
    assert "C-ECHO" in out
    assert "SW_PROBE" in out


@pytest.fixture
def unused_port():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]  # bound, never listening: nobody else gets it, and nobody answers


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
@pytest.mark.parametrize("ending", ["pipe closes", "told to end"])
def test_what_a_lab_started_ends_with_it(tmp_path, ending):
    told = tmp_path / "pid"
    script = f"import os, time, pathlib; p = pathlib.Path({str(told)!r}); q = p.with_suffix('.part'); q.write_text(str(os.getpid())); q.rename(p); time.sleep(60)"
    keeper = subprocess.Popen(
        [sys.executable, "-m", "stepwedge.lab.keep", sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        cwd=kit.shipped(),
    )
    deadline = time.monotonic() + 20
    while not told.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    kept = int(told.read_text())
    assert alive(kept)
    keeper.stdin.close() if ending == "pipe closes" else keeper.send_signal(signal.SIGTERM)
    keeper.wait(20)
    assert not alive(kept)
