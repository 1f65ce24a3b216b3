"""Hospitals as data: every number has a reason, and a mistake is told with its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.load import case as cases
from stepwedge.load import day as days
from stepwedge.load import schema
from stepwedge.model.procedure import catalogue

if TYPE_CHECKING:
    from pathlib import Path

DAYS = sorted(path.stem for path in kit.find(days.FOLDER).glob("*.yaml"))
CASES = sorted(kit.find(cases.FOLDER).glob("*.yaml"))


@pytest.mark.parametrize("name", DAYS)
def test_every_number_says_where_it_comes_from(name: str) -> None:
    day = days.load(name)
    numbers = day.numbers()
    assert len(numbers) > 50
    assert all(why for _, _, why, _ in numbers)
    assert any(not assumed for _, _, _, assumed in numbers)


def test_the_sizes_are_those_that_were_derived() -> None:
    """Studies of a working day: annual / (250 + 115 x 0.4)."""
    found = {name: round(days.load(name).exams) for name in ("s", "m", "l", "xl")}
    assert found == {"s": 108, "m": 236, "l": 608, "xl": 1081}


def test_a_day_adds_up() -> None:
    day = days.load("m")
    assert day.exams_between(0, 24 * 3600) == pytest.approx(day.exams, rel=0.01)
    assert day.exams_between(9 * 3600, 10 * 3600) == pytest.approx(0.101 * day.exams)
    assert day.intensity(9.5 * 3600) * 3600 == pytest.approx(0.101 * day.exams)


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = (kit.find(days.FOLDER) / "m.yaml").read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("day: m", "day: Not a name", 2, "day"),
        ("images: {value: 700,", "images: {valeu: 700,", 0, "modalities.CT.images"),
        ("0.101", "0.501", 0, "add up to 1"),
        ("share: {value: 0.14,", "share: {value: 0.54,", 0, "add up to 1"),
        ('{value: 240, assumed: "a study', '{value: 240, sources: "a study', 0, "reading.seconds"),
    ],
)
def test_a_mistake_has_a_line(tmp_path: Path, old: str, new: str, line: int, says: str) -> None:
    with pytest.raises(BadInput) as told:
        days.load(str(changed(tmp_path, old, new)))
    assert "mine.yaml:" in told.value.place
    assert says in str(told.value)
    if line:
        assert told.value.place.endswith(f":{line}")


def test_a_number_needs_a_reason_and_not_two(tmp_path: Path) -> None:
    file = changed(tmp_path, '{value: 1.15, assumed: "', '{value: 1.15, source: "x", assumed: "')
    with pytest.raises(BadInput, match="either a source, or why it is assumed"):
        days.load(str(file))


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(BadInput, match="one of l, m, network, s, xl"):
        days.load("medium")
    with pytest.raises(BadInput, match="did you mean 'monday'"):
        cases.load("mondays")


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_every_shipped_case_can_be_driven(path: Path) -> None:
    case = cases.load(str(path))
    assert path.stem == case.load.lower()
    assert days.load(case.day).exams > 0
    assert path.read_text(encoding="utf-8").startswith(
        "# yaml-language-server: $schema=../case.schema.json\n"
    )


def test_the_twelve_of_the_catalogue_are_there() -> None:
    carried = {one for path in CASES for one in cases.load(str(path)).catalogue}
    assert carried == {f"LOD-{number:02d}" for number in range(1, 13)}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("share: 1,", "share: 0.5,", "shares of phases that add up to 1"),
        ('from: "07:00", to: "11:00"', 'from: "11:00", to: "07:00"', "an end after the beginning"),
        ('from: "07:00", to: "11:00"', 'from: "07:00"', "either from and to, or busy"),
        ('from: "07:00"', 'from: "7"', "a time of day"),
        ("day: m", "days: m", "days"),
    ],
)
def test_a_case_that_cannot_be_is_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    text = (kit.find(cases.FOLDER) / "monday.yaml").read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadInput, match=says):
        cases.load(str(file))


@pytest.mark.parametrize("name", sorted(schema.SCHEMAS))
def test_the_shipped_schema_is_the_models_own(name: str) -> None:
    shipped = (kit.find("load") / f"{name}.schema.json").read_text(encoding="utf-8")
    assert shipped == schema.text(name), "write it again: python -m stepwedge.load.schema"


@pytest.mark.parametrize("name", DAYS)
def test_every_procedure_of_a_day_is_one_step_on_its_own_modality(name: str) -> None:
    """A load exam performs one step; of a procedure of two the other one would wait for ever."""
    known = catalogue(kit.find("fixtures/procedures/catalogue.yaml"))
    for modality, machine in days.load(name).modalities.items():
        procedure = known[machine.procedure]
        assert (len(procedure.steps), procedure.modality) == (1, modality)
