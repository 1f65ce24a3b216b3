"""A clock that is set in the middle of a run moves nothing in the journal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import stepwedge
from stepwedge import clock

ROOT = Path(stepwedge.__file__).parent


def test_moments_go_on_while_the_time_of_day_is_set(monkeypatch):
    real = time.time
    before = clock.moment()
    for step in (-3600, 86400, 0, -1):
        monkeypatch.setattr(time, "time", lambda step=step: real() + step)
        now = clock.moment()
        assert before <= now < before + 5
        before = now


def test_after_a_long_silence_the_time_of_day_is_read_anew(monkeypatch):
    moments = clock._Moments()
    ticks, real = clock._ticks(), time.time()
    monkeypatch.setattr(clock, "_ticks", lambda: ticks + clock.SILENCE + 1)
    monkeypatch.setattr(time, "time", lambda: real + 7200)
    assert moments.now() == real + 7200


def test_the_processes_of_a_run_agree(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 0.0)  # whoever is started now would read something else
    code = "import time; time.time = lambda: 0.0\nfrom stepwedge.clock import moment\nprint(moment())"
    env = {**os.environ, "PYTHONPATH": str(ROOT.parent)}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env)
    assert abs(float(done.stdout) - clock.moment()) < 5


OF_THE_DAY = {
    "actors/wallet.py": 2,  # one-time passwords
    "actors/signing_in.py": 1,  # an assertion says when it was made
    "actors/launching.py": 2,  # a token says until when it is good
    "lab/keep.py": 1,  # a file says when it was written
    "wire/oidc.py": 1,
    "scenario/run.py": 1,  # when a case started, for people
    "clock.py": 2,
}
"""Where the time of day itself is meant, and how often."""


def test_what_is_observed_is_dated_by_the_clock_that_never_goes_back():
    found = {}
    for path in [*ROOT.rglob("*.py"), *(ROOT.parent / "simulators").rglob("*.py")]:
        if count := len(re.findall(r"(?<!`)\btime\.time\(\)", path.read_text(encoding="utf-8"))):
            found[path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name] = count
    assert found == OF_THE_DAY
