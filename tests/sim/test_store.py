"""The store: all or nothing, and back after a restart."""

import sqlite3
from dataclasses import dataclass

import pytest

from stepwedge.errors import BadInput, Broken
from stepwedge.sim.store import Change, Send, Store, StoredReply
from stepwedge.sim.tables import State


@dataclass(frozen=True, slots=True)
class Order:
    placer: str
    text: str = ""


class Orders(State):
    def __init__(self):
        super().__init__(1, "ris")
        self.orders = self.table("orders", Order)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.sqlite"


def test_rows_messages_and_reply_come_back_together(path):
    store, state = Store(path), Orders()
    state.orders["b"] = Order("b", "Möller")
    state.orders["a"] = Order("a")
    state.next("control")
    change = Change([Send("ehr", b"M\xf6", control="1", case="c")])
    change.remember(StoredReply("S|F", "9", b"d", b"reply"))
    store.commit(state, change)
    state.keep()
    store.close()

    store, fresh = Store(path), Orders()
    store.load(fresh)
    assert list(fresh.orders.values()) == [Order("b", "Möller"), Order("a")]
    assert fresh.next("control") == 2
    assert store.waiting() == [Send("ehr", b"M\xf6", "hl7", "1", "c", change.sends[0].place)]
    assert store.replied("S|F", "9") == StoredReply("S|F", "9", b"d", b"reply")
    assert store.replied("S|F", "8") is None


def test_a_reply_alone_comes_back(path):
    store, state = Store(path), Orders()
    reply = StoredReply("S|F", "9", b"d", b"reply")
    change = Change()
    change.remember(reply)
    store.commit(state, change)
    assert store.replied("S|F", "9") == reply
    store.close()
    assert Store(path).replied("S|F", "9") == reply


def test_a_removed_row_stays_removed_and_an_updated_one_is_the_newest(path):
    store, state = Store(path), Orders()
    state.orders["a"] = Order("a")
    state.orders["b"] = Order("b")
    store.commit(state, Change())
    state.keep()
    del state.orders["a"]
    state.orders["b"] = Order("b", "new")
    store.commit(state, Change())
    fresh = Orders()
    store.load(fresh)
    assert dict(fresh.orders.items()) == {"b": Order("b", "new")}


def test_a_commit_that_fails_leaves_nothing(path):
    store, state = Store(path), Orders()
    state.orders["a"] = Order("a")
    state.orders["b"] = Order("b", object())
    change = Change([Send("ehr", b"x", control="1")])
    change.remember(StoredReply("S|F", "9", b"d", b"reply"))
    with pytest.raises(TypeError, match="cannot hold"):
        store.commit(state, change)
    state.rollback()
    assert store.replied("S|F", "9") is None
    state.orders["a"] = Order("a", "second try")
    store.commit(state, Change())
    store.close()
    fresh = Orders()
    (store := Store(path)).load(fresh)
    assert dict(fresh.orders.items()) == {"a": Order("a", "second try")}
    assert store.waiting() == []


def test_a_state_folder_has_one_owner(path):
    store = Store(path)
    store.commit(Orders(), Change([Send("ehr", b"x", control="1")]))
    with pytest.raises(Broken, match="another process"):
        Store(path)


def test_parked_messages_keep_their_reason_and_no_longer_wait(path):
    store, change = Store(path), Change([Send("ehr", b"1", control="1"), Send("ehr", b"2", control="2")])
    store.commit(Orders(), change)
    store.park(change.sends[0].place, "AE: no")
    store.delivered(change.sends[1].place)
    assert store.waiting() == []
    assert [(send.control, reason) for send, reason in store.parked()] == [("1", "AE: no")]


def test_state_of_another_format_is_refused(path):
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(BadInput, match="format 99"):
        Store(path)
