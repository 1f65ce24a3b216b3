"""What a service class user gets: final responses, matches, instances, events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stepwedge.wire import status as codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stepwedge.wire.command import Command
    from stepwedge.wire.elements import Elements


@dataclass(frozen=True, slots=True)
class Result:
    """The final response of one operation: always a status that the peer really sent."""

    service: str
    status: int
    comment: str
    command: Command
    attributes: Elements = field(default_factory=dict)

    @property
    def category(self) -> str:
        """Success, warning, failure, pending, cancel or unknown."""
        return codes.category(self.service, self.status)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a C-FIND returned: the matches in order, and the final status."""

    identifiers: list[Elements]
    status: int
    comment: str
    command: Command
    raw: list[bytes]
    explicit: bool = False
    """Whether ``raw`` names the VR of each element."""

    @property
    def category(self) -> str:
        """Success, failure, cancel or unknown; anything but success means that matches may be missing."""
        return codes.category("C-FIND", self.status)

    def __len__(self) -> int:
        return len(self.identifiers)

    def __iter__(self) -> Iterator[Elements]:
        return iter(self.identifiers)

    def __getitem__(self, index: int) -> Elements:
        return self.identifiers[index]


@dataclass(frozen=True, slots=True)
class Instance:
    """One composite SOP instance with its data set as bytes in ``transfer_syntax``."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """How a C-MOVE or C-GET ended: the last counts the peer gave, and for C-GET what came."""

    service: str
    status: int
    comment: str
    command: Command
    completed: int
    failed: int
    warning: int
    failed_instances: list[str]
    instances: list[Instance] = field(default_factory=list)
    pending: int = 0

    @property
    def category(self) -> str:
        """Success, warning, failure, cancel or unknown."""
        return codes.category(self.service, self.status)


@dataclass(frozen=True, slots=True)
class Event:
    """An N-EVENT-REPORT that came from the peer and was answered with success."""

    sop_class: str
    sop_instance: str
    type: int
    attributes: Elements
