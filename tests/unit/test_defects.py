"""The table of known defects says the truth about the quirks there are."""

from collections import defaultdict

import pytest
import yaml

from stepwedge import kit
from stepwedge.lab import defects, quirks

TABLE = defects.read()
LISTED = 194


def by_defect():
    found = defaultdict(set)
    for name, (_, quirk) in quirks.known().items():
        found[quirk.defect].add(name)
    return found


def test_every_known_defect_has_one_row():
    rows = [
        line.partition(":")[0]
        for line in kit.find(defects.FILE).read_text(encoding="utf-8").splitlines()
        if line.startswith("DEF-")
    ]
    assert len(rows) == len(set(rows)) == len(TABLE) == LISTED
    assert rows == sorted(rows)


def test_the_quirks_of_a_row_are_those_that_name_its_defect():
    found = by_defect()
    assert {number: set(row.quirks) for number, row in TABLE.items() if row.quirks} == {
        number: names for number, names in found.items() if number != "not listed"
    }


@pytest.mark.parametrize("number", TABLE)
def test_a_row_says_one_thing(number):
    row = TABLE[number]
    assert sum(bool(getattr(row, one)) for one in defects.STANDINGS) == 1
    assert bool(row.why) == bool(row.instead)
    assert row.quirks or row.reason


def test_what_stands_in_for_a_defect_is_a_quirk():
    assert {row.instead for row in TABLE.values() if row.instead} <= set(quirks.known())


def test_a_word_that_no_row_has_is_refused(tmp_path):
    path = tmp_path / "defects.yaml"
    path.write_text(yaml.safe_dump({"DEF-001": {"severity": "S1", "quirk": "mwl.keep_cancelled"}}))
    with pytest.raises(ValueError, match="quirk"):
        defects.read(path)
