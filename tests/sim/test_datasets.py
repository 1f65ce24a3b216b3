"""A data set that is read once: what is found, and that nothing stale is ever returned."""

import hashlib

import pytest

from stepwedge.errors import RemoteProtocolError
from stepwedge.sim import datasets
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, encode

PIXELS = bytes(range(16))


def data_set(name, pixels=PIXELS, *, explicit=True):
    return encode({"PatientName": name, "PixelData": pixels}, explicit=explicit)


def test_a_reading_holds_header_and_both_hashes():
    data = data_set("A^B")
    reading = datasets.read(data, EXPLICIT_LE)
    assert reading.header == {"PatientName": "A^B"}
    assert reading.sha256 == hashlib.sha256(data).hexdigest()
    assert reading.pixels == hashlib.sha256(PIXELS).hexdigest()


def test_the_same_data_set_is_read_once_until_it_is_forgotten():
    data = data_set("A^B")
    first = datasets.read(data, EXPLICIT_LE)
    assert datasets.read(data, EXPLICIT_LE) is first
    datasets.forget()
    again = datasets.read(data, EXPLICIT_LE)
    assert again is not first
    assert again == first


def test_another_data_set_or_syntax_is_read_anew():
    assert datasets.read(data_set("A^B"), EXPLICIT_LE).header == {"PatientName": "A^B"}
    assert datasets.read(data_set("C^D"), EXPLICIT_LE).header == {"PatientName": "C^D"}
    data = data_set("E^F", explicit=False)
    assert datasets.read(data, IMPLICIT_LE).header == {"PatientName": "E^F"}
    with pytest.raises(RemoteProtocolError):
        datasets.read(data, EXPLICIT_LE)


@pytest.mark.parametrize(("elements", "found"), [({"PixelData": b""}, ""), ({}, None)])
def test_empty_pixel_data_are_not_absent_ones(elements, found):
    data = encode({"PatientName": "A^B", **elements}, explicit=True)
    assert datasets.read(data, EXPLICIT_LE).pixels == found
