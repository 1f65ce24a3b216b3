"""The list of transactions is held to the truth: what it names exists, and nothing that is cited is missing."""

import ast
from pathlib import Path

import pytest
from rich.console import Console

from stepwedge import kit
from stepwedge.actors.words import words
from stepwedge.checks.check import checks
from stepwedge.errors import BadInput
from stepwedge.report import transactions
from stepwedge.scenario.transactions import TRANSACTIONS, numbers

ROOT = Path(__file__).parents[2]


def functions(file):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_proof_is_a_test_that_exists():
    proofs = [proof for one in transactions.read().values() for of in one.peers.values() for proof in of]
    assert proofs
    missing = [
        proof.test
        for proof in proofs
        if proof.test.split("::")[1] not in functions(proof.test.split("::")[0])
    ]
    assert not missing


def test_who_takes_part_is_somebody_we_play():
    for number, one in transactions.read().items():
        actors = {*one.sends, *one.receives}
        assert actors <= set(kit.simulators()), number
        assert {*one.peers, *one.alone} <= actors, number
        assert not set(one.peers) & set(one.alone), number


def test_every_transaction_that_is_cited_is_listed():
    cited = {part for one in (*words(), *checks()) for part in numbers(one.ihe)}
    cited = {part for part in cited if part.startswith(("RAD-", "ITI-"))}
    assert cited <= set(TRANSACTIONS)
    assert set(transactions.read()) == set(TRANSACTIONS)


def test_whoever_has_a_word_for_it_sends_or_asks_for_it():
    said = transactions.read()
    for word in words():
        for number in said.keys() & set(numbers(word.ihe)):
            assert word.role in (*said[number].sends, *said[number].receives), word.full


def test_a_side_without_a_proof_is_shown_as_such(monkeypatch):
    said = transactions.read()
    said["RAD-5"] = said["RAD-5"].model_copy(update={"peers": {}})
    monkeypatch.setattr(transactions, "read", lambda: said)
    row = next(one for one in transactions.rows() if one.unverified)
    console = Console(record=True, width=200)
    transactions.say(console)
    text = console.export_text()
    assert f"{row.unverified[0]}: no peer" in text
    sides = sum(len({*one.said.sends, *one.said.receives}) for one in transactions.rows())
    alone = sum(len(one.unverified) for one in transactions.rows())
    assert f"{sides - alone} verified by software we did not write, {alone} not" in text


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("RAD-1: {message: x, sends: [], receives: [ris]}", "RAD-1|sends"),
        ("RAD-1: {message: x, sends: [ehr], receives: [ris], peers: {ris: [{by: x, test: y}]}}", "test"),
        ("- RAD-1", "mapping"),
        ("RAD-1: {message: x, sends: [ehr], receives: [ris], peer: {}}", "peer"),
    ],
)
def test_a_file_that_says_nothing_useful_is_refused(tmp_path, written, said):
    file = tmp_path / "transactions.yaml"
    file.write_text(written)
    with pytest.raises(BadInput) as trouble:
        transactions.read(file)
    assert any(part in str(trouble.value) for part in said.split("|"))
    assert str(file) in str(trouble.value)
