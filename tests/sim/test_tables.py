"""Tables: indexes, rollback, counters; rows as JSON."""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge.errors import Broken
from stepwedge.sim.rows import pack, unpack
from stepwedge.sim.tables import State


class Status(Enum):
    NEW = "new"
    OLD = "old"


@dataclass(frozen=True, slots=True)
class Step:
    code: str
    start: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    placer: str
    accession: str = ""
    status: Status = Status.NEW
    steps: tuple[Step, ...] = ()
    notes: dict[str, Step] = field(default_factory=dict)
    born: date | None = None
    raw: bytes = b""
    pair: tuple[int, str] = (0, "")
    tags: frozenset[str] = frozenset()
    any: object = None


class Orders(State):
    def __init__(self, seed=1, name="ris"):
        super().__init__(seed, name)
        self.orders = self.table("orders", Order)
        self.orders.index("accession", of=lambda order: [order.accession] if order.accession else [])


def test_rows_survive_json():
    order = Order(
        "P1",
        "A1",
        Status.OLD,
        (Step("CT", datetime(2026, 11, 24, 9, tzinfo=UTC)),),
        {"x": Step("y")},
        date(1970, 1, 1),
        b"\x00\xff",
        (3, "z"),
        frozenset({"t"}),
        {"free": [1, None]},
    )
    assert unpack(Order, pack(order)) == order


def test_a_row_of_an_older_version_takes_defaults_and_drops_what_is_gone():
    assert unpack(Order, {"placer": "P1", "forgotten": 1}) == Order("P1")


def test_what_a_row_cannot_hold_is_said():
    with pytest.raises(TypeError, match="cannot hold a object"):
        pack(object())


def test_an_index_follows_every_change():
    state = Orders()
    state.orders["1"] = Order("1", "A")
    state.orders["2"] = Order("2", "A")
    state.orders["1"] = replace(state.orders["1"], accession="B")
    assert [order.placer for order in state.orders.by("accession", "A")] == ["2"]
    assert [order.placer for order in state.orders.by("accession", "B")] == ["1"]
    del state.orders["2"]
    assert state.orders.by("accession", "A") == []


OPERATIONS = st.lists(
    st.tuples(st.sampled_from("123"), st.sampled_from(["A", "B", ""]), st.booleans()), max_size=12
)


@given(OPERATIONS, OPERATIONS)
def test_rollback_restores_rows_order_of_counters_and_indexes(before, after):
    def play(state, operations):
        for key, accession, remove in operations:
            if remove and key in state.orders:
                del state.orders[key]
            else:
                state.orders[key] = Order(key, accession)
            state.next("n")

    state = Orders()
    play(state, before)
    state.keep()
    rows, counters = dict(state.orders.items()), dict(state.counters.items())
    play(state, after)
    state.rollback()
    assert dict(state.orders.items()) == rows
    assert dict(state.counters.items()) == counters
    for accession in "AB":
        expected = {key for key, row in rows.items() if row.accession == accession}
        assert {row.placer for row in state.orders.by("accession", accession)} == expected


def test_identifiers_go_on_after_a_restart_and_differ_between_actors():
    state = Orders()
    first = state.mint("case").patient_id()
    second = state.mint("case").patient_id()
    other = Orders(name="ct").mint("case").patient_id()
    assert len({first, second, other}) == 3
    assert Orders().mint("case").patient_id() == first
    assert state.control() != state.control()


def test_a_change_outside_a_transaction_is_noticed():
    state = Orders()
    state.orders["1"] = Order("1")
    with pytest.raises(Broken, match=r"outside bench\.change"):
        state.settled()


def test_an_act_that_is_done_again_makes_the_same_identifiers():
    state = Orders()
    before = state.mint("case").uid("mpps")
    state.count_from_here("case")
    first = [state.mint("case").uid("mpps"), state.mint("case").number("placer", "P", 8)]
    state.count_again("case")
    state.count_from_here("case")
    again = [state.mint("case").uid("mpps"), state.mint("case").number("placer", "P", 8)]
    assert again == first
    assert state.mint("case").uid("mpps") not in {before, first[0]}
    assert state.mint("other").uid("mpps") != first[0]


def test_only_so_many_cases_are_remembered():
    state = Orders()
    for number in range(200):
        state.count_from_here(f"case {number}")
    assert len(state.began) <= 64
    state.count_again("case 0")  # forgotten: it counts on
    state.count_again("never begun")
