"""The archive over the wire with our own clients: every door, honest failures, promises kept over death."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib

import pytest

from stepwedge.errors import NoAnswer, Refused
from stepwedge.model.identifiers import uid
from stepwedge.sim.address import Address
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.phantoms import CT_IMAGE_STORAGE
from stepwedge.wire import dimse_asyncio
from stepwedge.wire.dimse_asyncio import Acceptor, Provider
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode
from stepwedge.wire.services import (
    COMMITMENT,
    COMMITMENT_INSTANCE,
    PATIENT_FIND,
    STUDY_FIND,
    STUDY_GET,
    STUDY_MOVE,
    VERIFICATION,
)

SCANNER = "SW_SCANNER"
STUDY = uid("tests", "study")


class Listener(Provider):
    """A storage and commitment receiver that remembers; ``refuse`` says which instances it will not take."""

    def __init__(self, refuse=lambda number: False):
        self.stored, self.events, self.refuse = [], asyncio.Queue(), refuse

    async def on_store(self, peer, sop_class, sop_instance, transfer_syntax, data):
        elements = decode(data, explicit=transfer_syntax != IMPLICIT_LE)
        if self.refuse(int(elements["InstanceNumber"])):
            return 0xA700
        self.stored.append(elements)
        return 0

    async def on_event(self, peer, sop_class, sop_instance, event_type, information):
        await self.events.put((event_type, information))
        return 0


@contextlib.asynccontextmanager
async def listening(provider, port=0):
    accepts = dict.fromkeys((CT_IMAGE_STORAGE, COMMITMENT), (EXPLICIT_LE, IMPLICIT_LE))
    server = await dimse_asyncio.serve("127.0.0.1", port, Acceptor(SCANNER, accepts, provider))
    try:
        yield server
    finally:
        await server.close()


@contextlib.asynccontextmanager
async def archive(state, scanner_port=1, quirks=()):
    others = {"scanner": Address.parse({"dicom": f"dicom://{SCANNER}@127.0.0.1:{scanner_port}"})}
    host = Host(Plan({"pacs": Part("pacs")}, others), state, 7, quirks)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


def calling(host, *contexts, scp_of=()):
    entity = host.directory["pacs"].dicom
    return dimse_asyncio.open(
        entity.host,
        entity.port,
        calling=SCANNER,
        called=entity.ae,
        contexts=contexts,
        timeout=5,
        scp_of=scp_of,
    )


async def store(host, *images, syntax=EXPLICIT_LE):
    async with await calling(host, (CT_IMAGE_STORAGE, (syntax,))) as association:
        return [
            await association.store(
                CT_IMAGE_STORAGE, one["SOPInstanceUID"], syntax, encode(one, explicit=syntax == EXPLICIT_LE)
            )
            for one in images
        ]


async def find(host, keys, level="STUDY", model=STUDY_FIND):
    async with await calling(host, model) as association:
        return await association.find(model, {"QueryRetrieveLevel": level} | keys)


def commitment(*sops, transaction="1.2.3"):
    references = [
        {"ReferencedSOPClassUID": CT_IMAGE_STORAGE, "ReferencedSOPInstanceUID": sop} for sop in sops
    ]
    return {"TransactionUID": transaction, "ReferencedSOPSequence": references}


def test_echo_store_find(tmp_path, ct_image):
    async def talk():
        async with archive(tmp_path) as host:
            async with await calling(host, VERIFICATION) as association:
                assert (await association.echo()).status == 0
            assert [one.status for one in await store(host, ct_image(1), ct_image(2))] == [0, 0]
            answers = await find(
                host, {"StudyInstanceUID": "", "NumberOfStudyRelatedInstances": "", "PatientName": ""}
            )
            assert answers.status == 0
            (study,) = answers
            assert study["StudyInstanceUID"] == STUDY
            assert study["NumberOfStudyRelatedInstances"] == "2"
            assert study["PatientName"] == "MÜLLER^Jörg"
            (patient,) = await find(host, {"PatientID": "SW12345678"}, "PATIENT", PATIENT_FIND)
            assert patient["PatientID"] == "SW12345678"
            assert (await find(host, {"SeriesInstanceUID": ""}, "SERIES")).status == 0xA900

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"StudyInstanceUID": ""}, 0xC000),
        ({"SOPInstanceUID": "1.2.3"}, 0xC000),
        ({"PatientID": "4711"}, 0x0124),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_reason(tmp_path, ct_image, change, status):
    async def talk():
        async with archive(tmp_path) as host:
            image = ct_image(1)
            async with await calling(host, CT_IMAGE_STORAGE) as association:
                data = encode(image | change, explicit=True)
                result = await association.store(CT_IMAGE_STORAGE, image["SOPInstanceUID"], EXPLICIT_LE, data)
            assert result.status == status
            assert result.comment
            assert len(await find(host, {"StudyInstanceUID": ""})) == 0

    asyncio.run(talk())


def test_the_same_again_is_one_and_other_pixels_are_refused(tmp_path, ct_image):
    async def talk():
        async with archive(tmp_path) as host:
            image = ct_image(1)
            again = await store(host, image, image)
            implicit = await store(host, image, syntax=IMPLICIT_LE)
            assert [one.status for one in (*again, *implicit)] == [0, 0, 0]
            (other,) = await store(host, image | {"PixelData": bytes(len(image["PixelData"]))})
            assert other.status == 0xC201
            assert "other content" in other.comment
            (study,) = await find(host, {"NumberOfStudyRelatedInstances": ""})
            assert study["NumberOfStudyRelatedInstances"] == "1"
            kinds = [note["kind"] for note in await host.simulators["pacs"].ask("exceptions", {})]
            assert kinds == ["duplicate", "unscheduled"]

    asyncio.run(talk())


def test_the_same_instance_on_four_associations_at_once_is_stored_once(tmp_path, ct_image):
    async def talk():
        async with archive(tmp_path) as host:
            results = await asyncio.gather(*(store(host, ct_image(1), ct_image(2)) for _ in range(4)))
            assert {one.status for each in results for one in each} == {0}
            assert len(list((tmp_path / "pacs" / "objects").glob("*/*"))) == 2

    asyncio.run(talk())


def test_move_counts_and_pixels(tmp_path, ct_image):
    async def talk():
        listener = Listener()
        async with listening(listener) as server, archive(tmp_path, server.port) as host:
            images = [ct_image(number) for number in (1, 2, 3)]
            await store(host, *images)
            async with await calling(host, STUDY_MOVE) as association:
                keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDY}
                done = await association.move(STUDY_MOVE, keys, SCANNER)
            assert (done.status, done.completed, done.failed, done.warning) == (0, 3, 0, 0)
            assert listener.stored == images

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("refuse", "status", "completed", "failed"),
    [(lambda number: number == 2, 0xB000, 2, 1), (lambda number: True, 0xA702, 0, 3)],
)
def test_move_tells_which_sub_operations_failed(tmp_path, ct_image, refuse, status, completed, failed):
    async def talk():
        async with listening(Listener(refuse)) as server, archive(tmp_path, server.port) as host:
            await store(host, *(ct_image(number) for number in (1, 2, 3)))
            async with await calling(host, STUDY_MOVE) as association:
                keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDY}
                done = await association.move(STUDY_MOVE, keys, SCANNER)
            assert (done.status, done.completed, done.failed) == (status, completed, failed)
            assert len(done.failed_instances) == failed
            if completed:
                assert done.failed_instances == [ct_image(2)["SOPInstanceUID"]]

    asyncio.run(talk())


def test_move_to_nobody_and_to_a_closed_port(tmp_path, ct_image):
    async def talk():
        async with archive(tmp_path, scanner_port=1) as host:
            await store(host, ct_image(1))
            async with await calling(host, STUDY_MOVE) as association:
                keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDY}
                assert (await association.move(STUDY_MOVE, keys, "STRANGER")).status == 0xA801
                closed = await association.move(STUDY_MOVE, keys, SCANNER)
            assert (closed.status, closed.completed, closed.failed) == (0xA702, 0, 1)

    asyncio.run(talk())


@pytest.mark.parametrize("stored", [EXPLICIT_LE, IMPLICIT_LE])
@pytest.mark.parametrize("wanted", [EXPLICIT_LE, IMPLICIT_LE])
def test_get_in_either_encoding(tmp_path, ct_image, stored, wanted):
    async def talk():
        async with archive(tmp_path) as host:
            await store(host, ct_image(1), ct_image(2), syntax=stored)
            contexts = [STUDY_GET, (CT_IMAGE_STORAGE, (wanted,))]
            async with await calling(host, *contexts, scp_of=[CT_IMAGE_STORAGE]) as association:
                keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDY}
                done = await association.get(STUDY_GET, keys)
            assert (done.status, done.completed) == (0, 2)
            for number, got in enumerate(done.instances, 1):
                assert got.transfer_syntax == wanted
                assert decode(got.data, explicit=wanted == EXPLICIT_LE) == ct_image(number)

    asyncio.run(talk())


def test_commitment_on_the_same_association_while_the_requester_waits(tmp_path, ct_image):
    async def talk():
        listener = Listener()
        async with listening(listener) as server, archive(tmp_path, server.port) as host:
            await store(host, ct_image(1))
            sop = ct_image(1)["SOPInstanceUID"]
            async with await calling(host, COMMITMENT) as association:
                result = await association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, commitment(sop, "9.9"))
                assert result.status == 0
                event = await association.next_event(5)
            assert event.type == 2
            assert [
                item["ReferencedSOPInstanceUID"] for item in event.attributes["ReferencedSOPSequence"]
            ] == [sop]
            (failed,) = event.attributes["FailedSOPSequence"]
            assert (failed["ReferencedSOPInstanceUID"], failed["FailureReason"]) == ("9.9", 0x0112)
            assert listener.events.empty()
            async with await calling(host, COMMITMENT) as association:  # a Transaction UID is dead after use
                again = await association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, commitment(sop))
            assert again.status == 0x0115

    asyncio.run(talk())


def test_commitment_calls_back_when_the_requester_hangs_up_even_much_later_and_after_a_restart(
    tmp_path, ct_image
):
    async def talk():
        listener = Listener()
        async with listening(listener) as server:
            port = server.port
        async with archive(tmp_path, port) as host:  # the scanner is switched off meanwhile
            await store(host, ct_image(1))
            sop = ct_image(1)["SOPInstanceUID"]
            async with await calling(host, COMMITMENT) as association:
                await association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, commitment(sop))
        async with archive(tmp_path, port), listening(listener, port):
            event_type, information = await asyncio.wait_for(listener.events.get(), 10)
        assert event_type == 1
        assert information["TransactionUID"] == "1.2.3"

    asyncio.run(talk())


def test_commitment_for_nobody_is_refused(tmp_path, ct_image):
    async def talk():
        async with archive(tmp_path) as host:
            entity = host.directory["pacs"].dicom
            async with await dimse_asyncio.open(
                entity.host,
                entity.port,
                calling="STRANGER",
                called=entity.ae,
                contexts=[COMMITMENT],
                timeout=5,
            ) as association:
                result = await association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, commitment("1.2"))
                assert result.status == 0x0110
                with pytest.raises(NoAnswer):
                    await association.next_event(0.1)

    with contextlib.suppress(Refused):  # the wait in vain ended the association
        asyncio.run(talk())


def test_everything_is_there_after_a_restart(tmp_path, ct_image):
    async def talk():
        async with archive(tmp_path) as host:
            await store(host, ct_image(1), ct_image(2))
        async with archive(tmp_path) as host:
            (study,) = await find(
                host, {"NumberOfStudyRelatedInstances": "", "AccessionNumber": "SW00012345"}
            )
            assert study["NumberOfStudyRelatedInstances"] == "2"
            async with await calling(
                host, STUDY_GET, CT_IMAGE_STORAGE, scp_of=[CT_IMAGE_STORAGE]
            ) as association:
                done = await association.get(
                    STUDY_GET, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": STUDY}
                )
            pixels = [decode(one.data, explicit=True)["PixelData"] for one in done.instances]
            assert [hashlib.sha256(one).digest() for one in pixels] == [
                hashlib.sha256(ct_image(number)["PixelData"]).digest() for number in (1, 2)
            ]

    asyncio.run(talk())
