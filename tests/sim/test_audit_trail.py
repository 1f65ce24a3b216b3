"""Which acts a system tells an audit record repository, and how the repository takes what it is told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from stepwedge.evidence.exchange import Exchange, Payload
from stepwedge.sim import auditable
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.wire import audit, pki, syslog
from stepwedge.wire.audit_xml import parse
from stepwedge.wire.dimse_asyncio import open as associate
from stepwedge.wire.hl7 import compose, header
from stepwedge.wire.mllp_asyncio import Client
from stepwedge.wire.services import VERIFICATION
from stepwedge.wire.syslog_asyncio import Sender


def exchange(protocol, kind, outcome, *, direction="in", facts=None, keys=None, request=b""):
    return Exchange(
        1,
        100.0,
        0.1,
        "pacs",
        direction,
        protocol,
        kind,
        "SW_CT1",
        outcome,
        keys or {},
        facts or {},
        Payload.of(request),
        Payload.of(b""),
        "",
    )


def order(control):
    head = header("ORM^O01", control="1", now=datetime.now(UTC), version="2.3.1")
    return compose([head, ("ORC", {1: control})])


DEEDS = {
    "an image stored": (exchange("dimse", "C-STORE", "0000"), "110104", "C"),
    "an image sent": (exchange("dimse", "C-STORE", "0000", direction="out"), "110104", "R"),
    "a query": (exchange("dimse", "C-FIND", "0000"), "110112", "E"),
    "a query by QIDO-RS": (exchange("web", "GET /studies", "200"), "110112", "E"),
    "a question to the patient index": (exchange("hl7", "QBP^Q23", "AA"), "110112", "E"),
    "a search in the patient index": (exchange("hl7", "QBP^Q22", "AA"), "110112", "E"),
    "a retrieval begun": (exchange("dimse", "C-MOVE", "0000"), "110102", "E"),
    "a retrieval by WADO-RS": (exchange("web", "GET /studies/1.2", "200"), "110104", "R"),
    "images stored by STOW-RS": (exchange("web", "POST /studies", "200"), "110104", "C"),
    "a performed step begun": (exchange("dimse", "N-CREATE", "0000"), "110111", "C"),
    "a performed step ended": (exchange("dimse", "N-SET", "0000"), "110111", "U"),
    "a patient registered": (exchange("hl7", "ADT^A04", "AA"), "110110", "C"),
    "patients merged": (exchange("hl7", "ADT^A40", "AA"), "110110", "U"),
    "an order": (exchange("hl7", "ORM^O01", "AA", request=order("NW")), "110109", "C"),
    "an order cancelled": (exchange("hl7", "ORM^O01", "AA", request=order("CA")), "110109", "D"),
    "a report": (exchange("hl7", "ORU^R01", "AA"), "110111", "U"),
    "a node refused in TLS": (
        exchange("hl7", "TLS", "refused", facts={"security": "unknown ca"}),
        "110113",
        "E",
    ),
    "a node on no list": (
        exchange("dimse", "A-ASSOCIATE", "refused", facts={"security": "x"}),
        "110113",
        "E",
    ),
    "a server we refused": (exchange("web", "GET /studies", "refused", direction="out"), "110113", "E"),
    "a study deleted": (exchange("act", "delete_study", "passed"), "110105", "D"),
    "studies that were kept long enough": (
        exchange("act", "apply_retention", "passed", facts={"result": {"count": 1}}),
        "110105",
        "D",
    ),
    "all images of a scanner deleted": (
        exchange("act", "delete_images", "passed", facts={"result": {"deleted": 3, "kept": 0}}),
        "110105",
        "D",
    ),
    "some images of a scanner deleted": (
        exchange("act", "delete_images", "passed", facts={"result": {"deleted": 1, "kept": 2}}),
        "110103",
        "D",
    ),
}


@pytest.mark.parametrize("what", DEEDS)
def test_what_is_auditable(what):
    seen, event, action = DEEDS[what]
    deed = auditable.deed(seen)
    assert deed is not None
    assert (deed.event, deed.action) == (event, action)
    assert action in audit.EVENTS[event].actions


@pytest.mark.parametrize(
    "seen",
    [
        exchange("dimse", "C-ECHO", "0000"),
        exchange("dimse", "C-STORE", "lost"),
        exchange("hl7", "ADT^A04", "timeout"),
        exchange("act", "delete_images", "passed", facts={"result": {"deleted": 0, "kept": 2}}),
        exchange("act", "retrieve", "passed"),
        exchange("act", "acquire", "passed"),
    ],
)
def test_what_is_not(seen):
    assert auditable.deed(seen) is None


def test_a_reader_opens_images():
    assert auditable.deed(exchange("act", "retrieve", "passed"), "reader").event == "110103"


@pytest.fixture
def hospital(tmp_path):
    """Start systems with a repository; give all records when the block is left: ``await told(work, **settings)``."""
    folder = tmp_path / "pki"
    pki.make(folder, ["pacs", "auditor", "probe"])

    async def told(work, **settings):
        tls = {"folder": str(folder)}
        parts = {"pacs": Part("pacs", {"tls": tls, **settings}), "auditor": Part("auditor", {"tls": tls})}
        host = Host(Plan(parts), tmp_path / "state", 7)
        await host.start()
        try:
            await work(host, host.simulators["pacs"].bench)
            await host.simulators["pacs"].bench.outbox.drained("auditor", 10)
        finally:
            await host.stop()
        host = Host(Plan({"auditor": Part("auditor")}), tmp_path / "state", 7)
        await host.start()
        records = list(host.simulators["auditor"].state.records.values())
        verdict = host.simulators["auditor"].state.verify()
        await host.stop()
        assert not verdict.reason
        assert not [one.problems for one in records if one.problems]
        return records

    return told


def test_a_system_tells_of_its_start_its_network_and_its_end_over_tls(hospital):
    async def nothing(host, bench):
        del host, bench

    records = asyncio.run(hospital(nothing))
    ours = [(one.event, one.types, one.transport) for one in records if one.source == "SW_PACS"]
    assert ours == [
        ("110100", ("110120",), "tls"),
        ("110108", ("110124",), "tls"),
        ("110108", ("110125",), "tls"),
        ("110100", ("110121",), "tls"),
    ]
    own = [(one.event, one.types, one.transport) for one in records if one.source == "SW_AUDITOR"]
    assert own == [
        ("110100", ("110120",), "self"),
        ("110100", ("110121",), "self"),
        ("110100", ("110120",), "self"),
    ]


def test_refused_nodes_are_told_with_name_and_reason(hospital):
    async def knock(host, bench):
        entity, endpoint = host.directory["pacs"].dicom, host.directory["pacs"].hl7
        context = bench.security.context(tls=True)
        with pytest.raises(Exception, match="calling AE title"):
            await associate(
                entity.host,
                entity.port,
                calling="SW_LAPTOP",
                called=entity.ae,
                contexts=[VERIFICATION],
                timeout=10,
                context=context,
            )
        client = Client(endpoint.host, endpoint.port, context=context)
        head = header("ADT^A04", control="1", now=bench.clock.now(), sender=("LAPTOP", "X"))
        assert b"MSA|AR" in await client.ask(compose([head, ("PID", {3: ["SW1"]})]), 10)
        await client.close()

    nodes = {"ae_titles": ["SW_CT1"], "applications": ["SW_RIS"]}
    records = asyncio.run(hospital(knock, nodes=nodes))
    alerts = [one for one in records if one.event == "110113"]
    assert [(one.types, one.action, one.outcome) for one in alerts] == [(("110126",), "E", 4)] * 2
    assert "SW_LAPTOP" in alerts[0].users
    assert "AE title SW_LAPTOP is not a known node" in alerts[0].raw.decode()
    assert "application LAPTOP is not a known node" in alerts[1].raw.decode()
    message = parse(alerts[0].raw)
    assert [one.id_kind.value for one in message.objects] == ["110182"]


DOCUMENT = (
    b"<AuditMessage><EventIdentification EventActionCode='E' EventDateTime='2026-11-24T09:30:00Z' EventOutcomeIndicator='0'>"
    b"<EventID csd-code='110100' codeSystemName='DCM' originalText='Application Activity'/>"
    b"<EventTypeCode csd-code='110120' codeSystemName='DCM' originalText='Application Start'/></EventIdentification>"
    b"<ActiveParticipant UserID='theirs' UserIsRequestor='false'>"
    b"<RoleIDCode csd-code='110150' codeSystemName='DCM' originalText='Application'/></ActiveParticipant>"
    b"<AuditSourceIdentification AuditSourceID='THEIRS'/></AuditMessage>"
)


def test_only_a_numbered_message_can_be_a_repetition(tmp_path):
    """Two equal events of a sender that numbers nothing are two; the same number again is the same event."""

    async def main():
        host = Host(Plan({"auditor": Part("auditor")}), tmp_path / "state", 7)
        await host.start()
        point, state = host.directory["auditor"].syslog, host.simulators["auditor"].state
        sender = Sender(point.host, point.port)
        try:
            for data in (
                {},
                {},
                {"meta": {"sequenceId": "1"}},
                {"meta": {"sequenceId": "1"}},
                {"meta": {"sequenceId": "2"}},
            ):
                await sender.send(
                    syslog.compose(
                        syslog.Syslog(
                            DOCUMENT, host="here", application="theirs", kind="IHE+RFC-3881", data=data
                        )
                    )
                )
            async with asyncio.timeout(10):
                while not [one for one in host.journal.after(0) if one.outcome == "repeated"]:  # noqa: ASYNC110 - the journal's state
                    await asyncio.sleep(0.01)
                while len([one for one in state.records.values() if one.transport == "tcp"]) < 4:  # noqa: ASYNC110 - the same
                    await asyncio.sleep(0.01)
            return [one.transport for one in state.records.values()].count("tcp")
        finally:
            await sender.close()
            await host.stop()

    assert asyncio.run(main()) == 4


@pytest.mark.parametrize(("known", "kept"), [(["10.0.0.0/8"], 0), (["127.0.0.1"], 2)])
def test_a_repository_listens_to_nodes_it_knows(tmp_path, known, kept):
    """A message of an unknown node is not kept; that it came is recorded, once for one node."""

    async def main():
        host = Host(Plan({"auditor": Part("auditor", {"nodes": {"hosts": known}})}), tmp_path / "state", 7)
        await host.start()
        point, state = host.directory["auditor"].syslog, host.simulators["auditor"].state
        sender = Sender(point.host, point.port)
        try:
            for _ in range(2):
                message = syslog.Syslog(DOCUMENT, host="here", application="theirs", kind="IHE+RFC-3881")
                await sender.send(syslog.compose(message))
            async with asyncio.timeout(10):
                while len(host.journal.after(0)) < 2:  # noqa: ASYNC110 - the journal's state
                    await asyncio.sleep(0.01)
            return list(state.records.values())
        finally:
            await sender.close()
            await host.stop()

    records = asyncio.run(main())
    assert [one.transport for one in records].count("tcp") == kept
    assert [one.event for one in records].count("110113") == (0 if kept else 1)
