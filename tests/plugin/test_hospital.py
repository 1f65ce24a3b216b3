"""Shipped scenarios against the simulated hospital: the same seed says the same, and no process stays behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder, seed, *args):
    command = [sys.executable, "-m", "pytest", "scenarios/cancel", "-q", "-p", "no:cacheprovider"]
    command += ["--evidence", str(folder), "--seed", str(seed), *args]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-o addopts= -o timeout="}
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return [
        json.loads(line) for part in folder.glob("journal*.jsonl") for line in part.open(encoding="utf-8")
    ]


def said(records):
    """Return what was told and sent, case by case, without times, ports, and the running numbers of messages."""
    exchanges = [(one["case"], one["exchange"]) for one in records if one["record"] == "exchange"]
    return sorted(
        (
            case,
            one["actor"],
            one["kind"],
            one["outcome"],
            json.dumps({**one["keys"], "control": []}, sort_keys=True),
        )
        for case, one in exchanges
        if one["protocol"] in {"act", "hl7"} and one["direction"] == "in"
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("first") / "run"


@pytest.fixture(scope="module")
def first(folder):
    return run(folder, 4171)


def test_the_same_seed_says_the_same_whoever_shares_the_work(first, tmp_path):
    again = run(tmp_path / "run", 4171, "-p", "xdist.plugin", "-n", "2")
    assert said(again) == said(first)


def test_another_seed_says_something_else(first, tmp_path):
    other = run(tmp_path / "run", 4172)
    assert {one[1:4] for one in said(other)} == {one[1:4] for one in said(first)}
    assert not {one[4] for one in said(other)} & {one[4] for one in said(first)}


def test_a_never_is_proven_by_a_fence(first):
    never = [one for one in first if one["record"] == "step" and one["kind"] == "never"]
    assert len(never) >= 2
    assert all(one["fenced"] for one in never)


def test_our_own_time_per_step_is_small(first):
    steps = sum(one["record"] == "step" for one in first)
    own = sum(one["own_time"] for one in first if one["record"] == "verdict")
    assert own / steps < 0.015


def test_every_payload_named_in_the_journal_is_there(first, folder):
    named = [
        one["exchange"][part]["file"]
        for one in first if one["record"] == "exchange"
        for part in ("request", "response") if one["exchange"][part]
    ]  # fmt: skip
    assert named
    assert [file for file in named if not (folder / file).is_file()] == []
