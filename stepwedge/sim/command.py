"""``stepwedge sim``: one simulated system in the foreground, or the whole hospital.

    stepwedge sim --hospital --actors FILE.json --state DIR --seed N [--quirk ID]... [--parent PID]
    stepwedge sim ris [--name ris] [--hl7-port N] [--dicom-port N] [--web-port N] [--settings FILE.json] --state DIR
    stepwedge sim ct --actors FILE.json --listen 0.0.0.0 --state DIR [--alive FILE]

``FILE.json`` is ``{"actors": {name: {"role", "settings"}}, "directory": {name: {"hl7": "mllp://...", ...}}}``. Settings of one
system are the mapping it has in a lab file, with ``directory`` for the addresses of those it sends to. With ``--actors`` and a
name, that one actor is played at the doors which the directory gives for it; the others run elsewhere, each on its own.
Arguments are read with the standard library alone, because a hospital must be ready soon.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from stepwedge.errors import BadInput, StepwedgeError
from stepwedge.sim.ports import LOOPBACK

BAD_INPUT, BROKEN = 2, 3


def main(argv: list[str]) -> int:
    """Run until told to stop; return 0, or 2 for bad input, 3 when it could not start."""
    from stepwedge.sim.host import Host, Plan, serve

    options = _parser().parse_args(argv)
    try:
        if options.hospital:
            plan = Plan.parse(_load(options.actors), str(options.actors))
        elif options.actors and options.role:
            place = str(options.actors)
            plan = Plan.parse(_load(options.actors), place).alone(options.role, place)
        else:
            plan = Plan.parse(_single(options), str(options.settings or "settings"))
        host = Host(plan, options.state, options.seed, options.quirk, options.listen)
        asyncio.run(serve(host, options.parent, options.alive))
    except StepwedgeError as trouble:
        sys.stderr.write(f"{trouble}\n")
        return BAD_INPUT if isinstance(trouble, BadInput) else BROKEN
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="stepwedge sim", description="Play one simulated system, or the whole hospital."
    )
    parser.add_argument(
        "role", nargs="?", help="simulator to play alone, such as ris; with --actors one of its names"
    )
    parser.add_argument("--hospital", action="store_true", help="play every actor of --actors")
    parser.add_argument(
        "--listen",
        default=LOOPBACK,
        help="address its doors listen on; any but loopback lets others in: publish no more than they need",
    )
    parser.add_argument("--alive", type=Path, help="file to touch every 2 s while it serves")
    parser.add_argument("--actors", type=Path, help="JSON file of actors and addresses")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder of state and journal; kept between starts"
    )
    parser.add_argument("--seed", type=int, default=1, help="what identifiers derive from")
    parser.add_argument(
        "--quirk", action="append", default=[], help="known wrong behaviour to have; repeatable"
    )
    parser.add_argument("--parent", type=int, help="end when this process is gone")
    parser.add_argument("--name", help="actor name; the role when absent")
    parser.add_argument("--settings", type=Path, help="JSON file of settings of a single system")
    for door in ("hl7", "dicom", "web"):
        parser.add_argument(
            f"--{door}-port", type=int, help=f"port of its {door} door; a free one when absent"
        )
    return parser


def _single(options: argparse.Namespace) -> dict[str, Any]:
    if not options.role:
        raise BadInput("stepwedge sim", "the name of a simulator, or --hospital --actors FILE", "neither")
    settings = dict(_load(options.settings)) if options.settings else {}
    directory = settings.pop("directory", {})
    for door in ("hl7_port", "dicom_port", "web_port"):
        if (port := getattr(options, door)) is not None:
            settings[door] = port
    return {
        "actors": {options.name or options.role: {"role": options.role, "settings": settings}},
        "directory": directory,
    }


def _load(path: Path | None) -> Any:
    if path is None:
        raise BadInput("stepwedge sim --hospital", "--actors FILE", "nothing")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as trouble:
        raise BadInput(str(path), "a readable file", trouble.strerror or str(trouble)) from None
    except ValueError as trouble:
        raise BadInput(str(path), "JSON", str(trouble)) from None
