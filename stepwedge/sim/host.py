"""Run simulated systems in one process: start, tell where they are, serve until told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.evidence.journal import Journal
from stepwedge.sim.address import Address, Directory
from stepwedge.sim.audit import Trail, Wish
from stepwedge.sim.bench import Bench
from stepwedge.sim.ports import LOOPBACK, Ports
from stepwedge.sim.quirks import Quirk, Quirks, unknown
from stepwedge.sim.shared_quirks import SHARED
from stepwedge.sim.tap.apart import Apart
from stepwedge.sim.tap.taps import TapPlan, Taps
from stepwedge.sim.tap.witnesses import Witnesses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from stepwedge.sim.simulator import Simulator
    from stepwedge.sim.web import WebServer

READY = "hospital.json"
AUDITOR = "auditor"
"""The role whose systems keep the audit records of all others."""
BEAT = 2.0
"""Seconds between two signs of life."""
PARENT_LOOKS = 0.25
"""Seconds between two looks whether the process that started us still lives."""


@dataclass(frozen=True, slots=True)
class Part:
    """One simulated actor to play: the simulator (``role``) and its settings from the lab file."""

    role: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Own:
    """Where others reach one process: its host name, and the port of its admin API; nothing named, nothing fixed."""

    host: str = ""
    admin: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom to play, and who else is there.

    Attributes:
        parts: actor name to part.
        others: addresses of those that are not played here.
        own: where the others reach this process, when it plays one actor out of many.
        taps: between whom traffic is led through a tap.
    """

    parts: dict[str, Part]
    others: dict[str, Address] = field(default_factory=dict)
    own: Own = Own()
    taps: list[TapPlan] = field(default_factory=list)

    @classmethod
    def parse(cls, document: Any, place: str) -> Plan:
        """Read ``{"actors": {name: {"role", "settings"}}, "directory": {name: {"hl7": "mllp://..", ...}}}``."""
        if (
            not isinstance(document, dict)
            or not isinstance(document.get("actors"), dict)
            or not document["actors"]
        ):
            raise BadInput(place, 'an object with "actors"', type(document).__name__)
        parts = {
            name: Part(part["role"], part.get("settings") or {}) for name, part in document["actors"].items()
        }
        directory = document.get("directory") or {}
        others = {name: Address.parse(doors, f"{place}: {name}") for name, doors in directory.items()}
        taps = [TapPlan.parse(one, f"{place}: taps") for one in document.get("taps") or ()]
        return cls(parts, others, taps=taps)

    def alone(self, name: str, place: str) -> Plan:
        """Return the plan of a process that plays one actor, at the doors that the directory gives for it."""
        if name not in self.parts or name not in self.others:
            both = [one for one in self.parts if one in self.others]
            raise BadInput(place, f"one of {', '.join(both) or 'none'}, in actors and in directory", name)
        part, address = self.parts[name], self.others[name]
        doors = {door: urlsplit(text) for door, text in address.format().items() if "//" in text}
        ports = {
            f"{'dicom' if door == 'worklist' else door}_port": url.port
            for door, url in doors.items()
            if url.port
        }
        admin = ports.pop("admin_port", None)
        entity = address.dicom or address.worklist
        title = {"ae_title": entity.ae} if entity else {}
        settings = {**part.settings, **ports, **title}
        others = {other: there for other, there in self.others.items() if other != name}
        host = next((url.hostname for url in doors.values() if url.hostname), "")
        return Plan({name: Part(part.role, settings)}, others, Own(host, admin))


