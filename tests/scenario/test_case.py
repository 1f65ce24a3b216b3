"""Which exchanges belong to a case, whatever else the hospital is doing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwedge.evidence.exchange import Exchange, Payload
from stepwedge.scenario.case import CaseView, Feed, identities, is_query
from stepwedge.scenario.record import Recorder


class Host:
    def __init__(self):
        self.log = []

    def journal(self, after, wait=0.0):
        return [one.to_json() for one in self.log[after:]]

    def add(self, kind="ORM^O01", case="", protocol="hl7", **keys):
        number = len(self.log) + 1
        listed = {name: [value] if isinstance(value, str) else value for name, value in keys.items()}
        self.log.append(Exchange(number, 0.0, 0.0, "ris", "in", protocol, kind, keys=listed, case=case))
        return number


@pytest.fixture
def host():
    return Host()


@pytest.fixture
def view(host, tmp_path):
    return CaseView("mine", 1, Feed(host), Recorder(tmp_path))


def kinds(view):
    return [one.kind for one in view.exchanges]


def test_what_was_made_for_the_case_belongs(host, view):
    host.add("place_order", case="mine", protocol="act", accession="A1")
    host.add("place_order", case="theirs", protocol="act", accession="A2")
    assert view.pull() == 1
    assert view.keys == {"accession": ["A1"]}


def test_identifiers_lead_from_one_exchange_to_the_next(host, view):
    host.add("register", case="mine", protocol="act", patient="P1")
    host.add("ORM^O01", patient="P1", placer="O1")
    host.add("ORR^O02", placer="O1", accession="A1")
    host.add("N-CREATE", accession="A1", mpps="1.2", study="1.1")
    host.add("N-SET", mpps="1.2")
    host.add("ORM^O01", patient="P2", placer="O2")
    assert view.pull() == 5
    assert view.keys["study"] == ["1.1"]


def test_what_came_before_its_identifier_was_known_is_found_again(host, view):
    host.add("ADT^A04", patient="P1")
    host.add("C-STORE", study="1.1", sop="1.1.1")
    assert view.pull() == 0
    host.add("register", case="mine", protocol="act", patient="P1")
    assert view.pull() == 2
    host.add("N-CREATE", patient="P1", study="1.1")
    assert view.pull() == 2
    assert kinds(view) == ["ADT^A04", "register", "C-STORE", "N-CREATE"]
    assert [one.number for one in view.exchanges] == [1, 2, 3, 4]


def test_a_merge_leads_to_both_records(host, view):
    host.add("register", case="mine", protocol="act", patient="P1")
    host.add("ADT^A40", patient="P1", prior="P2")
    host.add("C-FIND", protocol="dimse", patient="P2")
    view.pull()
    assert view.keys["patient"] == ["P1", "P2"]
    assert len(view.exchanges) == 3


def test_the_answers_of_a_query_lead_nowhere(host, view):
    host.add("register", case="mine", protocol="act", patient="P1")
    host.add("C-FIND", protocol="dimse", patient=["P1", "P2", "P3"])
    host.add("fetch_worklist", case="mine", protocol="act", patient=["P1", "P4"])
    host.add("GET /studies", protocol="web", patient=["P1", "P5"])
    host.add("ORM^O01", patient="P2")
    host.add("ORM^O01", patient="P4")
    host.add("ORM^O01", patient="P5")
    assert view.pull() == 4
    assert view.keys == {"patient": ["P1"]}


def test_the_same_value_of_another_kind_is_somebody_else(host, view):
    host.add("register", case="mine", protocol="act", patient="1")
    host.add("ORM^O01", accession="1")
    assert view.pull() == 1


def test_control_ids_and_empty_values_identify_nothing(host, view):
    host.add("register", case="mine", protocol="act", patient="P1", control="M1", accession="")
    host.add("ADT^A04", control="M1")
    host.add("ADT^A04", accession="")
    assert view.pull() == 1


def test_the_markers_of_a_fence_stay_outside(host, view):
    host.add("register", case="mine", protocol="act", patient="P1")
    host.add("register", case="mine/fence", protocol="act", patient="P9")
    host.add("ADT^A04", patient="P9")
    assert view.pull() == 1
    assert [one.kind for one in view.strangers] == ["register", "ADT^A04"]


def test_the_feed_reads_on_from_case_to_case(host, tmp_path):
    feed = Feed(host)
    host.add("ADT^A04", patient="P1")
    feed.take()
    second = CaseView("second", 1, feed, Recorder(tmp_path))
    host.add("register", case="second", protocol="act", patient="P2")
    assert second.pull() == 1
    assert second.strangers == []


def test_a_long_journal_is_read_to_its_end():
    class Paged(Host):
        def journal(self, after, wait=0.0):
            return super().journal(after)[:1000]

    host = Paged()
    for _ in range(2500):
        host.add()
    assert len(Feed(host).take()) == 2500


def test_what_a_check_asks_is_evidence_too(view, tmp_path):
    probe = Exchange(
        0, 0.0, 0.0, "probe", "out", "dimse", "C-FIND", outcome="0000", request=Payload.of(b"\1\0")
    )
    assert view.observe(probe) == 1
    assert (tmp_path / "mine" / "0001.json").exists()
    assert (tmp_path / "mine" / "0001.bin").read_bytes() == b"\1\0"


def test_large_payloads_are_kept_beside_the_case_unchanged(view, tmp_path):
    held = tmp_path / "vault"
    held.write_bytes(b"\0" * 128 + b"DICM" + b"pixels")
    view.observe(
        Exchange(0, 0.0, 0.0, "pacs", "in", "dimse", "C-STORE", request=Payload.in_file(held, "ab", 138))
    )
    assert (tmp_path / "mine" / "0001.dcm").read_bytes() == held.read_bytes()
    record = json.loads((tmp_path / "journal.jsonl").read_text())
    assert record["exchange"]["request"] == {"file": "mine/0001.dcm", "sha256": "ab", "size": 138}


names = st.sampled_from("abcdef")
exchange_keys = st.dictionaries(
    st.sampled_from(["patient", "placer", "accession", "study"]), st.lists(names, max_size=2)
)


@given(
    st.lists(st.tuples(st.sampled_from(["", "mine", "theirs"]), exchange_keys), max_size=12),
    st.integers(1, 12),
)
def test_how_the_journal_is_cut_into_pulls_does_not_matter(tmp_path_factory, traffic, size):
    def found(step):
        host = Host()
        view = CaseView("mine", 1, Feed(host), Recorder(tmp_path_factory.mktemp("run")))
        for at in range(0, len(traffic), step):
            for case, keys in traffic[at : at + step]:
                host.add("X", case=case, at=str(len(host.log)), **keys)
            view.pull()
        view.recorder.close()
        return sorted(one.keys["at"][0] for one in view.exchanges)

    assert found(size) == found(max(1, len(traffic)))


def test_identities_and_queries():
    exchange = Exchange(
        1, 0, 0, "ris", "in", "hl7", "ADT^A40", keys={"patient": ["P1"], "prior": ["P2"], "control": ["M"]}
    )
    assert identities(exchange) == {("patient", "P1"), ("patient", "P2")}
    assert not is_query(exchange)
