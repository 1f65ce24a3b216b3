"""Key object selections and presentation states: objects that a validator accepts and other readers understand."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stepwedge.errors import BadInput
from stepwedge.model.identifiers import uid
from stepwedge.sim import keyobjects, presentations
from stepwedge.wire import part10
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.results import Instance

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
UIDS = (uid("tests", "marks"), uid("tests", "mark"))


@pytest.fixture
def selected(ct_image):
    def make(title="113001", text="", **changes):
        images = [ct_image(number, **changes) for number in (1, 2)]
        return keyobjects.selection(title, images[0], images, UIDS, AT, maker="reader", text=text)

    return make


@pytest.fixture
def shown(ct_image):
    def make(text="", **changes):
        images = [ct_image(number, **changes) for number in (1, 2)]
        return presentations.presentation(
            images[0], images, UIDS, AT, maker="reader", label="LUNG", window=(-600, 1500), text=text
        )

    return make


def written(path, elements):
    instance = Instance(
        elements["SOPClassUID"], elements["SOPInstanceUID"], EXPLICIT_LE, encode(elements, explicit=True)
    )
    path.write_bytes(part10.write(instance))
    return path


def validated(path):
    validator = Path(sys.executable).parent / "dciodvfy"
    if not validator.exists():
        pytest.skip("dciodvfy is not installed (extra 'conformance')")
    done = subprocess.run([validator, str(path)], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("title", sorted(keyobjects.TITLES))
@pytest.mark.parametrize("text", ["", "motion"])
def test_dciodvfy_accepts_every_key_object_selection(tmp_path, selected, title, text):
    said = validated(written(tmp_path / "ko.dcm", selected(title, text)))
    assert "KeyObjectSelectionDocument" in said
    assert "Error" not in said, said


@pytest.mark.parametrize("text", ["", "look here"])
def test_dciodvfy_accepts_a_presentation_state(tmp_path, shown, text):
    said = validated(written(tmp_path / "pr.dcm", shown(text)))
    assert "GrayscaleSoftcopyPresentationState" in said
    assert "Error" not in said, said


def test_a_selection_names_exactly_what_was_selected(selected, ct_image):
    made = selected()
    series = made["CurrentRequestedProcedureEvidenceSequence"][0]["ReferencedSeriesSequence"]
    named = [item["ReferencedSOPInstanceUID"] for one in series for item in one["ReferencedSOPSequence"]]
    content = [
        item["ReferencedSOPSequence"][0]["ReferencedSOPInstanceUID"] for item in made["ContentSequence"]
    ]
    assert named == content == [ct_image(number)["SOPInstanceUID"] for number in (1, 2)]


def test_what_cannot_be_selected_or_shown_is_said(ct_image):
    one = ct_image(1)
    with pytest.raises(BadInput, match="CID 7010"):
        keyobjects.selection("1", one, [one], UIDS, AT, maker="reader")
    with pytest.raises(BadInput, match="at least one"):
        keyobjects.selection("113000", one, [], UIDS, AT, maker="reader")
    with pytest.raises(BadInput, match="one size"):
        presentations.presentation(
            one, [one, {**one, "Rows": 7}], UIDS, AT, maker="reader", label="A", window=(1, 2)
        )
    with pytest.raises(BadInput, match="at least one"):
        presentations.presentation(one, [], UIDS, AT, maker="reader", label="A", window=(1, 2))
