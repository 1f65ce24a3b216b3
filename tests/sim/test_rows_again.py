"""What a system wrote down it can read again after a restart: every kind of row of every simulated system."""

from __future__ import annotations

import pytest

from stepwedge import kit
from stepwedge.report import conformance
from stepwedge.sim import rows
from stepwedge.sim.bench import Bench


@pytest.mark.parametrize("role", kit.simulators())
def test_every_kind_of_row_can_be_read(role, monkeypatch):
    kinds = []
    restore = Bench.restore

    def restored(bench, state):
        kinds.extend(table.kind for table in state.tables.values())
        return restore(bench, state)

    monkeypatch.setattr(Bench, "restore", restored)
    conformance.statement(role)
    assert kinds
    for kind in kinds:
        assert callable(rows._reader(kind)), kind  # a type that only a checker knows is a NameError here
