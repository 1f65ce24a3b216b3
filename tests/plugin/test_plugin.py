"""Scenarios behave in pytest as any test does: selection, exit codes, reports, workers."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFTEST = """\
import pytest
from stepwedge.errors import Broken, Inconclusive, Refused
from stepwedge.lab import hospital
from tests.scenario.conftest import FakeHospital

pytest_plugins = ["stepwedge.pytest_plugin"]
ENDS = {"refused": Refused, "lost": Inconclusive, "bug": KeyError}


class Running:
    def __init__(self, lab, state, seed=0, quirks=(), **_):
        state.mkdir(parents=True, exist_ok=True)
        with (state / "starts").open("a") as file:
            file.write("started\\n")
        if "broken" in quirks:
            raise Broken("the simulated hospital does not start")
        self.state = state

    def cast(self):
        fake = FakeHospital()
        cancel = fake.words["cancel_order"]

        def ends(args, case):
            if args.get("reason") in ENDS:
                raise ENDS[args["reason"]]("told to")
            return cancel(args, case)

        fake.words["cancel_order"] = ends
        cast = fake.cast()
        cast.patience = 0.05
        return cast

    def describe(self):
        return {"name": "fake", "actors": {}}

    def stop(self):
        with (self.state / "starts").open("a") as file:
            file.write("stopped\\n")


hospital.start = Running
hospital.attach = Running


@pytest.fixture(autouse=True)
def no_rules(monkeypatch):
    monkeypatch.setattr("stepwedge.scenario.run.rules", list)


def pytest_runtest_logstart(nodeid, location):
    with open("locations", "a") as file:
        file.write(f"{nodeid} {location[0]}:{location[1] + 1}\\n")
"""
SAMPLE = """\
scenario: sample
catalogue: CAN-02
title: A sample
story: Nothing much happens.
severity: critical
tags: [cancel, two-words]
variants:
  - {id: passes, reason: patient left}
  - {id: fails, reason: refused}
  - {id: lost, reason: lost}
  - {id: bug, reason: bug}
steps:
  - {given: ehr.register_patient, as: patient}
  - {do: ehr.place_order, with: {patient: $patient, procedure: CTCHEST}, as: order}
  - {do: ehr.cancel_order, with: {order: $order, reason: $reason}}
  - {expect: message.received, at: pacs, where: {accession: $order.accession, control: CA}}
