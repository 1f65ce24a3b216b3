"""Start the actors of a lab, find them, and end them: the simulated ones in one background process, real ones as told.

Simulated systems that run already, each by itself, are joined (:mod:`stepwedge.lab.apart`).

The simulated hospital ends by itself when we are gone; real systems that the lab file starts are held by
:mod:`stepwedge.lab.keep`. So nothing is left behind, however a run ends.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from stepwedge.actors.cast import Admin, Cast, Player
from stepwedge.actors.journals import Journals
from stepwedge.errors import BadInput, Broken
from stepwedge.lab import apart, preflight, security
from stepwedge.lab.child import Child, python
from stepwedge.sim.address import Address

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stepwedge.actors.wallet import Wallet
    from stepwedge.lab.labfile import Lab
    from stepwedge.lab.schema import Real

READY: Final = "hospital.json"
LOG: Final = "hospital.log"
ACTED: Final = "quirks.json"
_START: Final = 30.0
_BAD_INPUT: Final = 2
_JOURNAL: Final = 15.0
"""Seconds a system that runs by itself may take to hand over its journal: one that is paused never does."""


@dataclass
class Running:
    """A lab that runs.

    Attributes:
        told: what the hospital process says about itself: pid, admin, seed, actors.
    """

    lab: Lab
    state: Path
    told: dict[str, Any]
    children: list[Child] = field(default_factory=list)
    quirks: Sequence[str] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def cast(self) -> Cast:
        """Return who plays what, with lines of its own to the simulated actors."""
        claims = self.lab.claims
        players = {}
        for name in self.lab.actors:
            if name in self.told["actors"]:
                one = self.told["actors"][name]
                address = Address.parse(one["address"], name)
                players[name] = Player(
                    name, one["role"], simulated=True, address=address, admin=Admin(one["admin"])
                )
            else:
                real = self.lab.real[name]
                own = frozenset(self.lab.text.sut.claims)
                players[name] = Player(name, real.role, simulated=False, address=real.address, claims=own)
        tls = security.probe(self.lab, self.state)
        scale, logs = self.lab.text.patience.scale, (self.state / LOG,)
        cast = Cast(players, self._host(), claims, self.lab.text.probe.ae_title, scale, tls, logs)
        cast.tokens = self._wallet(cast)
        taps = ((*one["on"].split("->"), one["door"]) for one in self.told.get("taps", ()))
        cast.taps = frozenset((caller, callee, door) for caller, callee, door in taps)
        return cast

    def _host(self) -> Admin | Journals | None:
        """Return what holds the evidence: one process with its journal, or the journals of those that run by themselves."""
        if self.lab.apart:
            return Journals(
                {name: Admin(url, timeout=_JOURNAL) for name, url in self.lab.apart.items()},
                self.state / "blobs",
            )
        return Admin(self.told["admin"]) if "admin" in self.told else None

    def _wallet(self, cast: Cast) -> Wallet | None:
        """Return how checks get tokens in a lab whose web doors ask for them."""
        told = self.lab.text.tokens
        if told is None:
            return None
        from stepwedge.actors.wallet import Wallet

        url = cast[told.issuer].address.web or ""
        context = cast.context(tls=url.startswith("https:"))
        return Wallet(told.issuer, url, int(self.told.get("seed", 0)), context, cast.patience)

    def describe(self) -> dict[str, Any]:
        """Return the lab as the run record and the report name it."""
        claims = self.lab.claims
        return {
            "name": self.lab.name,
            "file": str(self.lab.file),
            "sut": self.lab.text.sut.model_dump(mode="json"),
            "probe": self.lab.text.probe.ae_title,
            "claims": None if claims is None else sorted(claims),
            "actors": {
                player.name: {
                    "role": player.role,
                    "simulated": player.simulated,
                    "address": player.address.format(),
                }
                for player in self.cast()
            },
        }

    def stop(self) -> None:
        """End everything that was started here, the last started first."""
        if self.quirks and (self.children or self.lab.apart):
            self._note_quirks()
        if self.quirks:
            apart.leave(self.lab)
        while self.children:
            self.children.pop().stop()

    def _note_quirks(self) -> None:
        """Write down how often each quirk acted: one that never did proves nothing about the scenarios."""
        acted: dict[str, int] = {}
        with contextlib.suppress(Broken):
            for player in self.cast():
                if player.admin is not None:
                    for name, count in player.admin.quirks()["acted"].items():
                        acted[name] = acted.get(name, 0) + count
            (self.state / ACTED).write_text(json.dumps(acted), encoding="utf-8")


def start(lab: Lab, state: Path, seed: int, quirks: Sequence[str] = (), *, stays: bool = False) -> Running:
    """Start every actor of ``lab``, keeping state below ``state``; ``stays`` lets the hospital outlive us."""
    state.mkdir(parents=True, exist_ok=True)
    running = Running(lab, state, {"actors": {}})
    try:
        for name, real in lab.real.items():
            if real.start:
                running.children.append(_start_real(name, real, lab, state))
        if lab.apart:
            running.told = apart.join(lab, seed, quirks)
            running.quirks = tuple(quirks)
            (state / READY).write_text(json.dumps(running.told, indent=1), encoding="utf-8")
        elif lab.simulated:
            child = _start_hospital(lab, state, seed, quirks, stays=stays)
            if not stays:
                running.children.append(child)
            running.quirks = tuple(quirks)
            running.told = json.loads((state / READY).read_text(encoding="utf-8"))
    except BaseException:
        running.stop()
        raise
    return running


def attach(lab: Lab, state: Path) -> Running:
    """Return a lab that ``stepwedge up`` started; raises ``Broken`` when it does not run."""
    try:
        told = json.loads((state / READY).read_text(encoding="utf-8"))
        for url in lab.apart.values() or [told["admin"]]:
            Admin(url, timeout=2.0).health()
    except (OSError, ValueError, KeyError) as trouble:
        raise Broken(f"no hospital runs on {state}; start one with 'stepwedge up'") from trouble
    return Running(lab, state, told)


def _start_hospital(lab: Lab, state: Path, seed: int, quirks: Sequence[str], *, stays: bool) -> Child:
    (state / READY).unlink(missing_ok=True)
    plan = state / "actors.json"
    plan.write_text(json.dumps(_plan(lab, state), indent=1), encoding="utf-8")
    command = python("-m", "stepwedge", "sim", "--hospital", "--actors", str(plan), "--state", str(state))
    command += ["--seed", str(seed), *(word for quirk in quirks for word in ("--quirk", quirk))]
    if not stays:
        command += ["--parent", str(os.getpid())]
    child = Child.start("the simulated hospital", command, state / LOG)
    try:
        child.wait_until((state / READY).is_file, _START)
    except Broken:
        child.stop()
        if child.process.returncode == _BAD_INPUT:
            raise BadInput(str(lab.file), "a lab that can be started", child.tail()) from None
        raise
    return child


def _plan(lab: Lab, state: Path) -> dict[str, Any]:
    """Return what the hospital process is told: whom to play, and where the others are."""
    identity = {"patients": lab.text.identity.patients}
    told = security.settings(lab, state)
    tokens = {"tokens": lab.text.tokens.model_dump(exclude_none=True)} if lab.text.tokens else {}
    actors = {
        name: {
            "role": one.role,
            "settings": {
                "identity": identity,
                **tokens,
                **one.settings,
                **security.of_actor(lab, told, one.settings.get("tls")),
            },
        }
        for name, one in lab.simulated.items()
    }
    directory = {name: dict(one.doors) for name, one in lab.real.items()}
    taps = [
        {
            **tap.model_dump(exclude_none=True, exclude={"tls"}),
            **({"terminate": told} if tap.tls == "terminate" else {}),
        }
        for tap in lab.text.taps
    ]
    return {"actors": actors, "directory": directory, "taps": taps}


def _start_real(name: str, real: Real, lab: Lab, state: Path) -> Child:
    """Start a real system as the lab file says, and wait until the door it names answers."""
    told = real.start
    assert told is not None  # noqa: S101 - the caller looked
    door = "web" if told.ready == "http" else told.ready
    tls = security.probe(lab, state)
    if not preflight.trouble(real.address, door, lab.text.probe.ae_title, timeout=1.0, tls=tls):
        where = getattr(real.address, door) or real.address.dicom
        raise BadInput(
            f"{lab.file} (actors.{name}.start)",
            f"nobody at {where} yet",
            "a system that answers",
            "end it, or take start: out",
        )
    own = state / name
    own.mkdir(parents=True, exist_ok=True)
    env = {"STEPWEDGE_STATE": str(own.resolve()), **told.env}
    if lab.text.tls is not None:
        env.setdefault("STEPWEDGE_PKI", str((security.settings(lab, state) or {}).get("folder", "")))
    command = [
        *python("-m", "stepwedge.lab.keep"),
        *(word.replace("{state}", env["STEPWEDGE_STATE"]) for word in told.command),
    ]
    child = Child.start(name, command, state / f"{name}.log", env=env, cwd=lab.file.resolve().parent)
    try:
        child.wait_until(
            lambda: not preflight.trouble(real.address, door, lab.text.probe.ae_title, timeout=1.0, tls=tls),
            told.seconds,
        )
    except BaseException:
        child.stop()
        raise
    return child
