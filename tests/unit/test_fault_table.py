"""The table of docs/faults.md: every kind of fault stands in it, with scenarios and wrong behaviours that there are."""

from __future__ import annotations

import re
from pathlib import Path

from stepwedge import kit
from stepwedge.sim.shared_quirks import SHARED
from stepwedge.sim.tap.faults import kinds

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ((?:[NHDW]\d+(?:, )?)+) \| (.+?) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
ROLES = ("ehr", "ris", "pacs", "modality", "reader", "engine", "mpi", "router", "idp", "auditor")


def rows():
    return [
        (tuple(ids.split(", ")), *(tuple(re.findall(r"`([^`]+)`", cell)) for cell in (kind, scenario)), proof)
        for ids, _, kind, scenario, proof in ROW.findall(
            (ROOT / "docs/faults.md").read_text(encoding="utf-8")
        )
    ]


def scenarios():
    found = {}
    for path in (ROOT / "scenarios").rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        if name := re.search(r"^scenario: (\S+)$", text, re.MULTILINE):
            found[name[1]] = text
    return found


def test_every_fault_of_link_hl7_dicom_and_web_is_there():
    there = {one for ids, *_ in rows() for one in ids}
    for family, most in (("N", 12), ("H", 9), ("D", 13), ("W", 6)):
        assert {one for one in there if one[0] == family} == {f"{family}{n}" for n in range(1, most + 1)}


def test_every_kind_is_there_and_no_other():
    assert {kind for _, named, _, _ in rows() for kind in named} == set(kinds())


def test_a_scenario_that_is_named_uses_the_kind():
    known = scenarios()
    for ids, named, where, _ in rows():
        for name in where:
            assert name in known, (ids, name)
            for kind in named if len(where) == 1 and len(named) == 1 else ():
                assert re.search(rf"(kind|trouble): {kind}\b", known[name]), (ids, name, kind)


def test_every_row_is_seen_red_or_says_why_not():
    quirks = set(SHARED).union(*(kit.load_simulator(role).QUIRKS for role in ROLES))
    for ids, _, where, proof in rows():
        named = re.findall(r"`([^`/ ]+\.[a-z_]+)`", proof)
        assert not [one for one in named if one not in quirks], ids
        tests = [one for one in re.findall(r"`(tests/[^`]+)`", proof) if not (ROOT / one).exists()]
        assert not tests, ids
        if where and not proof.startswith("acts"):
            assert named, ids
        else:
            assert len(proof) > 20, ids  # the reason