"""
OTHER = SAMPLE.replace("scenario: sample", "scenario: other").replace("cancel, two-words", "routine")


@pytest.fixture
def run(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (tmp_path / "scenarios" / "more").mkdir(parents=True)
    (tmp_path / "scenarios" / "sample.yaml").write_text(SAMPLE)
    (tmp_path / "scenarios" / "more" / "other.yaml").write_text(OTHER)

    def pytest_run(*args):
        env = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTEST_ADDOPTS": "",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        extra = ["-p", "xdist.plugin"] if "-n" in args else []
        command = [sys.executable, "-m", "pytest", *extra, *args]
        return subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60
        )

    return pytest_run


def only_run(tmp_path):
    (folder,) = [one for one in (tmp_path / "runs").iterdir() if not one.is_symlink()]
    return folder


def journal(folder):
    return [
        json.loads(line)
        for part in sorted(folder.glob("journal*.jsonl"))
        for line in part.open(encoding="utf-8")
    ]


def test_collecting_starts_nothing(run, tmp_path):
    done = run("--collect-only", "-q")
    assert done.returncode == 0, done.stdout
    names = [f"scenarios/sample.yaml::sample[{variant}]" for variant in ("passes", "fails", "lost", "bug")]
    assert [line for line in done.stdout.splitlines() if "sample.yaml" in line] == names
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("args", "code", "count"),
    [
        (["-m", "critical and not cancel", "-k", "passes or fails"], 0, 2),
        (["-m", "two-words", "-k", "passes and sample"], 0, 1),
        (["-m", "minor"], 5, 0),
        (["scenarios/sample.yaml::sample[passes]", "scenarios/more"], 0, 5),
    ],
)
def test_selecting(run, args, code, count):
    done = run("-q", "--collect-only", *args)
    assert done.returncode == code, done.stdout + done.stderr
    assert len(re.findall(r"^scenarios/\S+::", done.stdout, re.MULTILINE)) == count


def test_verdicts_become_the_words_of_pytest(run, tmp_path):
    done = run("-k", "sample", "--junitxml", "junit.xml", "-rA")
    assert done.returncode == 1
    assert "3 failed, 1 passed" in done.stdout
    assert "Traceback" not in done.stdout.split("sample[bug]")[0]
    assert "FAILED scenarios/sample.yaml:15  do ehr.cancel_order" in done.stdout
    assert "INCONCLUSIVE scenarios/sample.yaml:15" in done.stdout
    assert "BROKEN scenarios/sample.yaml:15" in done.stdout
    assert "  replay    stepwedge run scenarios/sample.yaml -k fails --seed" in done.stdout
    cases = {one.get("name"): one for one in ET.parse(tmp_path / "junit.xml").iter("testcase")}  # noqa: S314 - ours
    assert {one.get("classname") for one in cases.values()} == {"scenarios.sample.yaml"}
    said = {
        name: {p.get("name"): p.get("value") for p in one.iter("property")} for name, one in cases.items()
    }
    assert {name: one["verdict"] for name, one in said.items()} == {
        "sample[passes]": "passed", "sample[fails]": "failed", "sample[lost]": "inconclusive", "sample[bug]": "broken",
    }  # fmt: skip
    assert said["sample[fails]"]["catalogue"] == "CAN-02"
    assert said["sample[fails]"]["scenario"] == "sample[fails]"
    assert said["sample[fails]"]["seed"].isdecimal()
    assert (
        "scenarios/sample.yaml::sample[fails] scenarios/sample.yaml:1" in (tmp_path / "locations").read_text()
    )


def test_the_run_folder_tells_it_all(run, tmp_path):
    run("-q", "-k", "sample", "--seed", "4171", "--patience", "2x")
    folder = only_run(tmp_path)
    assert (tmp_path / "runs" / "latest").resolve() == folder
    records = journal(folder)
    begun = [one for one in records if one["record"] == "run"][-1]
    assert (begun["seed"], begun["patience"], begun["lab"]["name"]) == (4171, 2.0, "fake")
    assert records[-1]["record"] == "end"
    assert records[-1]["counts"] == {"failed": 1, "broken": 1, "inconclusive": 1, "skipped": 0, "passed": 1}
    assert records[-1]["exit"] == 1
    assert (folder / "summary.json").exists()
    assert (folder / "state" / "starts").read_text().split() == ["started", "stopped"]


@pytest.mark.parametrize(
    ("chosen", "code"),
    [("passes", 0), ("fails", 1), ("lost", 3), ("bug", 3), ("lost or passes", 3)],
)
def test_the_exit_code_of_the_run_is_finer_than_that_of_pytest(run, tmp_path, chosen, code):
    done = run("-q", "-k", f"sample and ({chosen})")
    assert done.returncode == min(code, 1)
    assert journal(only_run(tmp_path))[-1]["exit"] == code


def test_workers_share_one_run(run, tmp_path):
    done = run("-n", "2", "-k", "passes or fails")
    assert done.returncode == 1, done.stdout
    assert "2 failed, 2 passed" in done.stdout
    folder = only_run(tmp_path)
    records = journal(folder)
    assert {one["case"] for one in records if one["record"] == "verdict"} == {
        "sample[passes]", "sample[fails]", "other[passes]", "other[fails]",
    }  # fmt: skip
    (end,) = [one for one in records if one["record"] == "end"]
    assert end["counts"]["failed"] == 2
    assert len({one["seed"] for one in records if one["record"] == "run"}) == 1
    starts = (folder / "state" / "starts").read_text().split()
    assert starts[0] == "started"
    assert starts.count("stopped") == 1
    assert starts[-1] == "stopped"
    assert not list(folder.glob("hospital.*"))


def test_last_failed_and_first_failure(run):
    assert "1 failed" in run("-q", "-x").stdout
    run("-q", "-k", "sample", "--lf")
    assert "3 failed" in run("-q", "--lf", "-k", "sample").stdout


def test_bad_files_end_the_collection_with_their_text(run, tmp_path):
    (tmp_path / "scenarios" / "sample.yaml").write_text(SAMPLE.replace("expect:", "expct:"))
    (tmp_path / "scenarios" / "tab.yaml").write_text("scenario: tab\nsteps:\n\t- do: x\n")
    done = run("-q")
    assert done.returncode == 2
    assert (
        "scenarios/sample.yaml:16: expected exactly one of given, do, expect, never, fault, lift"
        in done.stdout
    )
    assert "did you mean 'expect'?" in done.stdout
    assert "scenarios/tab.yaml:3: expected spaces as indentation, found a tab" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "runs").exists()


def test_two_scenarios_of_one_name(run, tmp_path):
    (tmp_path / "scenarios" / "more" / "other.yaml").write_text(SAMPLE)
    done = run("-q")
    assert done.returncode == 2
    assert "expected an id that no other scenario has, found 'sample'" in done.stdout


def test_flows_and_other_yaml_are_no_scenarios(run, tmp_path):
    (tmp_path / "scenarios" / "_flows").mkdir()
    (tmp_path / "scenarios" / "_flows" / "x.yaml").write_text("flow: x\n")
    (tmp_path / "docker-compose.yaml").write_text("services: {}\n")
    (tmp_path / "elsewhere.yaml").write_text(SAMPLE.replace("scenario: sample", "scenario: elsewhere"))
    assert run("-q", "-k", "passes", "--collect-only").stdout.count("::") == 2
    assert run("-q", "elsewhere.yaml", "-k", "passes", "--collect-only").stdout.count("::") == 1


@pytest.mark.parametrize(
    "args", [["--patience", "-1"], ["--patience", "0x"], ["--patience", "fast"], ["--seed", "x"]]
)
def test_options_that_make_no_sense(run, args):
    done = run(*args)
    assert done.returncode == 4
    assert args[0] in done.stderr


def test_a_lab_file_that_is_not_there(run):
    done = run("--lab", "nowhere.yaml", "-q")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stdout


def test_a_hospital_that_does_not_start_makes_every_case_broken(run, tmp_path):
    done = run("-q", "-k", "sample", "--quirk", "broken")
    assert done.returncode == 1
    assert "4 errors" in done.stdout
    assert "the simulated hospital does not start" in done.stdout
    records = journal(only_run(tmp_path))
    assert [one["verdict"] for one in records if one["record"] == "verdict"] == ["broken"] * 4
    assert records[-1]["exit"] == 3
    assert (only_run(tmp_path) / "state" / "starts").read_text().count("started") == 1


def test_evidence_of_two_runs_never_mixes(run, tmp_path):
    assert run("-q", "-k", "passes", "--evidence", "mine").returncode == 0
    assert not (tmp_path / "runs").exists()
    done = run("-q", "-k", "passes", "--evidence", "mine")
    assert done.returncode == 1
    assert "evidence of two runs must not mix" in done.stdout


PYTHON = """\
import pytest
from stepwedge.errors import Failed, Refused

