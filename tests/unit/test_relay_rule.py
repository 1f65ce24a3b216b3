"""INV-12.1: a relay that loses, doubles or changes a message is seen; a table's change is not held against it."""

from types import SimpleNamespace

import pytest

from stepwedge.checks.rules.relays import arrives_once
from stepwedge.checks.rules.sightings import between, once
from stepwedge.evidence.exchange import Exchange, Payload

BODY = b"MSH|^~\\&|SW_EHR|S|%s|S|20261124||ADT^A04|%s|P|2.5.1\rPID|||SW1^^^STEPWEDGE||Doe|||F\rZAC|a^^c\r"
TAKEN = BODY % (b"SW_ENGINE", b"C1")
HANDED_ON = BODY % (b"SW_RIS", b"C1")
CHANGED = {"MSH[1]-5": "addressed to the destination"}


def exchange(actor, direction, peer, body, relay=None, control="C1", outcome="AA"):
    facts = {"relay": relay} if relay else {}
    keys = {"control": [control]}
    return Exchange(
        0,
        0.0,
        0.0,
        actor,
        direction,
        "hl7",
        "ADT^A04",
        peer,
        outcome,
        keys,
        facts,
        Payload.of(body),
        Payload.of(b""),
    )


def taken():
    return exchange("engine", "in", "ehr", TAKEN, {"copies": {"1": "ris"}})


def copy(body=HANDED_ON, number=1, changed=CHANGED, control="C1"):
    relay = {"for": "ehr", "of": "C1", "copy": number, "changed": changed}
    return exchange("engine", "out", "ris", body, relay, control)


def differences(*exchanges):
    return [str(one.path) for one in arrives_once(SimpleNamespace(exchanges=exchanges)).differences]


def test_what_arrives_once_and_unchanged_is_fine():
    assert differences(taken(), copy(), copy()) == []  # sent again: the same copy


@pytest.mark.parametrize(
    ("exchanges", "path"),
    [
        ([taken()], "handed on to ris"),
        (
            [taken(), copy(), copy(number=2, control="C2", changed={**CHANGED, "MSH[1]-10": "x"})],
            "accepted by ris",
        ),
        ([taken(), copy(HANDED_ON.replace(b"|F", b"|M"))], "PID[1]-8"),
        ([taken(), copy(HANDED_ON.replace(b"a^^c", b"a^c"))], "ZAC[1]-1"),
        ([taken(), copy(HANDED_ON.replace(b"ZAC|a^^c\r", b""))], "ZAC[1]"),
        ([taken(), copy(HANDED_ON + b"ZZZ|1\r")], "ZZZ[1]"),
        ([taken(), copy(b"no message")], "ehr → ris"),
    ],
)
def test_what_a_relay_must_not_do_is_seen(exchanges, path):
    found = differences(*exchanges)
    assert any(path in one for one in found), found


def test_what_a_table_says_is_no_difference():
    body = HANDED_ON.replace(b"|F", b"|M")
    assert differences(taken(), copy(body, changed={**CHANGED, "PID[1]-8": "table sex version 1"})) == []


def test_each_leg_of_a_relayed_message_counts_once_and_is_its_senders():
    legs = [
        exchange("ehr", "out", "engine", TAKEN),
        taken(),
        copy(),
        exchange("ris", "in", "ehr", HANDED_ON),
    ]
    assert [between(one) for one in once(legs)] == [("ehr", "engine"), ("ehr", "ris")]
