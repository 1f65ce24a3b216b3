"""The command: taps in the foreground until somebody says enough, then drafts.

As long as it records, nothing is written anywhere. Errors are told by their name alone, warnings and logs of libraries not at all, and no
core is dumped: each could repeat what was heard. What the machine swaps out is not in our hands.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import signal
import sys
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput, Broken, StepwedgeError
from stepwedge.lab.recording.drafts import INDEX, write
from stepwedge.lab.recording.ear import Recording
from stepwedge.lab.recording.links import Link, Wish, links
from stepwedge.lab.recording.surrogates import Surrogates
from stepwedge.sim.tap.tap import Tap
from stepwedge.sim.tap.witness import Behind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

LONGEST: Final = 24 * 3600.0
_TIME: Final = re.compile(r"(\d{1,5})(s|min|h)")
_UNITS: Final = {"s": 1, "min": 60, "h": 3600}
_LOOKS: Final = 0.1
"""Seconds between two looks whether enough was heard."""
_TOLD: Final = 10.0
"""Seconds between two lines of progress where there is no terminal."""


@dataclass(frozen=True, slots=True)
class Until:
    """When it is enough: after so many seconds, or so many exchanges; 0 is whenever somebody says so."""

    seconds: float = 0
    messages: int = 0

    @classmethod
    def read(cls, time_: str, messages: int) -> Until:
        """Read a time such as ``90s``, ``30min`` or ``8h``."""
        if not time_:
            return cls(0, messages)
        found = _TIME.fullmatch(time_)
        seconds = int(found[1]) * _UNITS[found[2]] if found else 0
        if not 0 < seconds <= LONGEST:
            raise BadInput("--for", "a time such as 90s, 30min or 8h, at most 24h", time_)
        return cls(seconds, messages)


def command(console: Console, wish: Wish, lab: Path | None, until: Until, folder: Path) -> int:
    """Record, write the drafts and say what somebody must decide; return the exit code: 5 when nothing was heard."""
    chosen, roles = links(wish, lab)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput("--out", "a folder that is not there or empty", str(folder), "name another one")
    _hush()
    surrogates = Surrogates()
    recording = Recording(surrogates)
    try:
        asyncio.run(_record(console, chosen, recording, until))
        console.print()
        return _written(console, recording, roles, folder)
    except StepwedgeError:
        raise
    except OSError as trouble:
        raise Broken(
            f"{trouble.strerror or type(trouble).__name__}: {', '.join(_listens(one) for one in chosen)}"
        ) from None
    except Exception as trouble:  # noqa: BLE001 - its text and trace may hold what must not be repeated
        raise Broken(
            f"{type(trouble).__name__} in the recorder; nothing was written that was heard"
        ) from None
    finally:
        surrogates.forget()


def _hush() -> None:
    """Let nothing but us say anything, and leave no memory behind when the process dies."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(ImportError, ValueError, OSError):  # no such thing on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _listens(link: Link) -> str:
    return f"{link.edge} at {link.listen[0]}:{link.listen[1]}"


async def _record(console: Console, chosen: Sequence[Link], recording: Recording, until: Until) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in its loop
            loop.add_signal_handler(number, over.set)

    def trouble(_: Any, context: dict[str, Any]) -> None:
        recording.unread[type(context.get("exception")).__name__] += 1

    loop.set_exception_handler(trouble)
    taps: list[Tap] = []
    behind, witnesses = Behind(), recording.witnesses()
    try:
        for link in chosen:
            reads = witnesses.of(link.edge, link.root, sealed=False)
            tap = Tap(link.edge, link.to, reads, behind=behind)
            tap.host = link.listen[0]
            await tap.listen(link.listen[1])
            taps.append(tap)
            line = f"{link.edge}: {tap.host}:{tap.port} -> {link.to[0]}:{link.to[1]}"
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        console.print("recording; Ctrl-C ends it and writes the drafts", highlight=False)
        sys.stdout.flush()
        await _enough(console, recording, until, over)
    finally:
        for tap in taps:
            await tap.close()
        behind.finish()


async def _enough(console: Console, recording: Recording, until: Until, over: asyncio.Event) -> None:
    end = time.monotonic() + until.seconds if until.seconds else None
    told, shown = time.monotonic(), -1
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOKS):
                await over.wait()
        heard, now = recording.counts.total(), time.monotonic()
        if heard != shown and (console.is_terminal or now - told >= _TOLD):
            told, shown = now, heard
            last = recording.heard[-1] if recording.heard else ""
            line = f"{heard} exchanges, the last: {last}"
            console.print(
                line[: console.width - 1].ljust(console.width - 1),
                end="\r" if console.is_terminal else "\n",
                markup=False,
                highlight=False,
            )
        if (end is not None and now >= end) or (until.messages and heard >= until.messages):
            return


def _written(console: Console, recording: Recording, roles: dict[str, str], folder: Path) -> int:
    if not recording.heard:
        console.print("nothing was heard that could be read; nothing was written", highlight=False)
        return 5
    for path, draft in write(recording, roles, folder):
        count = len(draft.decisions)
        decide = f"; somebody must decide at {count} lines" if count else ""
        drawn = "; pictures may show whose they are, none was kept" if draft.drawn_on else ""
        console.print(
            f"wrote {path}: {draft.steps} steps{decide}{drawn}", markup=False, highlight=False, soft_wrap=True
        )
    console.print(
        f"wrote {folder / INDEX}\nnext: read the drafts, then stepwedge check {folder} && stepwedge run {folder}/*.yaml",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return 0
