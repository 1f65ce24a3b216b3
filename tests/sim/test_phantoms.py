"""The phantoms: the same pixels for the same seed, and objects that a validator accepts, all of them."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.sim import phantoms
from stepwedge.sim.phantoms import ct
from stepwedge.sim.phantoms.recipe import read
from stepwedge.wire import part10
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.results import Instance

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
KINDS = {
    "ct": "CTImage",
    "mr": "MRImage",
    "cr": "CRImage",
    "dx": "DXImageForPresentation",
    "dx-for-processing": "DXImageForProcessing",
    "mg": "MammographyImageForPresentation",
    "us": "USImage",
    "us-cine": "USMultiFrameImage",
    "nm": "NMImage",
    "pt": "PETImage",
    "xa": "XAImage",
    "rf": "XRFImage",
    "enhanced-ct": "EnhancedCTImage",
    "enhanced-mr": "EnhancedMRImage",
    "tomosynthesis": "BreastTomosynthesisImage",
    "secondary-capture": "SCImage",
}
NAMES = sorted(path.stem for path in kit.find("fixtures/phantoms").glob("*.yaml"))


def test_same_seed_same_pixels_and_every_slice_its_own():
    shape = phantoms.recipe("ct-chest")
    one = phantoms.pixels(shape, 1, 7)
    assert one == phantoms.pixels(shape, 1, 7)
    assert len(one) == shape.rows * shape.columns * 2
    assert len({one, phantoms.pixels(shape, 2, 7), phantoms.pixels(shape, 1, 8)}) == 3


def test_pixels_fit_twelve_bits_and_show_the_wedge():
    import numpy as np

    values = np.frombuffer(phantoms.pixels(phantoms.recipe("ct-chest"), 36, 7), dtype="<u2").astype(int)
    assert values.max() < 1 << 12
    units = values + ct.RESCALE_INTERCEPT
    for step in (*ct.WEDGE, ct.AIR, ct.WATER):
        assert np.any(np.abs(units - step) <= ct.NOISE), step


def test_altered_changes_one_bit():
    original = phantoms.pixels(phantoms.recipe("ct-head"), 1)
    changed = phantoms.altered(original)
    assert len(changed) == len(original)
    assert sum((a ^ b).bit_count() for a, b in zip(original, changed, strict=True)) == 1
    assert phantoms.pixel_hash(changed) != phantoms.pixel_hash(original)


@pytest.mark.parametrize(
    ("text", "found"),
    [("rows: 4\n", "missing"), ("rows: 0\n", "rows"), ("depth: 4\n", "unexpected")],
)
def test_a_bad_recipe_is_named(tmp_path, text, found):
    good = kit.find("fixtures/phantoms/ct-chest.yaml").read_text(encoding="utf-8")
    path = tmp_path / "bad.yaml"
    key = text.split(":", 1)[0]
    path.write_text(
        text
        if found == "missing"
        else "\n".join(line for line in good.splitlines() if not line.startswith(f"{key}:")) + f"\n{text}",
        encoding="utf-8",
    )
    with pytest.raises(BadInput, match=str(path)) as error:
        read(path)
    assert found in str(error.value)


@pytest.fixture
def ct_file(ct_image):
    """Make a DICOM file of one image."""

    def make(number, **options):
        elements = ct_image(number, **options)
        data = encode(elements, explicit=True)
        return part10.write(Instance(elements["SOPClassUID"], elements["SOPInstanceUID"], EXPLICIT_LE, data))

    return make


@pytest.mark.parametrize("name", NAMES)
def test_dciodvfy_finds_no_error(name, tmp_path, ct_file):
    validator = Path(sys.executable).parent / "dciodvfy"
    if not validator.exists():
        pytest.skip("dciodvfy is not installed (extra 'conformance')")
    file = tmp_path / "image.dcm"
    file.write_bytes(ct_file(2, recipe=name))
    done = subprocess.run([validator, str(file)], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert KINDS[phantoms.recipe(name).iod] in said
    assert "Error" not in said, said


def test_pydicom_reads_the_file_and_its_pixels(tmp_path, ct_file):
    import pydicom

    (tmp_path / "a.dcm").write_bytes(ct_file(1))
    dataset = pydicom.dcmread(tmp_path / "a.dcm")
    assert dataset.PatientName == "MÜLLER^Jörg"
    assert dataset.pixel_array.shape == (128, 128)
    assert phantoms.pixel_hash(dataset.PixelData) == phantoms.pixel_hash(
        phantoms.pixels(phantoms.recipe("ct-chest"), 1, "tests")
    )


def test_every_kind_of_object_has_a_recipe():
    assert {phantoms.recipe(name).iod for name in NAMES} == set(phantoms.IODS) == set(KINDS)


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_is_there_and_differs_from_every_other(name):
    shape = phantoms.recipe(name)
    image = phantoms.image(shape, 1, AT, 7)
    assert image["PixelData"] == phantoms.image(shape, 1, AT, 7)["PixelData"]
    assert int(image.get("NumberOfFrames", 1)) == shape.frames
    length = shape.rows * shape.columns * image["SamplesPerPixel"] * image["BitsAllocated"] // 8
    assert len(image["PixelData"]) == length * shape.frames
    frames = {image["PixelData"][at * length : (at + 1) * length] for at in range(shape.frames)}
    assert len(frames) == shape.frames


def test_vectors_of_nuclear_medicine_are_as_long_as_there_are_frames():
    shape = phantoms.recipe("nm-bone")
    image = phantoms.image(shape, 1, AT)
    for vector in ("EnergyWindowVector", "DetectorVector"):
        assert len(image[vector]) == shape.frames
    assert len(image["DetectorInformationSequence"]) == image["NumberOfDetectors"] == shape.frames


def test_mammography_has_both_sides_in_both_views():
    shape = phantoms.recipe("mg-screening")
    seen = [phantoms.image(shape, number, AT) for number in range(1, 5)]
    views = {(one["ImageLaterality"], one["ViewCodeSequence"][0]["CodeMeaning"]) for one in seen}
    assert len(views) == 4
