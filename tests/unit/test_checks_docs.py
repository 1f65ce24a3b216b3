"""The examples of the two guides are real: the scenario is accepted, the check works, the matchers are well formed."""

import re
from pathlib import Path

import pytest
import yaml

from stepwedge.actors import asking
from stepwedge.actors.witness import Asked
from stepwedge.checks import matchers
from stepwedge.checks.check import CHECKS, Question, find
from stepwedge.scenario.check import Known, check

ROOT = Path(__file__).parents[2]
ROLES = {"ehr": "ehr", "ris": "ris", "pacs": "pacs", "ct": "modality", "reader": "reader"}


def blocks(guide, language):
    return re.findall(
        rf"```{language}\n(.*?)```", (ROOT / "docs" / guide).read_text(encoding="utf-8"), re.DOTALL
    )


def test_the_example_scenario_has_nothing_wrong(tmp_path):
    first = tmp_path / "first.yaml"
    first.write_text(blocks("adding-a-scenario.md", "yaml")[0], encoding="utf-8")
    assert check([first], Known(actors=ROLES, claims=None)) == []


def test_the_matchers_shown_are_all_there_are():
    shown = [yaml.safe_load(line) for line in blocks("adding-a-scenario.md", "yaml")[1].splitlines()]
    assert [problem for spec in shown for problem in matchers.problems(spec)] == []
    assert {matchers.matcher_word(spec) for spec in shown} == {
        *("one_of", "not", "matches", "kind", "between", "absent", "approx", "same_as")
    }


def test_the_python_example_compiles():
    compile(blocks("adding-a-scenario.md", "python")[0], "adding-a-scenario.md", "exec")


@pytest.fixture
def example():
    find("worklist.entry")  # the shipped ones are registered first
    code = compile(blocks("adding-a-check.md", "python")[0], "adding-a-check.md", "exec")
    exec(code, {"__name__": "example"})  # noqa: S102 - the guide's own text
    yield CHECKS["series.found"]
    del CHECKS["series.found"]


def test_the_example_check_looks(example, monkeypatch):
    answers = [{"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}]
    monkeypatch.setattr(asking, "instances", lambda *_: Asked(answers, (4,)))
    where = {"StudyInstanceUID": "1.2"}
    assert example.look(Question(None, None, from_="pacs", where=where)).holds
    found = example.look(Question(None, None, from_="pacs", where=where, is_={"SeriesInstanceUID": "1.2.4"}))
    assert (found.holds, found.closest) == (False, "series 1.2.3: SeriesInstanceUID = 1.2.3")