class Host:
    """The simulated actors of one process, their shared journal and directory, and their admin API."""

    def __init__(
        self, plan: Plan, state: Path, seed: int, quirks: Sequence[str] = (), bind: str = LOOPBACK
    ) -> None:
        state.mkdir(parents=True, exist_ok=True)
        self._plan = plan
        self._state = state
        self._seed = seed
        self.journal = Journal(state)
        self.directory = Directory(plan.others)
        self._ports = Ports(state / "ports.json", plan.own.host or bind, bind)
        self.taps = Taps(plan.taps, self._ports)
        self.simulators: dict[str, Simulator] = {}
        self._witnesses: dict[str, Bench] = {}
        packages = {name: kit.load_simulator(part.role) for name, part in plan.parts.items()}
        known = {name: {**SHARED, **getattr(package, "QUIRKS", {})} for name, package in packages.items()}
        _check(quirks, known.values())
        for name, part in plan.parts.items():
            folder, own = state / name, Quirks(known[name])
            own.set(quirk for quirk in quirks if quirk in known[name])
            bench = Bench(
                name, part.role, part.settings, folder, seed, self.journal, self.directory, self._ports, own
            )
            bench.trail = self._trail(bench)
            self.simulators[name] = packages[name].build(bench)

    def _trail(self, bench: Bench) -> Trail | None:
        """Give a system its audit trail when the lab has an audit record repository; a repository tells nobody but itself."""
        if bench.role == AUDITOR:
            return None
        simulated = [name for name, part in self._plan.parts.items() if part.role == AUDITOR]
        repositories = [*simulated, *self.directory.having("syslog")]
        wish = Wish.read(bench.settings.get("audit"), bench.name, next(iter(repositories), ""))
        return Trail(bench, wish) if wish else None

    async def start(self) -> str:
        """Open every door, then let out what waits; return the URL of the admin API."""
        for name, simulator in self.simulators.items():
            await simulator.start()
            self.directory[name] = simulator.addresses()
        watch = Apart(Witnesses(self._witness), self._witness, self.journal)
        await self.taps.start(self.directory, self._wire, watch)
        self._admin, admin = await self._serve_admin()
        for simulator in self.simulators.values():
            simulator.begin()
        self._tell(admin)
        return admin

    async def stop(self) -> None:
        """Stop every system and take back the word that we are ready."""
        (self._state / READY).unlink(missing_ok=True)
        await self._admin.stop()
        await self.taps.stop()
        for simulator in self.simulators.values():
            await simulator.stop()
        for bench in self._witnesses.values():
            await bench.stop()
        self.journal.close()

    def _witness(self, name: str) -> Bench | None:
        """Return where taps write down what passes to a real system; a simulated one keeps its own journal, here or elsewhere."""
        if name in self.simulators or self.directory[name].admin is not None:
            return None
        if name not in self._witnesses:
            settings = next(iter(self._plan.parts.values())).settings if self._plan.parts else {}
            own = {"identity": settings.get("identity") or {}}
            folder = self._state / "taps" / name
            told = (self.journal, self.directory, self._ports)
            self._witnesses[name] = Bench(name, "tap", own, folder, self._seed, *told)
        return self._witnesses[name]

    def _wire(self, caller: str, directory: Directory) -> None:
        """Let a simulated actor call others where its taps are; a real one must be told by its people."""
        if caller in self.simulators:
            self.simulators[caller].bench.directory = directory

    async def _serve_admin(self) -> tuple[WebServer, str]:
        from stepwedge.sim.admin import Admin
        from stepwedge.sim.web import WebServer

        own = self._plan.own
        server = WebServer(Admin(self.simulators, self.journal, self.taps, own.host))
        _, port = await self._ports.listen(
            "host", "admin", own.admin, lambda port: server.start(self._ports.bind, port)
        )
        return server, f"http://{self._ports.host}:{port}"

    def _tell(self, admin: str) -> None:
        """Write where everybody is, at once or not at all."""
        actors = {
            name: {
                "role": self._plan.parts[name].role,
                "address": simulator.addresses().format(),
                "admin": f"{admin}/{name}",
            }
            for name, simulator in self.simulators.items()
        }
        taps = self.taps.told()["taps"]
        draft = self._state / f"{READY}.part"
        draft.write_text(
            json.dumps(
                {"pid": os.getpid(), "admin": admin, "seed": self._seed, "actors": actors, "taps": taps},
                indent=1,
            )
        )
        draft.replace(self._state / READY)


def _check(quirks: Sequence[str], known: Iterable[dict[str, Quirk]]) -> None:
    """Refuse a quirk that none of the actors can have."""
    everybody = {name for each in known for name in each}
    for name in quirks:
        if name not in everybody:
            raise unknown(name, everybody)


def settle() -> None:
    """Let the garbage collector pass over what stays as long as the process: modules, catalogues, the doors."""
    gc.collect()
    gc.freeze()


async def serve(host: Host, parent: int | None = None, alive: Path | None = None) -> None:
    """Run until SIGTERM or SIGINT, or until the process ``parent`` is gone; ``alive`` is touched as long as we serve."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers in its loop
            loop.add_signal_handler(number, over.set)
    await host.start()
    settle()
    tasks = [loop.create_task(_watch(parent, over))] if parent else []
    if alive:
        tasks.append(loop.create_task(_beat(alive)))
    try:
        await over.wait()
    finally:
        for task in tasks:
            task.cancel()
        await host.stop()


async def _beat(alive: Path) -> None:
    """Touch a file every few seconds: whoever looks at its age learns, at no cost, whether this process still serves."""
    while True:
        alive.touch()  # noqa: ASYNC240 - one system call, on a file system in memory
        await asyncio.sleep(BEAT)


async def _watch(parent: int, over: asyncio.Event) -> None:
    """Set ``over`` when a process is gone: an aborted run must leave nothing behind."""
    ours = (
        os.getppid() == parent
    )  # then a change of our parent tells, even while the dead one still has its number
    while os.getppid() == parent if ours else _alive(parent):  # noqa: ASYNC110 - the system tells nobody
        await asyncio.sleep(PARENT_LOOKS)
    over.set()


def _alive(process: int) -> bool:
    """Tell whether a process exists; Windows cannot be asked without harm, so there it is taken to exist."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
