"""Grayscale softcopy presentation states (PS3.3 A.33.1): how images were shown, kept as an object of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput
from stepwedge.sim.keyobjects import equipment, of_study, reference

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

Elements = dict[str, Any]

GRAYSCALE_PRESENTATION: Final = "1.2.840.10008.5.1.4.1.1.11.1"


def presentation(
    study: Mapping[str, Any],
    images: Sequence[Mapping[str, Any]],
    uids: tuple[str, str],
    at: datetime,
    *,
    maker: str,
    label: str,
    window: tuple[float, float],
    number: int = 1,
    text: str = "",
) -> Elements:
    """Return a grayscale softcopy presentation state as Elements.

    Args:
        study: an object of the study, or a query's answer.
        images: what is shown, all of one size; each with UIDs, ``Rows`` and ``Columns``.
        uids: Series and SOP Instance UID of the presentation state.
        at: when it is made.
        maker: name of the system that makes it.
        label: Content Label (0070,0080): capitals, digits, blank and underscore, at most 16.
        window: centre and width, in the images' rescaled values.
        number: Series Number.
        text: written over the images, at their upper left.
    """
    if not images:
        raise BadInput("images", "at least one image to show", "none")
    sizes = {(int(image["Columns"]), int(image["Rows"])) for image in images}
    if len(sizes) != 1:
        raise BadInput("images", "images of one size", ", ".join(f"{w} x {h}" for w, h in sorted(sizes)))
    columns, rows = sizes.pop()
    (series, sop), (date, time) = uids, (f"{at:%Y%m%d}", f"{at:%H%M%S}")
    return {
        **of_study(study),
        **equipment(maker),
        "SOPClassUID": GRAYSCALE_PRESENTATION,
        "SOPInstanceUID": sop,
        "Modality": "PR",
        "SeriesInstanceUID": series,
        "SeriesNumber": str(number),
        "Laterality": "",
        "InstanceNumber": "1",
        "ContentLabel": label,
        "ContentDescription": "",
        "PresentationCreationDate": date,
        "PresentationCreationTime": time,
        "ContentCreatorName": "",
        **_relationship(images),
        **_displayed_area(columns, rows),
        "SoftcopyVOILUTSequence": [{"WindowCenter": f"{window[0]:g}", "WindowWidth": f"{window[1]:g}"}],
        "PresentationLUTShape": "IDENTITY",
        **(_annotation(text) if text else {}),
    }


def _relationship(images: Sequence[Mapping[str, Any]]) -> Elements:
    """Return Presentation State Relationship (PS3.3 C.11.11)."""
    series: dict[str, list[Elements]] = {}
    for image in images:
        series.setdefault(str(image["SeriesInstanceUID"]), []).append(reference(image))
    return {
        "ReferencedSeriesSequence": [
            {"ReferencedImageSequence": items, "SeriesInstanceUID": uid} for uid, items in series.items()
        ]
    }


def _displayed_area(columns: int, rows: int) -> Elements:
    """Return Displayed Area (PS3.3 C.10.4): the whole image, scaled to fit; corners count from 1."""
    return {
        "DisplayedAreaSelectionSequence": [
            {
                "DisplayedAreaTopLeftHandCorner": [1, 1],
                "DisplayedAreaBottomRightHandCorner": [columns, rows],
                "PresentationSizeMode": "SCALE TO FIT",
                "PresentationPixelAspectRatio": "1\\1",
            }
        ]
    }


def _annotation(text: str) -> Elements:
    """Return Graphic Annotation and Graphic Layer (PS3.3 C.10.5, C.10.7) with one text."""
    return {
        "GraphicAnnotationSequence": [
            {
                "GraphicLayer": "MARKS",
                "TextObjectSequence": [
                    {
                        "BoundingBoxAnnotationUnits": "DISPLAY",
                        "UnformattedTextValue": text,
                        "BoundingBoxTopLeftHandCorner": [0.02, 0.02],
                        "BoundingBoxBottomRightHandCorner": [0.5, 0.1],
                        "BoundingBoxTextHorizontalJustification": "LEFT",
                    }
                ],
            }
        ],
        "GraphicLayerSequence": [{"GraphicLayer": "MARKS", "GraphicLayerOrder": "1"}],
    }
