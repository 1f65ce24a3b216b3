"""The JSON Schema that editors use is the language that is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stepwedge.scenario.schema import json_schema

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "scenarios").rglob("*.yaml"))


def test_the_shipped_schema_is_current():
    shipped = json.loads((ROOT / "scenarios" / "scenario.schema.json").read_text(encoding="utf-8"))
    remedy = "write it again: python -m stepwedge.scenario.schema > scenarios/scenario.schema.json"
    assert shipped == json_schema(), remedy


@pytest.mark.parametrize(
    "path", [one for one in SHIPPED if "_flows" not in one.parts], ids=lambda path: path.stem
)
def test_every_shipped_scenario_names_the_schema(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../scenario.schema.json"


def test_durations_are_text_in_the_schema():
    schema = json.dumps(json_schema())
    assert '"pattern"' in schema
    assert "5s" in schema
