"""The resources of the DICOMweb root (PS3.18 section 10.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

ROOT: Final = "/dicom-web"
PATH_KEYS: Final = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID", "instance": "SOPInstanceUID"}


def root_of(request: Request) -> str:
    """Return the address of the root as the client reached it."""
    return f"{request.url.scheme}://{request.url.netloc}{ROOT}"
