"""Pixels through every lossless transfer syntax: our conversions, with pydicom, GDCM and OpenJPEG as oracles of each other."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels import get_decoder

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import pixels
from stepwedge.wire.codec_process import CODECS, CannotConvert
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, Encapsulated, decode, encode
from stepwedge.wire.encodings import BIG_ENDIAN, DEFLATED, deflated, plain, wrapped
from stepwedge.wire.part10 import write
from stepwedge.wire.results import Instance
from stepwedge.wire.spans import spans

CLASS = "1.2.840.10008.5.1.4.1.1.7"
KINDS = {
    # name: (bits allocated, bits stored, signed, samples)
    "8 bits": (8, 8, False, 1),
    "10 bits": (16, 10, False, 1),
    "12 bits": (16, 12, False, 1),
    "12 bits signed": (16, 12, True, 1),
    "16 bits": (16, 16, False, 1),
    "16 bits signed": (16, 16, True, 1),
    "colour": (8, 8, False, 3),
}


def picture(kind: str, frames: int = 1, rows: int = 35, columns: int = 33, **more: Any) -> dict[str, Any]:
    allocated, stored, signed, samples = KINDS[kind]
    low, high = (-(1 << stored - 1), 1 << stored - 1) if signed else (0, 1 << stored)
    random = np.random.default_rng(7)
    values = random.integers(low, high, (frames, rows, columns, samples))
    values[0, 0, 0], values[0, 0, 1] = low, high - 1
    raw = values.astype(f"<{'i' if signed else 'u'}{allocated // 8}").tobytes()
    return {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": CLASS,
        "SOPInstanceUID": "2.25.1",
        "StudyInstanceUID": "2.25.2",
        "SeriesInstanceUID": "2.25.3",
        "PatientName": "Müller^Jürgen",
        "SamplesPerPixel": samples,
        "PhotometricInterpretation": "RGB" if samples == 3 else "MONOCHROME2",
        **({"PlanarConfiguration": 0} if samples == 3 else {}),
        **({"NumberOfFrames": str(frames)} if frames > 1 else {}),
        "Rows": rows,
        "Columns": columns,
        "BitsAllocated": allocated,
        "BitsStored": stored,
        "HighBit": stored - 1,
        "PixelRepresentation": int(signed),
        "PixelData": raw + b"\0" * (len(raw) % 2),
        **more,
    }


@pytest.mark.parametrize(("frames", "rows"), [(1, 33), (3, 42)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("syntax", pixels.LOSSLESS)
def test_every_depth_survives_every_syntax(syntax: str, kind: str, frames: int, rows: int) -> None:
    original = picture(kind, frames, rows, rows + 4)
    data = encode(original, explicit=True)
    made = pixels.convert(data, EXPLICIT_LE, syntax)
    compressed = decode(made, explicit=True)
    assert isinstance(compressed["PixelData"], Encapsulated)
    assert {**compressed, "PixelData": b""} == {**original, "PixelData": b""}
    assert pixels.digest(compressed, syntax) == pixels.digest(original, EXPLICIT_LE)
    assert pixels.convert(made, syntax, EXPLICIT_LE) == data
    implicit = pixels.convert(made, syntax, IMPLICIT_LE)
    assert decode(implicit, explicit=False) == original


@pytest.mark.parametrize("kind", ["8 bits", "12 bits signed", "16 bits", "colour"])
@pytest.mark.parametrize(
    ("syntax", "plugin"),
    [
        ("1.2.840.10008.1.2.4.90", "gdcm"),  # OpenJPEG made it, GDCM reads it
        ("1.2.840.10008.1.2.4.90", "pylibjpeg"),
        ("1.2.840.10008.1.2.4.70", "gdcm"),
        ("1.2.840.10008.1.2.4.80", "gdcm"),
        ("1.2.840.10008.1.2.5", "pydicom"),
    ],
)
def test_pydicom_reads_what_was_made(syntax: str, plugin: str, kind: str) -> None:
    original = picture(kind, 2)
    made = pixels.convert(encode(original, explicit=True), EXPLICIT_LE, syntax)
    file = pydicom.dcmread(io.BytesIO(write(Instance(CLASS, "2.25.1", syntax, made))))
    values, _ = get_decoder(syntax).as_array(file, decoding_plugin=plugin, raw=True)
    assert values.tobytes() == original["PixelData"][: values.nbytes]


def test_colour_by_plane_becomes_colour_by_pixel() -> None:
    by_pixel = picture("colour", 2)
    values = np.frombuffer(by_pixel["PixelData"], "u1")[: 2 * 35 * 33 * 3].reshape(2, -1, 3)
    by_plane = by_pixel | {"PlanarConfiguration": 1, "PixelData": values.transpose(0, 2, 1).tobytes()}
    for syntax in pixels.LOSSLESS:
        made = pixels.convert(encode(by_plane, explicit=True), EXPLICIT_LE, syntax)
        back = decode(pixels.convert(made, syntax, EXPLICIT_LE), explicit=True)
        assert back == by_pixel


def test_from_one_compressed_syntax_into_another() -> None:
    data = encode(picture("12 bits", 2), explicit=True)
    for first in pixels.LOSSLESS:
        made = pixels.convert(data, EXPLICIT_LE, first)
        for second in pixels.LOSSLESS:
            again = pixels.convert(made, first, second)
            assert pixels.convert(again, second, EXPLICIT_LE) == data


def test_what_was_compressed_with_loss_is_not_converted() -> None:
    data = encode(picture("8 bits"), explicit=True)
    for lossy in ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.81"):
        assert pixels.convertible(lossy) == ()
        with pytest.raises(CannotConvert, match="only lossless"):
            pixels.convert(data, lossy, EXPLICIT_LE)
        with pytest.raises(CannotConvert, match="only lossless"):
            pixels.convert(data, EXPLICIT_LE, lossy)


def test_bits_beyond_bits_stored_are_refused_rather_than_lost() -> None:
    original = picture("12 bits")
    raw = bytearray(original["PixelData"])
    raw[1] |= 0x80  # an overlay in the unused bits, retired but met
    data = encode(original | {"PixelData": bytes(raw)}, explicit=True)
    with pytest.raises(CannotConvert):
        pixels.convert(data, EXPLICIT_LE, "1.2.840.10008.1.2.4.90")
    rle = pixels.convert(data, EXPLICIT_LE, "1.2.840.10008.1.2.5")  # RLE packs bytes, whatever they mean
    assert pixels.convert(rle, "1.2.840.10008.1.2.5", EXPLICIT_LE) == data


@pytest.mark.parametrize("syntax", pixels.LOSSLESS)
def test_a_broken_stream_is_refused_and_the_next_one_still_read(syntax: str) -> None:
    data = encode(picture("8 bits"), explicit=True)
    made = pixels.convert(data, EXPLICIT_LE, syntax)
    elements = decode(made, explicit=True)
    whole = bytes(elements["PixelData"])
    for broken in (whole[:40], whole[: len(whole) // 2], whole[:16] + b"\xff" * (len(whole) - 16)):
        stream = pixels.encapsulated([broken[16:]])
        damaged = encode(elements | {"PixelData": Encapsulated(stream)}, explicit=True)
        try:
            back = pixels.convert(damaged, syntax, EXPLICIT_LE)
        except CannotConvert:
            continue
        assert len(decode(back, explicit=True)["PixelData"]) == len(picture("8 bits")["PixelData"])
    assert pixels.convert(made, syntax, EXPLICIT_LE) == data


def test_a_codec_that_dies_is_started_again() -> None:
    data = encode(picture("8 bits"), explicit=True)
    made = pixels.convert(data, EXPLICIT_LE, pixels.RLE)
    child = CODECS._child
    assert child is not None
    child.kill()
    child.wait()
    assert pixels.convert(made, pixels.RLE, EXPLICIT_LE) == data


def test_a_header_that_announces_too_much_is_refused_before_memory_is_taken() -> None:
    elements = picture("8 bits") | {"Rows": 65535, "Columns": 65535, "NumberOfFrames": "2000000000"}
    with pytest.raises(RemoteProtocolError, match="would have more than"):
        pixels.native(elements, EXPLICIT_LE)
    with pytest.raises(RemoteProtocolError, match="bytes for 1 frames"):
        pixels.native(picture("8 bits") | {"PixelData": b"\0\0"}, EXPLICIT_LE)


def test_frames_in_several_fragments_follow_the_offset_table() -> None:
    original = picture("8 bits", 2)
    streams = pixels.frames(
        decode(pixels.convert(encode(original, explicit=True), EXPLICIT_LE, pixels.RLE), explicit=True)
    )
    first, second = streams
    item = b"\xfe\xff\x00\xe0"
    pieces = [first[:20], first[20:], second]
    table = (0).to_bytes(4, "little") + (len(first) + 16).to_bytes(4, "little")
    body = item + len(table).to_bytes(4, "little") + table
    body += b"".join(item + len(piece).to_bytes(4, "little") + piece for piece in pieces)
    assert pixels.frames(original | {"PixelData": Encapsulated(body)}) == [first, second]
    without = item + b"\0\0\0\0" + body[8 + len(table) :]
    with pytest.raises(RemoteProtocolError, match="no offset table"):
        pixels.frames(original | {"PixelData": Encapsulated(without)})


# --- deflated and big endian


def nested() -> dict[str, Any]:
    return picture("16 bits signed", 2) | {
        "RequestAttributesSequence": [{"ScheduledProcedureStepID": "1", "ReferencedFrameNumbers": [1, 2]}],
        "WindowCenter": "40",
        "RescaleSlope": "1",
        "SmallestImagePixelValue": -5,
        "FrameIncrementPointer": "00181063",
        "00091001": b"private\0",
    }


@pytest.mark.parametrize("syntax", [DEFLATED, BIG_ENDIAN])
def test_pydicom_reads_what_is_wrapped(syntax: str) -> None:
    original = nested()
    data = encode(original, explicit=True)
    made = wrapped(data, syntax)
    assert plain(made, syntax) == (data, EXPLICIT_LE)
    file = pydicom.dcmread(io.BytesIO(write(Instance(CLASS, "2.25.1", syntax, made))))
    assert file.SmallestImagePixelValue == -5
    assert file.RequestAttributesSequence[0].ScheduledProcedureStepID == "1"
    assert file.pixel_array.astype("<i2").tobytes() == original["PixelData"]


def test_big_endian_of_pydicom_is_read() -> None:
    made = pydicom.Dataset()
    made.Rows, made.PatientName, made.BitsAllocated = 258, "A^B", 16
    made.ReferencedStudySequence = [pydicom.Dataset()]
    made.ReferencedStudySequence[0].ReferencedSOPInstanceUID = "1.2.3"
    made.add_new("FloatPixelPaddingValue", "FL", 1.5)
    buffer = pydicom.filebase.DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = False, False
    pydicom.filewriter.write_dataset(buffer, made)
    data, syntax = plain(buffer.getvalue(), BIG_ENDIAN)
    assert decode(data, explicit=True) == {
        "Rows": 258,
        "PatientName": "A^B",
        "BitsAllocated": 16,
        "ReferencedStudySequence": [{"ReferencedSOPInstanceUID": "1.2.3"}],
        "FloatPixelPaddingValue": 1.5,
    }
    assert syntax == EXPLICIT_LE


def test_a_bomb_ends_at_its_bound() -> None:
    bomb = deflated(bytes(50_000_000))
    assert len(bomb) < 60_000
    with pytest.raises(RemoteProtocolError, match="inflates to more than 1000000 bytes"):
        plain(bomb, DEFLATED, largest=1_000_000)
    with pytest.raises(RemoteProtocolError, match="ends inside"):
        plain(deflated(b"x" * 1000)[:5], DEFLATED)
    with pytest.raises(RemoteProtocolError, match="cannot be inflated"):
        plain(b"\xff" * 100, DEFLATED)


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=200),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4),
)
def test_broken_data_sets_end_in_an_error_that_blames_the_peer(
    data: bytes, flips: list[tuple[int, int]]
) -> None:
    whole = bytearray(wrapped(encode(nested(), explicit=True), BIG_ENDIAN)[:400] + data)
    for place, value in flips:
        whole[place % len(whole)] = value
    for broken, syntax in ((bytes(whole), BIG_ENDIAN), (data, BIG_ENDIAN), (data, DEFLATED)):
        with contextlib.suppress(RemoteProtocolError):
            plain(broken, syntax)
    with contextlib.suppress(RemoteProtocolError):
        spans(bytes(whole), explicit=True)
