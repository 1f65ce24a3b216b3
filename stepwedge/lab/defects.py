"""The table of known defects, ``fixtures/defects.yaml``: which quirks each is, or why it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from stepwedge import kit

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "fixtures/defects.yaml"
STANDINGS: Final = ("quirks", "instead", "unseen", "load", "missing")
"""How a defect can stand; a row says exactly one of them."""


class Defect(BaseModel):
    """One known defect.

    Attributes:
        severity: S1 (patient harm) to S4.
        quirks: the wrong behaviours of simulated systems that are this defect.
        instead: the observable quirk that does the same harm; ``why`` the defect itself cannot be seen.
        unseen: why no interface shows it; ``load``: why it takes a load run; ``missing``: what nobody has written yet.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    severity: Literal["S1", "S2", "S3", "S4"]
    quirks: tuple[str, ...] = ()
    instead: str = ""
    why: str = ""
    unseen: str = ""
    load: str = ""
    missing: str = ""

    @property
    def standing(self) -> str:
        """Return the one of ``STANDINGS`` that the row says first."""
        return next((one for one in STANDINGS if getattr(self, one)), "")

    @property
    def reason(self) -> str:
        """Return why it is no quirk, in words."""
        told = f"as {self.instead}: {self.why}" if self.instead else getattr(self, self.standing or "why")
        return str(told)


def read(path: Path | None = None) -> dict[str, Defect]:
    """Return the table, by defect number."""
    text = (path or kit.find(FILE)).read_text(encoding="utf-8")
    return TypeAdapter(dict[str, Defect]).validate_python(yaml.safe_load(text))
