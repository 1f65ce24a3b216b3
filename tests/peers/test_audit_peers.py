"""The audit trail with software we did not write: rsyslog takes ours, logger sends to us, xmllint and FHIR models judge it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from fhir.resources.R4B.bundle import Bundle

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim.address import Address
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.wire import syslog
from stepwedge.wire.audit_xml import parse
from stepwedge.wire.hl7 import compose, header
from stepwedge.wire.mllp_asyncio import Client

pytestmark = pytest.mark.peer

ROOT = Path(__file__).parents[2]
SCHEMA = Path(__file__).with_name("audit-message.rng")
AUDITED = (
    "<AuditMessage><EventIdentification EventActionCode='E' EventDateTime='2026-11-24T09:30:00Z' EventOutcomeIndicator='0'>"
    "<EventID csd-code='110100' codeSystemName='DCM' originalText='Application Activity'/>"
    "<EventTypeCode csd-code='110120' codeSystemName='DCM' originalText='Application Start'/></EventIdentification>"
    "<ActiveParticipant UserID='theirs{0}' UserIsRequestor='false'>"
    "<RoleIDCode csd-code='110150' codeSystemName='DCM' originalText='Application'/></ActiveParticipant>"
    "<AuditSourceIdentification AuditSourceID='THEIRS'/></AuditMessage>"
)
RSYSLOG = """
$WorkDirectory {folder}
global(maxMessageSize="256k" defaultNetstreamDriverCAFile="{papers}/ca.pem"
  defaultNetstreamDriverCertFile="{papers}/pacs.pem" defaultNetstreamDriverKeyFile="{papers}/pacs.key")
module(load="imudp") module(load="{tcp}" {mode})
template(name="raw" type="list") {{ property(name="rawmsg") constant(value="\\n") }}
template(name="msg" type="string"
  string="%app-name% %msgid% %syslogfacility% %syslogseverity% %structured-data%|%msg%\\n")
ruleset(name="keep") {{ action(type="omfile" file="{folder}/raw" template="raw")
  action(type="omfile" file="{folder}/msg" template="msg") }}
input(type="imudp" address="127.0.0.1" port="{port}" ruleset="keep")
input(type="{tcp}" address="127.0.0.1" port="{port}" ruleset="keep")
"""


@pytest.fixture
def rsyslog(program, papers, free_port, tmp_path):
    """Start rsyslogd on UDP and TCP, or on TLS: ``port, folder = rsyslog(tls=True)``."""
    started = []

    def start(*, tls=False):
        folder = tmp_path / "rsyslog"
        folder.mkdir()
        port = free_port()
        driver = 'streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid"'
        text = RSYSLOG.format(
            folder=folder, papers=papers, port=port, tcp="imtcp", mode=driver if tls else ""
        )
        if tls:
            text = text.replace('input(type="imudp" ', "# ").replace('module(load="imudp") ', "")
        (folder / "rsyslog.conf").write_text(text)
        command = [
            program("rsyslogd"),
            *("-n", "-f", folder / "rsyslog.conf", "-i", folder / "pid"),
        ]
        with (folder / "log").open("wb") as log:
            started.append(subprocess.Popen([*map(str, command)], stdout=log, stderr=log))
        return port, folder

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


async def admitted(endpoint, number, **tls):
    head = header("ADT^A04", control=f"P{number}", now=datetime.now().astimezone())
    message = compose(
        [head, ("PID", {3: [f"SW{number:06}", "", "", "STEPWEDGE"], 5: ["Kanarienvogel", "Jane"]})]
    )
    client = Client(endpoint.host, endpoint.port, **tls)
    try:
        assert b"MSA|AA" in await client.ask(message, 10)
    finally:
        await client.close()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_rsyslog_takes_the_trail_of_a_system(rsyslog, papers, tmp_path, transport):
    """Start, admission and stop of a RIS arrive whole, with facility, MSGID and number; a patient's name nowhere."""
    port, folder = rsyslog(tls=transport == "tls")
    settings = {"tls": {"folder": str(papers)}} if transport == "tls" else {}
    there = {"them": Address.parse({"syslog": f"{transport}://127.0.0.1:{port}"}, "test")}
    settings["audit"] = {"transport": transport}

    async def main():
        host = Host(Plan({"ris": Part("ris", settings)}, there), tmp_path / "state", 7)
        await asyncio.to_thread(until, (folder / "pid").exists)
        await host.start()
        try:
            security = host.simulators["ris"].bench.security
            await admitted(host.directory["ris"].hl7, 1, context=security.context(tls=security.tls))
            await asyncio.to_thread(
                until, lambda: (folder / "raw").exists() and b"110110" in (folder / "raw").read_bytes()
            )
        finally:
            await host.stop()

    asyncio.run(main())
    until(lambda: "110121" in (folder / "msg").read_text())  # Application Stop
    lines = (folder / "msg").read_text().splitlines()
    heads, documents = zip(*(line.split("|", 1) for line in lines), strict=True)
    assert {tuple(head.split()[:2]) for head in heads} == {("SW_RIS", "IHE+RFC-3881")}
    assert {head.split()[2] for head in heads} == {"10"}
    assert [head.partition("sequenceId=")[2] for head in heads] == [
        f'"{n}"]' for n in range(1, len(heads) + 1)
    ]
    told = [parse(document.lstrip("\ufeff").encode()) for document in documents]
    assert [one.event.value for one in told] == ["110100", "110108", "110110", "110108", "110100"]
    assert not any("Kanarienvogel" in document for document in documents)


