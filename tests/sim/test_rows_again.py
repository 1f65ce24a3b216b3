"""What a system wrote down it can read again after a restart: every kind of row of every simulated system."""

from __future__ import annotations

import pytest

from stepwedge import kit
from stepwedge.report import conformance
from stepwedge.sim.bench import Bench
from stepwedge.sim.rows import unpack


@pytest.mark.parametrize("role", kit.simulators())
def test_every_kind_of_row_can_be_read(role, monkeypatch):
    kinds = []
    restore = Bench.restore

    def restored(bench, state):
        kinds.extend(table.kind for table in state.tables.values())
        return restore(bench, state)

    monkeypatch.setattr(Bench, "restore", restored)
    conformance.statement(role)
    for kind in kinds:
        with pytest.raises((TypeError, KeyError, ValueError, AttributeError)) as raised:
            unpack(kind, {"": ""} if kind is dict else {})
            raise ValueError  # read, as it should be
        assert not isinstance(raised.value, NameError)
