"""What systems of a lab run on: a process of their own or a container; and the trouble that it can have.

A machine tells the truth about what was done to it: each of its verbs returns the evidence that it acted (an exit code, a state, an
error that was seen), and raises ``Inconclusive`` when there is none. No verdict rests on an open port: a paused process
still accepts connections.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from stepwedge.sim.tap.fault import Argument

if TYPE_CHECKING:
    from collections.abc import Mapping

DELAY: Final = Argument(
    "delay",
    "how long after the step it strikes, so that it hits what the next step does",
    0.0,
    "seconds",
    0,
    30,
)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A kind of fault that a whole system can have.

    Attributes:
        on, off: the machine's verbs that begin and end it; without ``off`` it is over when it has acted.
        mute: whether the proof is that no new connection is answered.
        away: whether the system answers nobody meanwhile, so that its journal has to wait.
        takes: arguments of the step; all but ``delay`` go to ``on``.
    """

    kind: str
    says: str
    on: str
    off: str = ""
    away: bool = False
    mute: bool = False
    takes: tuple[Argument, ...] = (DELAY,)


KINDS: Final = {
    one.kind: one
    for one in (
        Trouble("kill", "the process is killed (SIGKILL) and stays down; started again at the end", "kill", "start", away=True),
        Trouble("stop", "the process is told to end (SIGTERM) and stays down; started again at the end", "stop", "start", away=True),
        Trouble("pause", "the process stands still: connections are accepted, nobody answers", "pause", "resume", away=True),
        Trouble("restart", "the process is told to end (SIGTERM) and is started again at once", "restart", away=True),
        Trouble("disk-full", "the disk of its state has no free byte (ENOSPC)", "fill", "free"),
        Trouble(
            "fd-limit",
            "it may open no further file and no further connection (RLIMIT_NOFILE, EMFILE)",
            "limit_files",
            "free_files",
            mute=True,
            takes=(DELAY, Argument("spare", "how many more it may open", 0, "number", 0, 1024)),
        ),
    )
}  # fmt: skip
"""The kinds of fault of whole systems, by the name scenarios use: those of Docker, Pumba and Chaos Mesh where they have one."""


class Machine(Protocol):
    """What one system runs on; each verb returns the evidence that it acted, or raises ``Inconclusive``."""

    def cannot(self, kind: str) -> str:
        """Return why it cannot have this trouble here; empty when it can."""

    def kill(self) -> str:
        """Kill it; it stays down."""

    def stop(self) -> str:
        """Ask it to end; it stays down."""

    def start(self) -> str:
        """Start it again."""

    def restart(self) -> str:
        """Ask it to end, and start it again."""

    def pause(self) -> str:
        """Let it stand still."""

    def resume(self) -> str:
        """Let it go on."""

    def fill(self) -> str:
        """Fill the disk of its state."""

    def free(self) -> str:
        """Free the disk of its state."""

    def limit_files(self, spare: int = 0) -> str:
        """Let it open no more than ``spare`` further files."""

    def free_files(self) -> str:
        """Give it back the files it may open."""


def act(machine: Machine, verb: str, args: Mapping[str, Any]) -> str:
    """Use one verb of a machine; return the evidence."""
    return str(getattr(machine, verb)(**args))
