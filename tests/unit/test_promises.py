"""Every promise of docs/promises.md names tests that exist, or says that it is not proven."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (G\d+) \| (.+) \| (.+) \|$", re.MULTILINE)


def rows():
    return ROW.findall((ROOT / "docs/promises.md").read_text(encoding="utf-8"))


def test_every_promise_stands_there_once():
    assert [number for number, _, _ in rows()] == [f"G{number}" for number in range(1, 21)]


def test_every_test_named_exists():
    for number, _, proofs in rows():
        named = re.findall(r"`(tests/[^`]+)`", proofs)
        assert named or "Not proven" in proofs, number
        for one in named:
            path, _, name = one.partition("::")
            text = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(
                rf"^(async )?def {name}\b" if name else r"^(    )?(async )?def test_", text, re.MULTILINE
            ), one
