"""What the systems show when they are asked afterwards, asked once and kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.actors.cast import Cast
    from stepwedge.evidence.exchange import Exchange


@dataclass(slots=True)
class Readback:
    """The answers of the systems of one case, each question asked at most once."""

    cast: Cast
    exchanges: Sequence[Exchange]
