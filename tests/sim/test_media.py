"""Images on media: what leaves is read by pydicom, what comes in is judged file by file, and both are audited and looked for."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pydicom
import pytest

from stepwedge.checks.rules.media import carried
from stepwedge.errors import BadInput
from stepwedge.evidence.exchange import Exchange
from stepwedge.sim import auditable
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.simulator import Case
from stepwedge.wire import audit
from stepwedge.wire.audit_xml import compose

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from small_case import cast

CASE = Case("tests", 7)
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@contextlib.asynccontextmanager
async def hospital(state):
    """Start scanner, archive and reader, with one study stored: host, images."""
    parts = {"ris": "ris", "pacs": "pacs", "ct": "modality", "reader": "reader"}
    host = Host(Plan({name: Part(role) for name, role in parts.items()}), state, 7, ())
    await host.start()
    try:
        patient = {"id": "SW12345678", "issuer": "STEPWEDGE", "name": "Doe^Jane"}
        mpps = await act(host, "ct", "enter_exam", patient=patient)
        images = await act(host, "ct", "acquire", mpps=mpps, images=3)
        await act(host, "ct", "store_images", images=images)
        yield host, images
    finally:
        await host.stop()


def act(host, actor, word, **args):
    return host.simulators[actor].act(word, args, CASE)


def folder_of(disc):
    return Path(urlsplit(disc["media"]).path)


def test_pydicom_reads_what_left_and_the_archive_takes_it_back(tmp_path):
    async def talk():
        async with hospital(tmp_path) as (host, images):
            disc = await act(host, "reader", "export_images", study=images["study"], numbers=[1, 3])
            files = [pydicom.dcmread(path) for path in sorted(folder_of(disc).iterdir())]
            assert [str(one.InstanceNumber) for one in files] == ["1", "3"]
            assert [one.SOPInstanceUID for one in files] == [one["sop"] for one in disc["instances"]]
            assert disc["patient"] == "SW12345678"
            await act(host, "pacs", "delete_study", study=images["study"])
            brought = await act(host, "pacs", "import_media", media=disc)
            assert (brought["stored"], brought["refused"]) == (2, [])
            assert brought["studies"] == [{"study": images["study"]}]
            again = await act(host, "pacs", "import_media", media=disc["media"])
            assert again["stored"] == 2
            held = await host.simulators["pacs"].ask("study", {"study": images["study"]})
            assert held["count"] == 2
            assert {one["sender"] for one in held["instances"]} == {"MEDIA"}
            with pytest.raises(BadInput, match="numbers"):
                await act(host, "reader", "export_images", study=images["study"], numbers=[9])

    asyncio.run(talk())


def test_what_is_no_image_or_nobody_of_ours_is_counted_and_not_taken(tmp_path):
    async def talk():
        async with hospital(tmp_path) as (host, images):
            disc = await act(host, "reader", "export_images", study=images["study"])
            first, second, third = sorted(folder_of(disc).iterdir())
            first.write_bytes(b"AUTORUN")
            foreign = pydicom.dcmread(second)
            foreign.PatientID = "REAL-4711"
            foreign.save_as(second)
            third.write_bytes(third.read_bytes()[:300])
            brought = await act(host, "pacs", "import_media", media=disc)
            assert brought["stored"] == 0
            assert [one["file"] for one in brought["refused"]] == [first.name, second.name, third.name]
            assert "DICM" in brought["refused"][0]["reason"]
            assert brought["refused"][1]["reason"].startswith("0124")

    asyncio.run(talk())


@pytest.mark.parametrize("media", ["file:///etc", "/etc", "", "http://127.0.0.1/", "file:///..", 7])
def test_nothing_outside_the_hospital_is_read(tmp_path, media):
    async def talk():
        host = Host(Plan({"pacs": Part("pacs")}), tmp_path / "state", 7, ())
        await host.start()
        try:
            with pytest.raises(BadInput, match="export_images"):
                await act(host, "pacs", "import_media", media=media)
        finally:
            await host.stop()

    asyncio.run(talk())


def done(kind, actor, number=1):
    result = {"media": "file:///disc", "study": "2.25.1", "patient": "SW1"}
    keys = {"study": ["2.25.1"], "patient": ["SW1"], "sop": ["2.25.2"]}
    return Exchange(
        number, 0.0, 0.1, actor, "out", "act", kind, "", "passed", keys, {"args": {}, "result": result}
    )


@pytest.mark.parametrize(
    ("kind", "event", "roles"),
    [
        ("export_images", "110106", [["110153", "110150"], ["110152", "110154"]]),
        ("import_media", "110107", [["110152", "110150"], ["110153", "110155"]]),
    ],
)
def test_the_record_names_process_and_medium_and_is_valid(kind, event, roles):
    seen = done(kind, "reader")
    deed = auditable.deed(seen, "reader")
    people = auditable.participants(seen, deed, "SW_READER", "")
    about = auditable.objects(seen, deed, ["SW1"], ["2.25.1"])
    message = audit.AuditMessage(audit.event(event), deed.action, NOW, 0, people, "SW_READER", about)
    assert list(audit.complaints(message)) == []
    assert [[role.value for role in one.roles] for one in people] == roles
    assert [one.requestor for one in people] == [True, False]
    assert b"110037" in compose(message)
    assert (message.ids("patient"), message.ids("study")) == (["SW1"], ["2.25.1"])


class Facts:
    """A case in a lab with a repository."""

    def __init__(self, *exchanges):
        self.exchanges = exchanges
        players = cast()
        reader = players["reader"]
        auditor = type(reader)("auditor", "auditor", simulated=True, address=reader.address)
        self.cast = type(players)({"reader": reader, "auditor": auditor})


def record(event="110106", patients=("SW1",), study="2.25.1", outcome=0):
    facts = {"event": event, "outcome": outcome, "source": None, "patients": list(patients)}
    return Exchange(
        2, 0.0, 0.0, "auditor", "in", "syslog", event, "reader", "kept", {"study": [study]}, facts
    )


def test_the_rule_is_silent_about_a_record_and_red_without_or_with_another():
    act_done = done("export_images", "reader")
    assert (carried(Facts(act_done, record())).differences, carried(Facts(act_done, record())).reached) == (
        [],
        1,
    )
    for others in (
        (),
        (record("110107"),),
        (record(patients=()),),
        (record(study="2.25.9"),),
        (record(outcome=4),),
    ):
        (difference,) = carried(Facts(act_done, *others)).differences
        assert "110106 Export of study 2.25.1" in str(difference)
    assert len(carried(Facts(act_done, done("export_images", "reader", 3), record())).differences) == 1
    assert carried(Facts()).reached == 0
