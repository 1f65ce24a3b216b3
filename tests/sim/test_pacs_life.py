"""The life of objects in the archive, over the wire: performed steps, availability notices, rejection notes, tiers."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import pytest

from stepwedge.model.identifiers import uid
from stepwedge.sim import keyobjects
from stepwedge.sim.address import Address
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.phantoms import CT_IMAGE_STORAGE
from stepwedge.sim.simulator import Case
from stepwedge.wire import dimse_asyncio
from stepwedge.wire.dimse_asyncio import Acceptor, Provider
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, encode
from stepwedge.wire.services import MPPS, STUDY_FIND, STUDY_GET

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
IAN = "1.2.840.10008.5.1.4.33"
STEP = uid("tests", "mpps")
STUDY = uid("tests", "study")
NOTE = keyobjects.KEY_OBJECT_SELECTION


class Hearer(Provider):
    """Takes notices; ``refuse`` statuses come first."""

    def __init__(self, *refuse):
        self.notices, self.refuse = asyncio.Queue(), list(refuse)

    async def on_create(self, peer, sop_class, sop_instance, attributes):
        if self.refuse:
            return self.refuse.pop(0)
        await self.notices.put(attributes)
        return 0


@contextlib.asynccontextmanager
async def hearing(provider, port=0):
    acceptor = Acceptor("HEARER", {IAN: (EXPLICIT_LE, IMPLICIT_LE)}, provider)
    server = await dimse_asyncio.serve("127.0.0.1", port, acceptor)
    try:
        yield server
    finally:
        await server.close()


@contextlib.asynccontextmanager
async def archive(state, port, **settings):
    others = {"ris": Address.parse({"dicom": f"dicom://HEARER@127.0.0.1:{port}"})}
    host = Host(Plan({"pacs": Part("pacs", settings)}, others), state, 7)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


@contextlib.asynccontextmanager
async def associated(host, *contexts, scp_of=()):
    door = host.directory["pacs"].dicom
    async with await dimse_asyncio.open(
        door.host, door.port, calling="TESTER", called=door.ae, contexts=contexts, timeout=5, scp_of=scp_of
    ) as association:
        yield association


async def store(host, *objects):
    classes = dict.fromkeys(one["SOPClassUID"] for one in objects)
    async with associated(host, *((each, (EXPLICIT_LE,)) for each in classes)) as association:
        return [
            (
                await association.store(
                    one["SOPClassUID"], one["SOPInstanceUID"], EXPLICIT_LE, encode(one, explicit=True)
                )
            ).status
            for one in objects
        ]


async def perform(host, images, status="COMPLETED", patient="SW12345678"):
    """Tell of a step that began, and that ended with these images."""
    begun = {
        "PatientID": patient,
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "ScheduledStepAttributesSequence": [{"StudyInstanceUID": STUDY}],
    }
    listed = [
        {"ReferencedSOPClassUID": CT_IMAGE_STORAGE, "ReferencedSOPInstanceUID": one["SOPInstanceUID"]}
        for one in images
    ]
    ended = {
        "PerformedProcedureStepStatus": status,
        "PerformedSeriesSequence": [{"ReferencedImageSequence": listed}],
    }
    async with associated(host, MPPS) as association:
        return [
            (await association.create(MPPS, STEP, begun)).status,
            (await association.set(MPPS, STEP, ended)).status,
        ]


def told(notice):
    return {
        item["ReferencedSOPInstanceUID"]: item["InstanceAvailability"]
        for series in notice["ReferencedSeriesSequence"]
        for item in series["ReferencedSOPSequence"]
    }


async def heard(provider):
    return await asyncio.wait_for(provider.notices.get(), 5)


async def counted(host):
    async with associated(host, STUDY_FIND) as association:
        keys = {"StudyInstanceUID": STUDY, "NumberOfStudyRelatedInstances": "", "InstanceAvailability": ""}
        answers = await association.find(STUDY_FIND, {"QueryRetrieveLevel": "STUDY"} | keys)
    return [(one["NumberOfStudyRelatedInstances"], one["InstanceAvailability"]) for one in answers]


def note(images, reason):
    uids = uid("tests", "notes"), uid("tests", "note", reason)
    return keyobjects.selection(reason, images[0], images, uids, AT, maker="tests")


@pytest.mark.parametrize("status", ["COMPLETED", "DISCONTINUED"])
@pytest.mark.parametrize("images_first", [True, False])
def test_a_step_is_announced_once_when_all_of_it_is_here(tmp_path, ct_image, status, images_first):
    async def talk():
        images, hearer = [ct_image(1), ct_image(2)], Hearer()
        async with hearing(hearer) as server, archive(tmp_path, server.port) as host:
            if images_first:
                await store(host, *images)
            else:
                await store(host, images[0])
            assert await perform(host, images, status) == [0, 0]
            if not images_first:
                assert hearer.notices.empty()
                await store(host, images[1])
            notice = await heard(hearer)
            await store(host, *images)
            assert told(notice) == {one["SOPInstanceUID"]: "ONLINE" for one in images}
            (step,) = notice["ReferencedPerformedProcedureStepSequence"]
            assert step["ReferencedSOPInstanceUID"] == STEP
            assert hearer.notices.empty()

    asyncio.run(talk())


def test_what_a_step_may_not_do_is_refused(tmp_path, ct_image):
    async def talk():
        async with hearing(Hearer()) as server, archive(tmp_path, server.port) as host:
            assert await perform(host, [], patient="4711") == [0x0124, 0x0112]
            assert await perform(host, [ct_image(1)]) == [0, 0]
            assert await perform(host, [ct_image(1)]) == [0x0111, 0x0110]

    asyncio.run(talk())


def test_a_notice_outlives_a_restart_of_the_archive_and_waits_for_its_hearer(tmp_path, ct_image):
    async def talk():
        images, hearer = [ct_image(1)], Hearer()
        async with hearing(hearer) as server:
            port = server.port
        async with archive(tmp_path, port) as host:
            await store(host, *images)
            await perform(host, images)
        async with hearing(hearer, port), archive(tmp_path, port):
            assert told(await heard(hearer)) == {images[0]["SOPInstanceUID"]: "ONLINE"}

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("reason", "left"),
    [("113001", [("2", "ONLINE")]), ("113037", [("1", "ONLINE")]), ("113038", [("1", "ONLINE")])],
)
@pytest.mark.parametrize("before", [True, False])
def test_a_rejected_image_is_hidden_whenever_the_note_comes(tmp_path, ct_image, reason, left, before):
    async def talk():
        images, hearer = [ct_image(1), ct_image(2)], Hearer()
        async with hearing(hearer) as server, archive(tmp_path, server.port) as host:
            objects = [note(images[:1], reason), *images] if before else [*images, note(images[:1], reason)]
            assert set(await store(host, *objects)) == {0}
            assert await counted(host) == left
            assert await store(host, images[0]) == [0]
            assert await counted(host) == left
            if not before:
                words = [told(await heard(hearer))[one["SOPInstanceUID"]] for one in images[:1]]
                assert words == ["UNAVAILABLE"]

    asyncio.run(talk())


def test_what_expired_is_deleted_and_comes_back_when_it_is_sent_again(tmp_path, ct_image):
    async def talk():
        async with hearing(Hearer()) as server, archive(tmp_path, server.port) as host:
            images = [ct_image(1), ct_image(2)]
            await store(host, *images, note(images, "113039"))
            assert await counted(host) == []
            kept = [path for path in (tmp_path / "pacs" / "objects").rglob("*") if path.is_file()]
            assert len(kept) == 1  # the note
            assert await store(host, *images) == [0, 0]
            assert await counted(host) == [("2", "ONLINE")]

    asyncio.run(talk())


def test_the_site_may_refuse_what_was_rejected_and_show_poor_quality(tmp_path, ct_image):
    async def talk():
        images = [ct_image(1), ct_image(2)]
        async with hearing(Hearer()) as server:
            async with archive(tmp_path / "a", server.port, resend="refuse") as host:
                await store(host, *images, note(images[:1], "113037"))
                assert await store(host, *images) == [0xC203, 0]
            async with archive(tmp_path / "b", server.port, quality="show") as host:
                await store(host, *images, note(images[:1], "113001"))
                assert await counted(host) == [("3", "ONLINE")]

    asyncio.run(talk())


def test_nearline_is_recalled_and_offline_fails(tmp_path, ct_image):
    async def talk():
        hearer = Hearer()
        async with hearing(hearer) as server, archive(tmp_path, server.port) as host:
            await store(host, ct_image(1))
            pacs = host.simulators["pacs"]

            async def retrieved():
                contexts = (STUDY_GET, CT_IMAGE_STORAGE)
                async with associated(host, *contexts, scp_of=[CT_IMAGE_STORAGE]) as association:
                    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDY}
                    done = await association.get(STUDY_GET, keys)
                return done.status, len(done.instances)

            await pacs.act("move_study", {"study": STUDY, "tier": "offline"}, Case("t"))
            assert await counted(host) == [("1", "OFFLINE")]
            assert await retrieved() == (0xA702, 0)
            await pacs.act("move_study", {"study": STUDY, "tier": "nearline"}, Case("t"))
            assert await counted(host) == [("1", "NEARLINE")]
            assert await retrieved() == (0, 1)
            assert await counted(host) == [("1", "ONLINE")]
            words = [next(iter(told(await heard(hearer)).values())) for _ in range(3)]
            assert words == ["OFFLINE", "NEARLINE", "ONLINE"]

    asyncio.run(talk())


def test_a_note_of_another_kind_or_without_references_rejects_nothing(tmp_path, ct_image):
    async def talk():
        async with hearing(Hearer()) as server, archive(tmp_path, server.port) as host:
            empty = note([ct_image(1)], "113037") | {"CurrentRequestedProcedureEvidenceSequence": []}
            other = note([ct_image(1)], "113001") | {"SOPInstanceUID": uid("tests", "key")}
            other["ConceptNameCodeSequence"][0]["CodeValue"] = "113000"
            assert await store(host, ct_image(1), empty, other) == [0, 0, 0]
            assert await counted(host) == [("2", "ONLINE")]  # the image and the key image note

    asyncio.run(talk())
