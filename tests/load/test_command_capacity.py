"""``stepwedge load --find-capacity``: the command's search, driven by runs that are made up."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from stepwedge.load import command
from stepwedge.load.command import Wanted
from stepwedge.load.verdict import Verdict


def searched(
    monkeypatch, tmp_path, held, beyond=("missed", "95 % of 80 C-FIND worklist took at most 3 s", "system")
):
    """Search with runs that are met up to ``held`` times the load; return code, what was printed, and what was driven."""
    driven = []

    def run(_lab, plan, folder, _options):
        driven.append((round(plan.times, 3), plan.seed, folder.name))
        word, first, side = ("met", "", "") if plan.times <= held else beyond
        return Verdict(word, word, first, side)

    monkeypatch.setattr(command, "run", run)
    out = io.StringIO()
    wanted = Wanted(case="minute", seconds=5, seed=7, evidence=tmp_path / "run", find_capacity=True)
    code = command.command(Console(file=out, width=400), None, wanted)
    return code, out.getvalue(), driven


def test_the_knee_is_bracketed_repeated_and_said(monkeypatch, tmp_path):
    code, said, driven = searched(monkeypatch, tmp_path, 2.7)
    assert code == 0
    assert (
        "Holds 2.4 times the minute of hospital s, breaks at 2.8; first to break: 95 % of 80 C-FIND worklist"
        in said
    )
    assert "cause side: system" in said
    assert len(driven) <= 8
    assert len({seed for _, seed, _ in driven}) == len({name for *_, name in driven}) == len(driven)
    told = json.loads((tmp_path / "run" / "capacity.json").read_text())
    assert (told["word"], len(told["steps"])) == ("found", len(driven))


def test_the_search_ends_at_the_most(monkeypatch, tmp_path):
    code, said, driven = searched(monkeypatch, tmp_path, 1000)
    assert code == 0
    assert f"Holds at least {command.MOST:.2g} times" in said
    assert [times for times, *_ in driven] == [1, 2, 4, 8, 16]


@pytest.mark.parametrize(
    ("held", "code", "said"), [(0.0, 1, "Does not hold"), (2.0, 2, "nobody can tell, cause side: generator")]
)
def test_what_is_not_held_or_nobody_can_tell_is_never_zero(monkeypatch, tmp_path, held, code, said):
    beyond = (
        ("untold", "the load generator used 1 of a core", "generator")
        if held
        else ("missed", "late", "system")
    )
    found, text, _ = searched(monkeypatch, tmp_path, held, beyond)
    assert found == code
    assert said in text
