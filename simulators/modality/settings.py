"""What a lab file may say about a scanner."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

PROTOCOLS: Final = {
    "CTCHEST1": "ct-chest",
    "CTHEAD1": "ct-head",
    "CTABDN": "ct-abdomen",
    "CTABDC": "ct-abdomen",
    "MRBRAIN1": "mr-brain",
    "CRCHEST1": "cr-chest",
    "DXCHEST1": "dx-chest",
    "USABD1": "us-abdomen",
    "USCINE1": "us-abdomen-cine",
    "MGSCREEN1": "mg-screening",
    "MGTOMO1": "mg-tomosynthesis",
    "CTCHESTE1": "ct-chest-enhanced",
    "MRBRAINE1": "mr-brain-enhanced",
    "PTCTTORSO1": "pt-torso",
    "NMBONE1": "nm-bone",
    "NMBONE2": "nm-bone",
    "PTTORSO1": "pt-torso",
    "XACORO1": "xa-coronary",
    "RFSWALLOW1": "rf-swallow",
}
"""The protocol book of the department: scheduled protocol code to phantom."""

USUAL: Final = {
    "CT": "ct-chest",
    "MR": "mr-brain",
    "CR": "cr-chest",
    "DX": "dx-chest",
    "US": "us-abdomen",
    "MG": "mg-screening",
    "NM": "nm-bone",
    "PT": "pt-torso",
    "XA": "xa-coronary",
    "RF": "rf-swallow",
}
"""What a device of each modality scans when the worklist names no protocol it knows."""

ACCEPTANCE: Final = ("strict", "lenient")


@dataclass(frozen=True, slots=True)
class Settings:
    """Whom the scanner talks to, by actor name, and how patient it is.

    Attributes:
        modality: which kind of device it is, a key of ``USUAL``.
        acceptance: what becomes of a worklist entry without a value for a key of type 1: ``strict`` refuses it,
            ``lenient`` fills in.
        worklist: actor whose worklist it shows, and that hears of performed steps.
        archive: actor that takes images by C-STORE and commits itself to them.
        stow: the archive that takes images by STOW-RS, when it is not ``archive``, which may be a router.
        protocols: scheduled protocol code to phantom, instead of the protocol book of the department.
        commitment: seconds until a storage commitment result that never came counts as the archive's failure.
    """

    modality: str = "CT"
    acceptance: str = "strict"
    worklist: str = "ris"
    archive: str = "pacs"
    stow: str = ""
    commitment: float = 10.0
    protocols: Mapping[str, str] = field(default_factory=lambda: PROTOCOLS)

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Settings:
        """Read what concerns the scanner; ports, AE title and time limits belong to the bench."""
        read = cls(**{name: given[name] for name in cls.__dataclass_fields__ if name in given})
        for name, value, known in (
            ("modality", read.modality, USUAL),
            ("acceptance", read.acceptance, ACCEPTANCE),
        ):
            if value not in known:
                raise BadInput(f"modality: {name}", f"one of {', '.join(known)}", repr(value))
        return read
