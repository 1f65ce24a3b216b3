"""``stepwedge endure``: break an archive on purpose while it stores, and see whether it keeps what it acknowledged.

Each round stores a study by one door, breaks something meanwhile, puts it right, waits until all is still, and reads the study by
the other door; sends again what is unknown, under the same UIDs; and reads again. In the end everything is read once more, after
one more start, by both doors. Loopback only; what is killed, paused or ended is the process that was started here.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from stepwedge.errors import BadInput, Broken, Inconclusive, StepwedgeError, WireError
from stepwedge.load import judging
from stepwedge.load.archive import Archive, SmallDisk
from stepwedge.load.doors import Dimse, Door, Web, quiet
from stepwedge.load.intents import Intents, study
from stepwedge.load.judging import Finding
from stepwedge.load.strike import Strike
from stepwedge.sim.tap.countdown import After
from stepwedge.sim.tap.fault import ANSWER, REQUEST, Fault, Wish
from stepwedge.sim.tap.faults import kinds
from stepwedge.sim.tap.tap import Edge, Tap
from stepwedge.sim.tap.taps import place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from stepwedge.lab.labfile import Lab
    from stepwedge.load.intents import Image, Study

TROUBLES: Final = ("kill", "answer-lost", "pause", "partition", "restart", "disk-full")
WINDOWS: Final = ("unacknowledged", "inside", "behind")
"""Where a kill strikes: when the answer leaves and before it arrives; inside an image; a moment behind a byte of one."""
_PATIENT: Final = 10.0
_IMPATIENT: Final = 1.0
"""Seconds a sender waits for an answer where the trouble is silence; the trouble lasts longer."""
_SILENCE: Final = 1.6
_MOMENT: Final = 0.03
_SENDERS: Final = 3
_TRIES: Final = 3


@dataclass
class Round:
    """One round: what was broken, how, and what came of it.

    Attributes:
        window: where exactly, of a kill.
        acted: proof that it happened, in words; empty when it did not, and then nothing was proven.
        unknown: of how many images nobody could tell; ``arrived`` is how many of them were there all the same.
        recovered: seconds until both doors answered again; 0 when it had not ended.
    """

    number: int
    trouble: str
    door: str
    window: str = ""
    acted: str = ""
    attempted: int = 0
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    arrived: int = 0
    recovered: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    unsure: str = ""


@dataclass(frozen=True)
class Plan:
    """What is to be done to which archive.

    Attributes:
        kills: rounds with SIGKILL; the other troubles have ``others`` rounds each, at both doors in turn.
        minutes: after these no further round begins, and the result is inconclusive.
    """

    lab: Lab
    name: str
    folder: Path
    kills: int = 100
    others: int = 2
    images: int = 6
    seed: int = 1
    troubles: Sequence[str] = TROUBLES
    minutes: float = 30.0

    def rounds(self) -> list[tuple[str, str]]:
        """Return trouble and door of each round; a full disk comes last, it needs a disk of its own."""
        counts = {
            one: self.kills if one == "kill" else self.others for one in TROUBLES if one in self.troubles
        }
        return [(one, ("dimse", "dicomweb")[at % 2]) for one, count in counts.items() for at in range(count)]


class Endurance:
    """All rounds against one archive."""

    def __init__(self, plan: Plan, tell: Callable[[Round], None] = lambda _: None) -> None:
        self.plan, self.tell = plan, tell
        self.random = random.Random(plan.seed)  # noqa: S311 - it must be repeatable, not secret
        self.intents = Intents(plan.folder)
        self.archive = Archive(plan.lab, plan.name, plan.folder / "state")
        self.rounds: list[Round] = []
        self.studies: dict[int, Study] = {}
        self.findings: list[Finding] = []
        self.left = 0
        self.disk: SmallDisk | None = None
        self.trouble = ""
        self._taps: dict[str, Tap] = {}

    async def run(self) -> None:
        """Do all rounds; when the archive cannot be started any more, ``trouble`` says so."""
        deadline = time.monotonic() + self.plan.minutes * 60
        wanted = self.plan.rounds()
        try:
            await self._listen()
            await asyncio.to_thread(self.archive.start)
            for number, (trouble, door) in enumerate(wanted, 1):
                if time.monotonic() > deadline:
                    self.left = len(wanted) - number + 1
                    break
                if trouble == "disk-full":
                    await self._on_a_small_disk(number, door)
                else:
                    await self._round(Round(number, trouble, door))
            await self._at_the_end()
        except BadInput:
            raise
        except StepwedgeError as trouble:
            self.trouble = f"{type(trouble).__name__}: {trouble}"
        finally:
            for tap in self._taps.values():
                await tap.close()
            self.archive.stop()
            self.intents.close()

    async def _listen(self) -> None:
        address = self.archive.address
        for door, to in (("dicom", address.dicom), ("web", address.web)):
            tap = Tap(Edge("ct", self.plan.name, door), place(to))
            await tap.listen()
            self._taps["dimse" if door == "dicom" else "dicomweb"] = tap

    def _door(self, name: str, *, tapped: bool, within: float = _PATIENT) -> Door:
        port = self._taps[name].port if tapped else 0
        made: type[Dimse | Web] = Dimse if name == "dimse" else Web
        return made(self.archive.address, port, within)

    def _other(self, name: str) -> Door:
        """Return the door by which is read what came in by another."""
        return self._door("dicomweb" if name == "dimse" else "dimse", tapped=False)

    # One round

    async def _round(self, said: Round) -> None:
        """Store and break, put right, read by the other door, send again, read again."""
        self.rounds.append(said)
        count = self.plan.images * (_SENDERS if said.trouble == "restart" else 1)
        sent = self.studies[said.number] = study(self.plan.seed, said.number, count)
        try:
            await getattr(self, f"_{said.trouble.replace('-', '_')}")(said, sent)
            self._count(said, sent)
            await self._judged(said, sent, "before")
            await self._again(said, sent)
            await self._judged(said, sent, "after")
            said.findings += judging.unresolved(said.number, sent, said.door)
        except Broken as trouble:
            said.findings.append(Finding(said.number, "not recovered", "", said.door, "before", str(trouble)))
        except StepwedgeError as trouble:
            said.unsure = f"{type(trouble).__name__}: {trouble}"
            if not self.archive.alive:
                ended = f"it ended by itself: {trouble}"
                said.findings.append(Finding(said.number, "not recovered", "", said.door, "after", ended))
        if not said.acted and not said.unsure:
            said.unsure = "the trouble never came, so nothing was proven"
        self.findings += said.findings
        self.tell(said)
        if not self.archive.alive:
            await asyncio.to_thread(self.archive.start)

    def _count(self, said: Round, sent: Study) -> None:
        said.attempted = sum(bool(one.state) for one in sent.images)
        said.acknowledged, said.refused = len(sent.having("acknowledged")), len(sent.having("refused"))
        said.unknown = len(sent.having("attempted"))

    async def _judged(self, said: Round, sent: Study, when: str) -> None:
        door = self._other(said.door)
        await quiet(door, sent)
        held = await door.held(sent)
        if when == "before":
            said.arrived = sum(held.listed[one.sop] > 0 for one in sent.having("attempted"))
        said.findings += judging.judge(said.number, sent, held, door.name, when)

    async def _again(self, said: Round, sent: Study) -> None:
        """Send what is not acknowledged under the same UIDs, all trouble gone."""
        for _ in range(_TRIES):
            left = [one for one in sent.images if one.state != "acknowledged"]
            if not left:
                return
            await self._sent(self._door(said.door, tapped=True), sent, left, said.number)

    async def _stored(self, said: Round, sent: Study, within: float = _PATIENT) -> None:
        """Store a study through the tap until it is through or the link is lost; what is unknown stays so."""
        await self._sent(self._door(said.door, tapped=True, within=within), sent, sent.images, said.number)

    async def _sent(self, door: Door, sent: Study, images: Sequence[Image], number: int) -> None:
        """Send images as far as it goes; of those that got no answer is kept why."""
        try:
            await door.store(sent, images, self.intents, number)
        except WireError as trouble:
            for image in images:
                if image.unknown:
                    image.status = f"{type(trouble).__name__}: {trouble}"

    @contextlib.asynccontextmanager
    async def _with(self, said: Round, fault: Fault) -> AsyncIterator[None]:
        tap = self._taps[said.door]
        await tap.begin(fault)
        try:
            yield
        finally:
            if left := await tap.lift():
                raise Inconclusive(f"the tap is not as it was: {left}")

    # Troubles

    async def _kill(self, said: Round, sent: Study) -> None:
        """SIGKILL, aimed from the wire."""
        said.window = WINDOWS[(said.number // 2) % len(WINDOWS)]
        fault = self._aimed(said, sent)
        async with self._with(said, fault):
            await self._stored(said, sent)
        if not fault.count:
            return
        code = await asyncio.to_thread(self.archive.ended)
        at = fault.acts[0]
        said.acted = f"{signal.Signals(-code).name if code < 0 else f'exit {code}'} at byte {at.offset} of the {at.side}"
        if code != -signal.SIGKILL:
            raise Inconclusive(f"it ended with {code} before it was killed")
        said.recovered = await asyncio.to_thread(self.archive.start)

    def _aimed(self, said: Round, sent: Study) -> Strike:
        """Return the fault that kills at the place and moment of this round."""
        if said.window == "unacknowledged":
            which = self.random.randrange(len(sent.images) if said.door == "dimse" else len(sent.images) // 2)
            # DIMSE: behind the acceptance and the answers before, at the first byte of this one; web: a connection each
            after = After(1 + which, 1) if said.door == "dimse" else After(bytes=1, connection=1 + which)
            return Strike(ANSWER, after, self.archive.kill, withholds=True)
        size = sum(len(one.instance.data) for one in sent.images)
        if said.door == "dimse":
            after = After(bytes=self.random.randrange(1, size))
        else:
            requests = len(sent.images) // 2
            after = After(
                bytes=self.random.randrange(1, size // requests),
                connection=1 + self.random.randrange(requests),
            )
        delay = self.random.random() * _MOMENT if said.window == "behind" else 0.0
        return Strike(REQUEST, after, self.archive.kill, delay=delay)

    async def _answer_lost(self, said: Round, sent: Study) -> None:
        """What the archive answers never arrives; it goes on running."""
        after = After(1 + self.random.randrange(len(sent.images))) if said.door == "dimse" else After()
        fault = kinds()["no-answer"](Wish("no-answer", ANSWER, after, times=1, args={"then": "reset"}))
        async with self._with(said, fault):
            await self._stored(said, sent)
        said.acted = f"{fault.acts[0].bytes} bytes of an answer lost" if fault.count else ""

    async def _pause(self, said: Round, sent: Study) -> None:
        """SIGSTOP for longer than the sender waits, then SIGCONT."""
        size = sum(len(one.instance.data) for one in sent.images) // (1 if said.door == "dimse" else 4)
        fault = Strike(REQUEST, After(bytes=self.random.randrange(1, size)), self.archive.pause)
        async with self._with(said, fault):
            began = time.monotonic()
            try:
                await self._stored(said, sent, _IMPATIENT)
                await asyncio.sleep(max(0.0, _SILENCE - (time.monotonic() - began)))
            finally:
                self.archive.go_on()
        said.acted = f"paused for {time.monotonic() - began:.1f} s" if fault.count else ""

    async def _partition(self, said: Round, sent: Study) -> None:
        """The link is cut both ways while images are on it, and healed."""
        fault = kinds()["partition"](Wish("partition"))
        awaited = sent.images[self.random.randrange(len(sent.images) // 2)]
        sending = asyncio.create_task(self._stored(said, sent, _IMPATIENT))
        while not awaited.state and not sending.done():  # noqa: ASYNC110 - it has no event, and passes in a millisecond
            await asyncio.sleep(0)
        async with self._with(said, fault):
            await asyncio.sleep(_SILENCE)
        await sending
        said.acted = f"{fault.count} times kept back" if fault.count else ""

    async def _restart(self, said: Round, sent: Study) -> None:
        """SIGTERM while several senders store, and a start on what it kept."""
        parts = [sent.images[at::_SENDERS] for at in range(_SENDERS)]
        doors = [self._door(said.door, tapped=True) for _ in parts]

        size = sum(len(one.instance.data) for one in parts[0][:2])  # so much comes on every connection
        fault = Strike(REQUEST, After(bytes=self.random.randrange(1, size)), self.archive.terminate)
        async with self._with(said, fault):
            await asyncio.gather(
                *(
                    self._sent(door, sent, images, said.number)
                    for door, images in zip(doors, parts, strict=True)
                )
            )
        if not fault.count:
            return
        code = await asyncio.to_thread(self.archive.ended)
        said.acted = f"SIGTERM under load, exit {code}"
        said.recovered = await asyncio.to_thread(self.archive.start)

    async def _on_a_small_disk(self, number: int, door: str) -> None:
        """Play one round on a disk of its own, which is gone afterwards."""
        usual, self.archive = (
            self.archive,
            Archive(self.plan.lab, self.plan.name, self.plan.folder / f"disk-{number}"),
        )
        usual.stop()
        disk = SmallDisk(self.archive.state / self.plan.name)
        self.archive.inside, self.disk = disk.inside, disk
        try:
            await asyncio.to_thread(self.archive.start)
            await self._round(Round(number, "disk-full", door, window=disk.kind))
        finally:
            self.archive.stop()
            self.archive = usual
            self.studies.pop(number, None)
        await asyncio.to_thread(usual.start)

    async def _disk_full(self, said: Round, sent: Study) -> None:
        """No room on the disk: what comes must be refused, and taken when there is room again."""
        disk, half = self.disk, len(sent.images) // 2
        assert disk is not None  # noqa: S101 - who plays the round made it
        door = self._door(said.door, tapped=True)
        await door.store(sent, sent.images[:half], self.intents, said.number)
        size = await asyncio.to_thread(disk.fill, self.archive)
        try:
            await self._sent(door, sent, sent.images[half:], said.number)
            if not self.archive.alive:
                raise Broken("it ended when its disk was full")
            mute = await asyncio.to_thread(self.archive.mute)
        finally:
            if self.archive.alive:
                await asyncio.to_thread(disk.free, self.archive)
        hit = [*sent.having("refused"), *sent.having("attempted")]
        if hit:
            answers = ", ".join(sorted({one.status or "no answer" for one in hit}))
            echo = f"no C-ECHO meanwhile ({mute})" if mute else "C-ECHO meanwhile"
            said.acted = f"full after {size} bytes ({disk.kind}); answered with {answers}; {echo}"

    # The end

    async def _at_the_end(self) -> None:
        """Start once more, and read everything by both doors."""
        self.archive.stop()
        await asyncio.to_thread(self.archive.start)
        for number, sent in self.studies.items():
            for name in ("dimse", "dicomweb"):
                door = self._door(name, tapped=False)
                held = await door.held(sent)
                self.findings += judging.judge(number, sent, held, name, "end")
