"""The child of :mod:`stepwedge.wire.codec_process`: pydicom's decoders, OpenJPEG, RLE, and GDCM for the JPEG family.

Every encoded frame is decoded again and compared before it leaves: lossless is shown, not assumed.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import warnings
from typing import Any, Final

from stepwedge.wire.codec_process import HEADER

RLE: Final = "1.2.840.10008.1.2.5"
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
JPEG_2000: Final = "1.2.840.10008.1.2.4.90"
GDCM_NAMES: Final = {
    JPEG_BASELINE: "JPEGBaselineProcess1",
    "1.2.840.10008.1.2.4.57": "JPEGLosslessProcess14",
    "1.2.840.10008.1.2.4.70": "JPEGLosslessProcess14_1",
    "1.2.840.10008.1.2.4.80": "JPEGLSLossless",
}
SMALLEST: Final = 32
"""Rows or columns that the six resolutions of OpenJPEG need."""
PLUGINS: Final = {RLE: "pydicom", JPEG_2000: "pylibjpeg", "1.2.840.10008.1.2.4.91": "pylibjpeg"}
"""Which of pydicom's plug-ins decodes; GDCM where none is named."""


def decode(frame: bytes, syntax: str, shape: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Return one frame as PS3.5 section 8.1 has it, colour by pixel, and its photometric interpretation now."""
    import numpy as np
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    decoder = get_decoder(syntax)
    options = {
        "rows": shape["rows"],
        "columns": shape["columns"],
        "samples_per_pixel": shape["samples"],
        "bits_allocated": shape["allocated"],
        "bits_stored": shape["stored"],
        "pixel_representation": int(shape["signed"]),
        "photometric_interpretation": shape["photometric"],
        "planar_configuration": 0 if shape["samples"] > 1 else None,
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
        "correct_unused_bits": False,  # RLE gives back whatever stood there
    }
    plugin = PLUGINS.get(syntax, "gdcm")
    pixels, told = decoder.as_array(
        encapsulate([frame]), index=0, decoding_plugin=plugin, raw=True, **options
    )
    kind = np.dtype(f"<{'i' if shape['signed'] else 'u'}{shape['allocated'] // 8}")
    return np.ascontiguousarray(pixels, dtype=kind).tobytes(), {
        "photometric": str(told["photometric_interpretation"])
    }


def encode(frame: bytes, syntax: str, shape: dict[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """Return one frame compressed without loss; ValueError when it would not come back as it was."""
    if syntax == JPEG_2000 and min(shape["rows"], shape["columns"]) < SMALLEST:
        raise ValueError(f"OpenJPEG makes nothing of images with fewer than {SMALLEST} rows or columns")
    write = _by_pydicom if syntax in {RLE, JPEG_2000} else _by_gdcm
    made = write(frame, syntax, shape)
    if syntax != JPEG_BASELINE and decode(made, syntax, shape)[0] != frame:
        raise ValueError(
            f"these pixels do not survive {syntax}: there is something beyond Bits Stored in them"
        )
    return made, {"photometric": shape["photometric"]}


def _by_pydicom(frame: bytes, syntax: str, shape: dict[str, Any]) -> bytes:
    from pydicom.pixels import get_encoder

    options: dict[str, Any] = {"use_mct": False} if syntax == JPEG_2000 else {}
    made: bytes = get_encoder(syntax).encode(
        frame,
        encoding_plugin="pydicom" if syntax == RLE else "pylibjpeg",
        rows=shape["rows"],
        columns=shape["columns"],
        samples_per_pixel=shape["samples"],
        bits_allocated=shape["allocated"],
        bits_stored=shape["stored"],
        pixel_representation=int(shape["signed"]),
        photometric_interpretation=shape["photometric"],
        planar_configuration=0,
        number_of_frames=1,
        **options,
    )
    return made


def _by_gdcm(frame: bytes, syntax: str, shape: dict[str, Any]) -> bytes:
    import gdcm  # type: ignore[import-untyped]  # GDCM has no stubs

    kinds = gdcm.PhotometricInterpretation
    image = gdcm.Image()
    image.SetNumberOfDimensions(3)
    image.SetDimension(0, shape["columns"])
    image.SetDimension(1, shape["rows"])
    image.SetDimension(2, 2)
    image.SetPixelFormat(
        gdcm.PixelFormat(
            shape["samples"], shape["allocated"], shape["stored"], shape["stored"] - 1, int(shape["signed"])
        )
    )
    image.SetPhotometricInterpretation(kinds(kinds.GetPIType(shape["photometric"])))
    image.SetPlanarConfiguration(0)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.ExplicitVRLittleEndian))
    pixels = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    pixels.SetByteStringValue(
        frame * 2
    )  # GDCM refuses an odd number of bytes; of two equal frames the first is taken
    image.SetDataElement(pixels)
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, GDCM_NAMES[syntax])))
    if syntax == JPEG_BASELINE:
        codec = gdcm.JPEGCodec()
        codec.SetLossless(False)  # noqa: FBT003  the signature is GDCM's
        codec.SetQuality(shape.get("quality", 90))
        change.SetUserCodec(codec)
    change.SetInput(image)
    image.thisown = False  # the filter counts references and deletes it; SWIG would once more
    if not change.Change():
        raise ValueError(f"GDCM does not make {syntax} of these pixels")
    output = change.GetOutput()  # each wrapper points into the one before, so all of them must be held
    element = output.GetDataElement()
    fragments = element.GetSequenceOfFragments()
    fragment = fragments.GetFragment(0)
    value = fragment.GetByteValue()
    buffer = value.GetBuffer()
    return buffer.encode("utf-8", "surrogateescape") if isinstance(buffer, str) else bytes(buffer)


def main() -> None:
    """Answer one frame after the other until standard input closes."""
    warnings.simplefilter("ignore")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a codec that prints must not print between the answers
    while len(lengths := sys.stdin.buffer.read(HEADER.size)) == HEADER.size:
        head, body = HEADER.unpack(lengths)
        request = json.loads(sys.stdin.buffer.read(head))
        frame = sys.stdin.buffer.read(body)
        verb = encode if request["verb"] == "encode" else decode
        result = b""
        try:
            result, answer = verb(frame, request["syntax"], request["shape"])
        except Exception as error:  # noqa: BLE001  whatever a codec raises is the answer
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        said = json.dumps(answer).encode()
        try:
            answers.write(HEADER.pack(len(said), len(result)) + said + result)
        except struct.error:
            break
        answers.flush()


if __name__ == "__main__":
    main()
