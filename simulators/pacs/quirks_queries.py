"""Known wrong behaviours of archives in answering queries, describing images and ending retrievals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.sim.quirks import quirk
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE

from .habits import PacsHabits

if TYPE_CHECKING:
    from collections.abc import Callable

_CANCELLED, _SOME_FAILED, _NONE_SENT = 0xFE00, 0xB000, 0xA702
_GROUP = 4


@quirk(
    "find.hyphen_range",
    defect="DEF-095",
    severity="S1",
    overrides=PacsHabits.keys,
    notices="asked for one patient number with a hyphen, the archive shows other patients' studies (1-2 taken for a range)",
)
def hyphen_range(
    original: Callable[[dict[str, Any]], dict[str, Any]], identifier: dict[str, Any]
) -> dict[str, Any]:
    """Take what stands before a hyphen for the beginning of a range."""
    number = str(identifier.get("PatientID") or "")
    return original(
        {**identifier, "PatientID": number.partition("-")[0] + "*"} if "-" in number else identifier
    )


@quirk(
    "find.uid_list",
    defect="DEF-099",
    severity="S3",
    overrides=PacsHabits.keys,
    notices="of the studies that were asked for by name one comes (list of UID matching, PS3.4 C.2.2.2.2)",
)
def uid_list(
    original: Callable[[dict[str, Any]], dict[str, Any]], identifier: dict[str, Any]
) -> dict[str, Any]:
    """Read the first UID of a list."""
    uid = identifier.get("StudyInstanceUID")
    first = uid[0] if isinstance(uid, list) and uid else str(uid or "").partition("\\")[0]
    return original({**identifier, "StudyInstanceUID": first} if uid else identifier)


@quirk(
    "find.missing_tag",
    defect="DEF-097",
    severity="S3",
    overrides=PacsHabits.answers,
    notices="studies that nobody ordered are found by nobody (no answer where (0008,0050) is empty)",
)
def missing_tag(
    original: Callable[[dict[str, Any], dict[str, Any]], bool],
    identifier: dict[str, Any],
    row: dict[str, Any],
) -> bool:
    """Leave out what has no accession number."""
    return original(identifier, row) and bool(row.get("AccessionNumber") or "StudyInstanceUID" not in row)


@quirk(
    "find.accent_case",
    defect="DEF-096",
    severity="S3",
    overrides=PacsHabits.answers,
    notices="a name typed in small letters is found unless it has an accent (É is not é)",
)
def accent_case(
    original: Callable[[dict[str, Any], dict[str, Any]], bool],
    identifier: dict[str, Any],
    row: dict[str, Any],
) -> bool:
    """Compare letters outside ASCII as they are written."""
    wanted, found = str(identifier.get("PatientName") or ""), str(row.get("PatientName") or "")
    strange = [sign for sign in wanted if not sign.isascii()]
    return original(identifier, row) and all(sign in found for sign in strange)


@quirk(
    "qr.cancel_status",
    defect="DEF-092",
    severity="S3",
    overrides=PacsHabits.ended,
    notices="a study that was closed while it came is marked as damaged (B000 where FE00 belongs)",
)
def cancel_status(original: Callable[[int], int], status: int) -> int:
    """Report a retrieval that was called off as one in which images failed."""
    return _SOME_FAILED if status == _CANCELLED else original(status)


@quirk(
    "qr.success_all_failed",
    defect="DEF-090",
    severity="S1",
    overrides=PacsHabits.ended,
    notices="the workstation says that a study is there of which images failed (0000 for B000 or A702)",
)
def success_all_failed(original: Callable[[int], int], status: int) -> int:
    """Call every retrieval that ended a success."""
    return 0 if status in {_SOME_FAILED, _NONE_SENT} else original(status)


@quirk(
    "img.metadata_private_missing",
    defect="DEF-128",
    severity="S2",
    overrides=PacsHabits.described,
    notices="the web viewer does not know what the maker wrote into the image (private attributes missing in the metadata)",
)
def metadata_private_missing(
    original: Callable[[dict[str, Any]], dict[str, Any]], elements: dict[str, Any]
) -> dict[str, Any]:
    """Describe an image without its private attributes."""
    return original({key: value for key, value in elements.items() if not _is_private(key)})


@quirk(
    "img.ds_reformat",
    defect="DEF-257",
    severity="S2",
    overrides=PacsHabits.described,
    notices="a length that was measured in the web viewer is not the one of the workstation (Pixel Spacing rounded)",
)
def ds_reformat(
    original: Callable[[dict[str, Any]], dict[str, Any]], elements: dict[str, Any]
) -> dict[str, Any]:
    """Round what was written as a decimal string."""
    spacing = str(elements.get("PixelSpacing") or "")
    rounded = "\\".join(f"{float(one):.6g}" for one in spacing.split("\\")) if spacing else ""
    return original({**elements, "PixelSpacing": rounded} if spacing else elements)


@quirk(
    "pat.missing_pid_name",
    defect="DEF-217",
    severity="S2",
    overrides=PacsHabits.unnumbered,
    notices="two unknown patients of one night are one, with the images of both (all without (0010,0020) filed together)",
)
def missing_pid_name(_: Callable[[str], str], study: str) -> str:
    """File everybody without a number under no number."""
    return study[:0]


def _is_private(key: str) -> bool:
    """Tell whether a key names an element of an odd group (PS3.5 section 7.8)."""
    return (
        len(key) == 2 * _GROUP
        and key[:_GROUP].isalnum()
        and key[_GROUP - 1] in "13579BDFbdf"
        and key[0].isdigit()
    )


@quirk(
    "find.wildcard_wrong_operand",
    defect="DEF-104",
    severity="S2",
    overrides=PacsHabits.keys,
    notices="a patient of whom one typed the beginning of the name is not found (* compared as a letter)",
)
def wildcard_wrong_operand(
    original: Callable[[dict[str, Any]], dict[str, Any]], identifier: dict[str, Any]
) -> dict[str, Any]:
    """Compare a wildcard with something else than the value."""
    name = str(identifier.get("PatientName") or "")
    starred = "*" in name and name != "*"
    return original({**identifier, "PatientName": name.replace("*", "~")} if starred else identifier)


@quirk(
    "qido.open_range",
    defect="DEF-105",
    severity="S3",
    overrides=PacsHabits.keys,
    notices="a search for everything before a day finds nothing (a range with one end taken for a date)",
)
def open_range(
    original: Callable[[dict[str, Any]], dict[str, Any]], identifier: dict[str, Any]
) -> dict[str, Any]:
    """Want both ends of a range."""
    day = str(identifier.get("StudyDate") or "")
    open_end = day.startswith("-") or day.endswith("-")
    return original({**identifier, "StudyDate": day.strip("-")} if open_end else identifier)


@quirk(
    "qr.move_anywhere",
    defect="DEF-239",
    severity="S2",
    overrides=PacsHabits.reroutes,
    notices="images go to a station that nobody asked for (C-MOVE to an unknown destination carried out, no A801)",
)
def move_anywhere(_: Callable[[str], str], calling: str) -> str:
    """Send what has no known destination to whoever asked."""
    return calling


@quirk(
    "img.ts_mislabel",
    defect="DEF-123",
    severity="S2",
    overrides=PacsHabits.marks,
    notices="images that came over the web cannot be opened ((0002,0010) is not how the file is written)",
)
def ts_mislabel(original: Callable[[str], str], transfer_syntax: str) -> str:
    """Name the other of two encodings."""
    return IMPLICIT_LE if original(transfer_syntax) == EXPLICIT_LE else EXPLICIT_LE
