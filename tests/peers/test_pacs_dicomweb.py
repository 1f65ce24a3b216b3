"""Our archive, as dicomweb-client sees it."""

from __future__ import annotations

import asyncio
from io import BytesIO

import pydicom
import pytest

from stepwedge.sim.phantoms import pixel_hash
from stepwedge.wire import part10
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.results import Instance

api = pytest.importorskip("dicomweb_client.api")


@pytest.fixture
def talk(archive):
    """Run ``with_client(client)`` in a thread beside our archive."""

    def run(with_client):
        async def beside():
            async with archive() as (_, _, root):
                return await asyncio.to_thread(with_client, api.DICOMwebClient(root))

        return asyncio.run(beside())

    return run


@pytest.fixture
def dataset(ct_image):
    """Make one image as a pydicom dataset."""

    def make(number, **changes):
        image = ct_image(number, **changes)
        data = encode(image, explicit=True)
        raw = part10.write(Instance(image["SOPClassUID"], image["SOPInstanceUID"], EXPLICIT_LE, data))
        return pydicom.dcmread(BytesIO(raw))

    return make


def test_stow_qido_wado(talk, dataset, ct_image):
    def with_client(client):
        sent = [dataset(number) for number in (1, 2, 3)]
        answer = client.store_instances(sent)
        assert len(answer.ReferencedSOPSequence) == 3
        assert "FailedSOPSequence" not in answer
        study, series = sent[0].StudyInstanceUID, sent[0].SeriesInstanceUID
        (found,) = client.search_for_studies(
            search_filters={"PatientID": "SW12345678"}, fields=["StudyDescription"]
        )
        assert found["0020000D"]["Value"] == [study]
        assert found["00201208"]["Value"] == [3]
        assert found["00081030"]["Value"] == ["CT chest"]
        assert found["00100010"]["Value"] == [{"Alphabetic": "MÜLLER^Jörg"}]
        assert len(client.search_for_series(study)) == 1
        assert len(client.search_for_instances(study, series)) == 3
        assert len(client.search_for_instances(study, series, limit=2, offset=2)) == 1
        assert client.search_for_studies(search_filters={"AccessionNumber": "NONE"}) == []
        for got in client.retrieve_study(study):
            number = int(got.InstanceNumber)
            assert pixel_hash(got.PixelData) == pixel_hash(ct_image(number)["PixelData"])
            assert got == sent[number - 1]
        assert len(client.retrieve_series(study, series)) == 3
        one = client.retrieve_instance(study, series, sent[0].SOPInstanceUID)
        assert one == sent[0]
        metadata = client.retrieve_study_metadata(study)
        assert [item["00080018"]["Value"] for item in metadata] == [[item.SOPInstanceUID] for item in sent]
        (frame,) = client.retrieve_instance_frames(study, series, sent[0].SOPInstanceUID, [1])
        assert frame == sent[0].PixelData

    talk(with_client)


def test_stow_tells_what_was_not_stored(talk, dataset):
    from requests import HTTPError

    def with_client(client):
        client.store_instances([dataset(1)])
        other = dataset(1)
        other.PixelData = bytes(len(other.PixelData))
        answer = client.store_instances([dataset(1), dataset(2), other])
        assert len(answer.ReferencedSOPSequence) == 2
        (failed,) = answer.FailedSOPSequence
        assert failed.FailureReason == 0xC201
        with pytest.raises(HTTPError) as error:
            client.store_instances([other])
        assert error.value.response.status_code == 409
        with pytest.raises(HTTPError) as error:
            client.store_instances([dataset(3)], study_instance_uid="1.2.3")
        assert error.value.response.status_code == 409

    talk(with_client)


def test_what_is_not_there_or_not_understood(talk, dataset):
    from requests import HTTPError

    def with_client(client):
        for ask, status in (
            (lambda: client.retrieve_study("1.2.3"), 404),
            (lambda: client.search_for_studies(search_filters={"Nonsense": "1"}), 400),
        ):
            with pytest.raises(HTTPError) as error:
                ask()
            assert error.value.response.status_code == status

    talk(with_client)
