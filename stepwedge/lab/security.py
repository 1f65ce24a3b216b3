"""TLS in a lab: whose certificates they are, made on the fly when the lab file names none."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import BadInput
from stepwedge.wire.tls import Credentials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.lab.labfile import Lab

PROBE: Final = "probe"
"""Whose certificate the checks show."""
MADE: Final = "pki"
_FRESH: Final = timedelta(days=1)
_PATHS: Final = ("folder", "ca", "cert", "key", "crl")


def settings(lab: Lab, state: Path) -> dict[str, Any] | None:
    """Return the lab's ``tls`` with paths that hold everywhere, None for a lab in plain text; make the PKI if need be."""
    if lab.text.tls is None:
        return None
    written = _absolute(lab, lab.text.tls.model_dump(exclude_none=True))
    if "folder" not in written and "ca" not in written:
        written["folder"] = str(_made(state / MADE, [*lab.actors, PROBE]))
    return written


def certs(
    folder: Path, actors: Sequence[str], hosts: Sequence[str], keys: str, lab: Path | None
) -> list[Path]:
    """Make a PKI for the named actors, or for those of a lab and the probe; return its files."""
    from stepwedge.lab import labfile
    from stepwedge.wire import pki

    if keys not in {"ec", "rsa"}:
        raise BadInput("--keys", "ec or rsa", keys)
    names = list(actors) or [*labfile.load(lab).actors, PROBE]
    return pki.make(folder, names, hosts=hosts, keys="ec" if keys == "ec" else "rsa")


def of_actor(lab: Lab, told: dict[str, Any] | None, own: Any) -> dict[str, Any]:
    """Return the ``tls`` setting of one simulated actor: the lab's, with what its own entry says in its place."""
    if own is False or (told is None and own is None):
        return {}
    own = _absolute(lab, own or {})
    base = {
        key: value
        for key, value in (told or {}).items()
        if not ({"folder", "ca"} & set(own) and key in _PATHS)
    }
    return {"tls": {**base, **own}}


def probe(lab: Lab, state: Path) -> Credentials | None:
    """Return what the checks present and whom they trust, None in plain text."""
    told = settings(lab, state)
    if told is None:
        return None
    if "folder" in told and not (Path(told["folder"]) / f"{PROBE}.pem").exists():
        told = {
            "ca": str(Path(told["folder"]) / "ca.pem"),
            **{k: v for k, v in told.items() if k != "folder"},
        }
    return Credentials.parse(told, PROBE, f"{lab.file} (tls)")


def _absolute(lab: Lab, written: dict[str, Any]) -> dict[str, Any]:
    home = lab.file.resolve().parent
    return {key: str(home / value) if key in _PATHS else value for key, value in written.items()}


def _made(folder: Path, names: list[str]) -> Path:
    """Make a PKI in a folder that is ours, unless a good one is there."""
    from stepwedge.wire import pki

    if not _good(folder, names):
        shutil.rmtree(folder, ignore_errors=True)
        pki.make(folder, names)
    return folder.resolve()


def _good(folder: Path, names: list[str]) -> bool:
    from cryptography import x509

    if not (folder / "README.md").exists() or not all((folder / f"{name}.key").exists() for name in names):
        return False
    ends = x509.load_pem_x509_certificate((folder / f"{PROBE}.pem").read_bytes()).not_valid_after_utc
    return ends - datetime.now(UTC) > _FRESH
