"""The journal of a run: one JSON object per line, with the operating system before the next thing happens."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import datetime

    from stepwedge.evidence.exchange import Exchange, Payload

_DICOM_PREAMBLE: Final = 128


def new_name(now: datetime) -> str:
    """Return the name of a new run, such as ``20261124-093000-5f1c``."""
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def point_latest(folder: Path) -> None:
    """Point ``latest``, beside a run folder, at it."""
    latest = folder.parent / "latest"
    with suppress(OSError):  # a platform without symbolic links goes without
        latest.unlink(missing_ok=True)
        latest.symlink_to(folder.name, target_is_directory=True)


@dataclass(slots=True)
class Recorder:
    """Writes the journal of one run (of one worker of it) and the payloads of its cases.

    Attributes:
        folder: the run folder.
        worker: the name of the worker that writes (``gw0``); empty when there is only one.
    """

    folder: Path
    worker: str = ""
    _file: int = field(default=-1, init=False)

    def write(self, record: str, **fields: Any) -> None:
        """Append one record."""
        self._line(_json({"record": record, **fields}))

    def _line(self, line: str) -> None:
        if self._file < 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"journal-{self.worker}.jsonl" if self.worker else "journal.jsonl"
            self._file = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(self._file, line.encode("utf-8", "backslashreplace") + b"\n")

    def exchange(self, case: str, exchange: Exchange) -> str:
        """Write one exchange and its payloads; return the file to show as evidence, named from where we are.

        An HL7 exchange becomes ``0004.hl7`` and ``0004.ack.hl7``, any other ``0004.json`` (what was read from it) with
        ``0004.dcm`` or ``0004.bin`` beside it.
        """
        folder = self.folder / case
        folder.mkdir(exist_ok=True)
        stem = f"{exchange.number:04}"
        written = exchange.to_json()
        if exchange.protocol == "hl7":
            shown = folder / f"{stem}.hl7"
            names = {"request": shown.name, "response": f"{stem}.ack.hl7"}
        else:
            shown = folder / f"{stem}.json"
            names = {"request": stem, "response": f"{stem}.answer"}
        for part, name in names.items():
            written[part] = self._payload(folder, name, getattr(exchange, part))
        text = _json(written)
        if exchange.protocol != "hl7":
            shown.write_text(text, "utf-8", "backslashreplace")
        self._line(f'{{"record": "exchange", "case": {_json(case)}, "exchange": {text}}}')
        return _from_here(shown)

    def _payload(self, folder: Path, name: str, payload: Payload) -> dict[str, Any]:
        if payload.file:
            path = folder / (
                name
                if name.endswith(".hl7")
                else f"{name}{_ending(payload.head) if payload.head else _ending_of(Path(payload.file))}"
            )
            if payload.head:
                return _whole(payload, path, str(path.relative_to(self.folder)))
            _keep(Path(payload.file), path)
            return {
                "file": str(path.relative_to(self.folder)),
                "sha256": payload.sha256,
                "size": payload.size,
            }
        if not payload.data:
            return {}
        path = folder / (name if name.endswith(".hl7") else f"{name}{_ending(payload.data)}")
        path.write_bytes(payload.data)
        return {"file": str(path.relative_to(self.folder)), "size": len(payload.data)}

    def close(self) -> None:
        """Close the journal."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _from_here(path: Path) -> str:
    with suppress(ValueError):
        return path.relative_to(Path.cwd()).as_posix()
    return str(path)


def _whole(payload: Payload, path: Path, name: str) -> dict[str, Any]:
    """Write a file that a simulated system holds in two parts, its own head and what came over the wire, as one."""
    try:
        data = payload.read()
    except OSError:
        return {"file": name, "size": payload.size}
    path.write_bytes(data)
    return {"file": name, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def _keep(source: Path, path: Path) -> None:
    """Keep a file that a simulated system holds: without copying it where the file system can."""
    with suppress(OSError):
        os.link(source, path)
        return
    with suppress(OSError):
        shutil.copyfile(source, path)


def _ending(data: bytes) -> str:
    return ".dcm" if data[_DICOM_PREAMBLE : _DICOM_PREAMBLE + 4] == b"DICM" else ".bin"


def _ending_of(path: Path) -> str:
    with suppress(OSError), path.open("rb") as file:
        return _ending(file.read(_DICOM_PREAMBLE + 4))
    return ".bin"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    """Write what JSON has no word for: bytes as in the DICOM JSON model (PS3.18 F.2.7), all else as text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return {"InlineBinary": base64.b64encode(value).decode("ascii")}
    return str(value)