def test_every_system_tells_rsyslog_of_its_start(rsyslog, tmp_path):
    port, folder = rsyslog()
    roles = ("ehr", "ris", "pacs", "modality", "reader", "engine", "mpi", "router", "idp")
    there = {"them": Address.parse({"syslog": f"tcp://127.0.0.1:{port}"}, "test")}

    async def main():
        host = Host(Plan({role: Part(role) for role in roles}, there), tmp_path / "state", 7)
        await asyncio.to_thread(until, (folder / "pid").exists)
        await host.start()
        await host.stop()

    asyncio.run(main())
    until(lambda: (folder / "msg").exists() and (folder / "msg").read_text().count("110121") == len(roles))
    lines = [line.split("|", 1) for line in (folder / "msg").read_text().splitlines()]
    for role in roles:
        told = [parse(text.encode()) for head, text in lines if head.startswith(f"SW_{role.upper()} ")]
        assert [one.event.value for one in told] == ["110100", "110108", "110108", "110100"], role


@pytest.fixture
def repository(tmp_path):
    """Start an audit record repository: ``async with repository(**settings) as (host, address)``."""

    @contextlib.asynccontextmanager
    async def start(**settings):
        host = Host(Plan({"auditor": Part("auditor", settings)}), tmp_path / "repository", 7)
        await host.start()
        try:
            yield host, host.directory["auditor"]
        finally:
            await host.stop()

    return start


async def records(host, count):
    """Wait for so many records besides those of the repository itself."""
    async with asyncio.timeout(20):
        while True:
            found = [
                one for one in host.simulators["auditor"].state.records.values() if one.transport != "self"
            ]
            if len(found) >= count:
                return found
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("way", ["--udp", "--tcp"])
def test_logger_feeds_the_repository(program, call, repository, way):
    """util-linux's logger, RFC 5424, by datagrams and by octet counting; a line that is no audit message is noted."""
    logger = program("logger")

    async def main():
        async with repository() as (host, address):
            point = address.syslog
            common = (logger, "--rfc5424", "-n", point.host, "-P", point.port, way, "-p", "authpriv.notice")
            common += ("--octet-count",) if way == "--tcp" else ()
            for number in range(3):
                options = ("--msgid", "IHE+RFC-3881", "-t", "theirs", "-S", "32KiB")
                assert await call(*common, *options, AUDITED.format(number)) == (0, "")
            assert await call(*common, "just a line") == (0, "")
            return await records(host, 4), host.journal.after(0)

    kept, _ = asyncio.run(main())
    good = [one for one in kept if one.event]
    assert [(one.event, one.users, one.application) for one in good] == [
        ("110100", (f"theirs{number}",), "theirs") for number in range(3)
    ]
    assert not any(one.problems for one in good)
    assert {one.transport for one in good} == {way[2:]}
    (line,) = [one for one in kept if not one.event]
    assert line.problems
    assert line.raw == b""


def test_tshark_reads_our_syslog(program, papers, tmp_path):
    """The dissector reads priority, application and MSGID of a datagram as we wrote them."""
    tshark = program("tshark")
    raw = syslog.compose(
        syslog.Syslog(
            AUDITED.format(1).encode(),
            kind="IHE+RFC-3881",
            host="here",
            application="SW_RIS",
            process="7",
            data={"meta": {"sequenceId": "1"}},
        )
    )
    dump = tmp_path / "dump.txt"
    dump.write_text("".join(f"{at:06x} {raw[at : at + 16].hex(' ')}\n" for at in range(0, len(raw), 16)))
    capture = tmp_path / "one.pcap"
    subprocess.run(
        [program("text2pcap"), "-q", "-u", "40000,514", dump, capture], check=True, capture_output=True
    )
    fields = [
        part
        for name in ("syslog.facility", "syslog.level", "syslog.appname", "syslog.msgid", "_ws.malformed")
        for part in ("-e", name)
    ]
    done = subprocess.run(
        [tshark, "-r", capture, "-T", "json", *fields], check=True, capture_output=True, text=True, timeout=60
    )
    (packet,) = json.loads(done.stdout)
    layers = packet["_source"]["layers"]
    assert layers.pop("syslog.msgid")[0].split()[0] == "IHE+RFC-3881"
    assert layers == {"syslog.facility": ["10"], "syslog.level": ["5"], "syslog.appname": ["SW_RIS"]}


