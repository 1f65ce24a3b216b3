"""What the archive does ahead, over the wire: routes, priors, retention with legal holds, and storage commitment that waits."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stepwedge.errors import BadInput
from stepwedge.model.identifiers import uid
from stepwedge.model.patient import Patient, PersonName
from stepwedge.sim import keyobjects
from stepwedge.sim.address import Address
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.messages import Envelope, patient_message
from stepwedge.sim.phantoms import CT_IMAGE_STORAGE
from stepwedge.sim.simulator import Case
from stepwedge.wire import dimse_asyncio, mllp_asyncio, part10
from stepwedge.wire.dimse_asyncio import Acceptor, Provider
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode
from stepwedge.wire.hl7 import parse
from stepwedge.wire.results import Instance
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE, VERIFICATION

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
STUDY = uid("tests", "study")
PATIENT = Patient("SW12345678", PersonName("MÜLLER", "Jörg"), "19700101", "M")
DAYS_KEPT = 3650


class Shelf(Provider):
    """Takes objects; ``refuse`` statuses come first."""

    def __init__(self, *refuse):
        self.came, self.refuse = asyncio.Queue(), list(refuse)

    async def on_store(self, peer, sop_class, sop_instance, transfer_syntax, data):
        if self.refuse:
            return self.refuse.pop(0)
        await self.came.put((sop_instance, decode(data, explicit=transfer_syntax != IMPLICIT_LE)))
        return 0


@contextlib.asynccontextmanager
async def shelf(provider, port=0):
    acceptor = Acceptor("SHELF", {CT_IMAGE_STORAGE: (EXPLICIT_LE, IMPLICIT_LE)}, provider)
    server = await dimse_asyncio.serve("127.0.0.1", port, acceptor)
    try:
        yield server
    finally:
        await server.close()


@contextlib.asynccontextmanager
async def archive(state, port=1, **settings):
    others = {
        "room": Address.parse({"dicom": f"dicom://SHELF@127.0.0.1:{port}"}),
        "scanner": Address.parse({"dicom": "dicom://SCANNER@127.0.0.1:1"}),
    }
    host = Host(Plan({"pacs": Part("pacs", settings)}, others), state, 7)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


@contextlib.asynccontextmanager
async def associated(host, *contexts, calling="SCANNER"):
    door = host.directory["pacs"].dicom
    async with await dimse_asyncio.open(
        door.host, door.port, calling=calling, called=door.ae, contexts=contexts, timeout=5
    ) as association:
        yield association


async def store(host, *images, calling="SCANNER"):
    async with associated(host, (CT_IMAGE_STORAGE, (EXPLICIT_LE,)), calling=calling) as association:
        return [
            (
                await association.store(
                    CT_IMAGE_STORAGE, one["SOPInstanceUID"], EXPLICIT_LE, encode(one, explicit=True)
                )
            ).status
            for one in images
        ]


async def tell(host, event, patient=PATIENT, **more):
    door = host.directory["pacs"].hl7
    envelope = Envelope("SW_EHR", "SW_PACS", uid("tests", event, patient.id)[-16:], AT, "2.5.1")
    client = mllp_asyncio.Client(door.host, door.port)
    try:
        return parse(await client.ask(patient_message(event, patient, envelope, **more), 5))["MSA-1"]
    finally:
        await client.close()


async def act(host, word, **args):
    return await host.simulators["pacs"].act(word, args, Case("t", 1))


async def came(provider):
    return await asyncio.wait_for(provider.came.get(), 5)


ARRIVAL = [{"to": "room", "when": "arrived", "count": 1}]


def test_what_a_rule_takes_goes_on_once_and_what_the_destination_has_no_room_for_is_tried_again(
    tmp_path, ct_image
):
    async def talk():
        provider = Shelf(0xA700)
        rules = [{"to": "room", "modality": "CT", "body_part": ["CHEST", "HEAD"]}, {"to": ["room"]}]
        async with shelf(provider) as server, archive(tmp_path, server.port, routes=rules) as host:
            assert await store(host, ct_image(1)) == [0]
            assert await store(host, ct_image(1)) == [0]
            sop, header = await came(provider)
            assert sop == ct_image(1)["SOPInstanceUID"]
            assert header["PatientID"] == PATIENT.id
            await asyncio.sleep(0.1)
            assert provider.came.empty()
            (row,) = await host.simulators["pacs"].ask("routed", {})
            assert (row["status"], row["why"]) == ("sent", "route")

    asyncio.run(talk())


def test_nothing_goes_back_to_whom_it_came_from(tmp_path, ct_image):
    async def talk():
        provider = Shelf()
        async with (
            shelf(provider) as server,
            archive(tmp_path, server.port, routes=[{"to": "room"}]) as host,
        ):
            await store(host, ct_image(1), calling="SHELF")
            await store(host, ct_image(2))
            assert (await came(provider))[0] == ct_image(2)["SOPInstanceUID"]
            assert provider.came.empty()

    asyncio.run(talk())


def test_what_was_on_its_way_arrives_after_a_restart_and_an_unknown_destination_is_parked(tmp_path, ct_image):
    async def talk():
        provider, rules = Shelf(), [{"to": "nobody"}, {"to": "room"}]
        async with shelf(provider) as server:
            port = server.port
        async with archive(tmp_path, port, routes=rules) as host:
            assert await store(host, ct_image(1)) == [0]
        async with shelf(provider, port), archive(tmp_path, port, routes=rules) as host:
            assert (await came(provider))[0] == ct_image(1)["SOPInstanceUID"]
            assert [one["to"] for one in host.simulators["pacs"].bench.outbox.parked()] == ["nobody"]

    asyncio.run(talk())


def test_priors_come_with_the_patient_the_newest_first_and_never_twice(tmp_path, ct_image):
    async def talk():
        provider = Shelf()
        old = ct_image(1, StudyInstanceUID="2.25.1", StudyDate="20200101")
        new = ct_image(2, StudyInstanceUID="2.25.2", StudyDate="20250101")
        other = ct_image(3, StudyInstanceUID="2.25.3", PatientID="SW00000001")
        async with shelf(provider) as server, archive(tmp_path, server.port, prefetch=ARRIVAL) as host:
            await store(host, old, new, other)
            assert await tell(host, "A08") == "AA"
            assert provider.came.empty()
            assert await tell(host, "A04") == "AA"
            assert await tell(host, "A01") == "AA"
            assert (await came(provider))[0] == new["SOPInstanceUID"]
            await asyncio.sleep(0.1)
            assert provider.came.empty()

    asyncio.run(talk())


def test_a_withdrawn_prior_stays_where_it_is(tmp_path, ct_image):
    async def talk():
        provider = Shelf()
        async with shelf(provider) as server, archive(tmp_path, server.port, prefetch=ARRIVAL) as host:
            await store(host, ct_image(1))
            await act(host, "delete_study", study=STUDY)
            assert await tell(host, "A04") == "AA"
            await asyncio.sleep(0.1)
            assert provider.came.empty()

    asyncio.run(talk())


TERMS = [
    {"modality": "MR", "days": 1},
    {"modality": "CT", "days": DAYS_KEPT, "keep_if": {"body_part": "HEAD"}},
]


@pytest.mark.parametrize(
    ("changes", "days", "hold", "gone"),
    [
        ({}, DAYS_KEPT + 1, False, 1),
        ({}, DAYS_KEPT, False, 0),
        ({}, DAYS_KEPT + 1, True, 0),
        ({"BodyPartExamined": "HEAD"}, 9999, False, 0),
        ({"Modality": "US"}, 9999, False, 0),
        ({"StudyDate": ""}, 9999, False, 0),
    ],
)
def test_what_was_kept_long_enough_is_deleted_and_nothing_else(tmp_path, ct_image, changes, days, hold, gone):
    async def talk():
        today = datetime.now(UTC).astimezone()
        image = ct_image(1, **({"StudyDate": f"{today:%Y%m%d}"} | changes))
        async with archive(tmp_path, retention=TERMS) as host:
            await store(host, image)
            await act(host, "hold_study", study=STUDY, hold=hold)
            done = await act(host, "apply_retention", days=days)
            assert done["count"] == gone
            removal = await host.simulators["pacs"].ask("removal", {"study": STUDY})
            assert bool(removal) is bool(gone)
            if hold:
                with pytest.raises(BadInput, match="legal hold"):
                    await act(host, "delete_study", study=STUDY)
            if gone:
                assert (removal["reason"], removal["count"]) == ("Data Retention Policy Expired", 1)
                assert (await act(host, "apply_retention", days=days))["count"] == 0

    asyncio.run(talk())


def test_a_legal_hold_outranks_a_note_of_somebody_else(tmp_path, ct_image):
    async def talk():
        async with archive(tmp_path) as host:
            await store(host, ct_image(1))
            await act(host, "hold_study", study=STUDY)
            uids = uid("tests", "notes"), uid("tests", "note")
            note = keyobjects.selection("113039", ct_image(1), [ct_image(1)], uids, AT, maker="tests")
            kind = note["SOPClassUID"]
            async with associated(host, (kind, (EXPLICIT_LE,))) as association:
                done = await association.store(kind, uids[1], EXPLICIT_LE, encode(note, explicit=True))
            assert done.status == 0
            told = await host.simulators["pacs"].ask("availability", {"study": STUDY})
            assert told[ct_image(1)["SOPInstanceUID"]] == "UNAVAILABLE"  # kept, and out of sight
            assert await host.simulators["pacs"].ask("removal", {"study": STUDY}) is None

    asyncio.run(talk())


@pytest.mark.peer
def test_the_note_by_which_a_study_goes_is_a_valid_object(tmp_path, ct_image):
    async def talk():
        async with archive(tmp_path / "state", retention=[{"days": 0}]) as host:
            await store(host, ct_image(1), ct_image(2))
            assert (await act(host, "apply_retention", days=9999))["studies"] == [
                {"study": STUDY, "objects": 2}
            ]
        (note,) = [one for one in (tmp_path / "state" / "pacs" / "objects").rglob("*") if one.is_file()]
        return note.read_bytes()

    data = asyncio.run(talk())
    header = decode(data, explicit=True)
    file = tmp_path / "note.dcm"
    file.write_bytes(
        part10.write(Instance(header["SOPClassUID"], header["SOPInstanceUID"], EXPLICIT_LE, data))
    )
    validator = Path(sys.executable).parent / "dciodvfy"
    if not validator.exists():
        pytest.skip("dciodvfy is not installed (extra 'conformance')")
    said = subprocess.run([str(validator), str(file)], capture_output=True, text=True, check=False).stderr
    assert "Error" not in said, said
    assert header["ConceptNameCodeSequence"][0]["CodeValue"] == "113039"


def test_an_unmerge_is_answered_and_changes_nothing(tmp_path, ct_image):
    """ADT^A37 is not offered: AR 201, and the merge stands (README, Merge)."""

    async def talk():
        survivor = Patient("SW00000002", PersonName("MÜLLER", "Jörg"), "19700101", "M")
        async with archive(tmp_path) as host:
            await store(host, ct_image(1))
            assert await tell(host, "A40", survivor, prior=PATIENT.id) == "AA"
            door = host.directory["pacs"].hl7
            envelope = Envelope("SW_EHR", "SW_PACS", "UNLINK", AT, "2.5.1")
            raw = patient_message("A40", survivor, envelope, prior=PATIENT.id).replace(b"A40", b"A37")
            client = mllp_asyncio.Client(door.host, door.port)
            reply = parse(await client.ask(raw, 5))
            await client.close()
            assert (reply["MSA-1"], reply["ERR-3.1"]) == ("AR", "201")
            study = await host.simulators["pacs"].ask("study", {"study": STUDY})
            assert study["patient"]["id"] == survivor.id

    asyncio.run(talk())


def requested(*sops):
    return {
        "TransactionUID": "1.2.3",
        "ReferencedSOPSequence": [
            {"ReferencedSOPClassUID": CT_IMAGE_STORAGE, "ReferencedSOPInstanceUID": sop} for sop in sops
        ],
    }


def test_a_result_waits_for_the_next_association_over_a_restart_and_comes_once(tmp_path, ct_image):
    async def talk():
        async with archive(tmp_path, commitment="next") as host:
            await store(host, ct_image(1))
            asked = requested(ct_image(1)["SOPInstanceUID"], "9.9")
            async with associated(host, COMMITMENT) as association:
                assert (await association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, asked)).status == 0
        async with archive(tmp_path, commitment="next") as host:
            async with associated(host, VERIFICATION) as association:  # not negotiated here, so not told
                await association.echo()
            async with associated(host, COMMITMENT, VERIFICATION, calling="SHELF") as association:
                await association.echo()  # nor to somebody else
            for _ in range(2):
                row = await host.simulators["pacs"].ask("commitment", {"transaction": "1.2.3"})
                async with associated(host, COMMITMENT, VERIFICATION) as association:
                    await association.echo()
                    if not row["reported"]:
                        event = await association.next_event(5)
            assert row["reported"] == "next"
            assert event.type == 2
            (failed,) = event.attributes["FailedSOPSequence"]
            assert (failed["ReferencedSOPInstanceUID"], failed["FailureReason"]) == ("9.9", 0x0112)

    asyncio.run(talk())


@pytest.mark.parametrize(
    "settings",
    [
        {"routes": {"to": "room"}},
        {"routes": [{"modality": "CT"}]},
        {"routes": [{"to": "room", "colour": "red"}]},
        {"prefetch": [{"to": "room", "when": "later"}]},
        {"prefetch": [{"to": "room", "count": 0}]},
        {"retention": [{"modality": "CT"}]},
        {"retention": [{"days": -1}]},
        {"retention": [{"days": 1, "keep_if": "always"}]},
        {"commitment": "maybe"},
        {"event_pause": -1},
        {"reading_tasks": "yes"},
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, settings):
    async def talk():
        async with archive(tmp_path, **settings):
            pytest.fail("it started")

    with pytest.raises(BadInput):
        asyncio.run(talk())