@pytest.fixture
def order(lab):
    patient = lab.do("ehr.register_patient")
    return lab.do("ehr.place_order", patient=patient, procedure="CTCHEST")

def test_passes(lab, order):
    found = lab.expect("message.received", at="pacs", where={"accession": order["accession"], "control": "NW"})
    assert found.get("patient") == order["patient"]
    lab.never("message.received", at="ehr", where={"type": "ORU^R01"})

def test_fails(lab, order):
    lab.expect("message.received", at="pacs", where={"control": "CA"}, within="100ms")

def test_own_assertion(lab, order):
    assert order["accession"] == ""

def test_refused(lab, order):
    with pytest.raises(Failed, match="told to"):
        lab.do("ehr.cancel_order", order=order, reason="refused")

def test_misspelled(lab, order):
    lab.do("ehr.cancel_ordr", order=order)

def test_dollar(lab):
    assert lab.do("ehr.register_patient", name="$x")["name"] == "$x"

def test_silent(lab):
    pass
"""


def test_the_same_words_from_python(run, tmp_path):
    (tmp_path / "test_own.py").write_text(PYTHON)
    done = run("test_own.py", "-rA")
    found = re.findall(r"^(PASSED|FAILED|ERROR) test_own.py::(\w+)", done.stdout, re.MULTILINE)
    outcomes = {name: word for word, name in found}
    assert outcomes == {
        "test_passes": "PASSED", "test_fails": "FAILED", "test_own_assertion": "FAILED", "test_refused": "FAILED",
        "test_misspelled": "FAILED", "test_dollar": "PASSED", "test_silent": "PASSED",
    }, done.stdout  # fmt: skip
    verdicts = {
        one["case"]: one["verdict"] for one in journal(only_run(tmp_path)) if one["record"] == "verdict"
    }
    assert verdicts == {
        "test_own.py-test_passes": "passed",
        "test_own.py-test_fails": "failed",
        "test_own.py-test_own_assertion": "failed",
        "test_own.py-test_refused": "failed",
        "test_own.py-test_misspelled": "broken",
        "test_own.py-test_dollar": "passed",
    }
    assert re.search(r"FAILED test_own.py:15  expect message.received", done.stdout)
    assert "did you mean 'cancel_order'?" in done.stdout


def test_only_documented_pytest_is_used():
    source = (ROOT / "stepwedge" / "pytest_plugin.py").read_text(encoding="utf-8")
    assert "_pytest" not in source.replace("[pytest_", "").replace("stepwedge_pytest", "")


def test_the_entry_point_is_named_like_the_module():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["entry-points"]["pytest11"] == {
        "stepwedge.pytest_plugin": "stepwedge.pytest_plugin"
    }