def test_tls_streams_of_a_foreign_sender_reach_the_repository(program, repository, papers):
    """OpenSSL's s_client carries octet-counted messages; without a certificate nothing arrives, and that is recorded."""
    openssl = program("openssl")

    async def dialled(port, options, said):
        command = (openssl, "s_client", "-quiet", "-connect", f"127.0.0.1:{port}", *map(str, options))
        process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        process.stdin.write(said)
        await process.stdin.drain()
        return process

    async def main():
        async with repository(tls={"folder": str(papers)}) as (host, address):
            raw = syslog.compose(
                syslog.Syslog(
                    AUDITED.format(1).encode(), kind="IHE+RFC-3881", host="here", application="theirs"
                )
            )
            own = (
                "-cert",
                papers / "probe.pem",
                "-cert_chain",
                papers / "probe.pem",
                "-key",
                papers / "probe.key",
            )
            first = await dialled(address.syslog.port, own, syslog.frame(raw) * 2)
            kept = await records(host, 2)
            second = await dialled(address.syslog.port, (), syslog.frame(raw))
            await asyncio.wait_for(second.wait(), 20)
            first.kill()
            await first.wait()
            return kept, [
                one for one in host.simulators["auditor"].state.records.values() if one.event == "110113"
            ]

    kept, alerts = asyncio.run(main())
    assert [(one.transport, one.users) for one in kept] == [("tls", ("theirs1",))] * 2
    assert len(alerts) == 1


def test_every_message_of_a_hospital_is_valid_and_a_fhir_resource(program, tmp_path):
    """Each message of whole cases is valid by the standard's schema and, searched for, an AuditEvent by FHIR's models."""
    xmllint = program("xmllint")
    folder = tmp_path / "run"
    chosen = "audit-trail or audit-of-failures or refused-node"
    command = (
        sys.executable,
        "-m",
        "stepwedge",
        "run",
        "-q",
        "--lab",
        "fixtures/labs/secure.yaml",
        "--seed",
        "7",
    )
    done = subprocess.run(
        [*command, "--evidence", str(folder), "-k", chosen],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout

    async def main():
        host = Host(Plan({"auditor": Part("auditor")}), folder / "state", 7)
        await host.start()
        try:
            kept = [one for one in host.simulators["auditor"].state.records.values() if one.raw]
            async with httpx.AsyncClient(base_url=host.directory["auditor"].web) as web:
                answers = [
                    await web.get("/AuditEvent", params={"_count": 1000, "date": "ge2020", **further})
                    for further in (
                        {},
                        {"patient": next(one.patients[0] for one in kept if one.patients)},
                        {"agent": "SW_CT1"},
                    )
                ]
            return kept, [json.loads(answer.content) for answer in answers]
        finally:
            await host.stop()

    kept, bundles = asyncio.run(main())
    files = []
    for record in kept:
        files.append(tmp_path / f"{record.number}.xml")
        files[-1].write_bytes(record.raw)
    judged = subprocess.run(
        [xmllint, "--noout", "--relaxng", SCHEMA, *files], capture_output=True, text=True, check=False
    )
    assert judged.returncode == 0, judged.stderr[-2000:]
    assert not [record.problems for record in kept if record.problems]
    events = {record.event for record in kept}
    assert events >= {
        "110100",
        "110102",
        "110103",
        "110104",
        "110108",
        "110109",
        "110110",
        "110111",
        "110112",
    }
    assert "110113" in events
    for bundle in bundles:
        assert len(Bundle.model_validate(bundle).entry) == bundle["total"] > 0
    for entry in bundles[0]["entry"]:
        AuditEvent.model_validate(entry["resource"])
    assert len(bundles[0]["entry"]) == min(len(kept), 1000)
    asked_for = [
        agent["who"]["identifier"]["value"]
        for entry in bundles[2]["entry"]
        for agent in entry["resource"]["agent"]
    ]
    assert asked_for.count("SW_CT1") >= bundles[2]["total"]


def test_a_wrong_message_is_wrong_for_both(program, tmp_path):
    """What our own table of the schema complains of, the transcribed schema refuses too."""
    xmllint = program("xmllint")
    good = AUDITED.format(1)
    wrong = {
        "EventOutcomeIndicator='0'": "EventOutcomeIndicator='1'",
        "EventActionCode='E'": "EventActionCode='X'",
        "2026-11-24T09:30:00Z": "today",
        " UserID='theirs1'": "",
        "UserIsRequestor='false'": "UserIsRequestor='no'",
        "<AuditSourceIdentification AuditSourceID='THEIRS'/>": "",
        "csd-code='110100' ": "",
    }
    for old, new in {"\0": "", **wrong}.items():
        file = tmp_path / "one.xml"
        file.write_text(good.replace(old, new))
        done = subprocess.run(
            [xmllint, "--noout", "--relaxng", SCHEMA, file], capture_output=True, check=False
        )
        try:
            parse(file.read_bytes())
            ours = True
        except RemoteProtocolError:
            ours = False
        assert ours is (done.returncode == 0) is (old == "\0"), old
