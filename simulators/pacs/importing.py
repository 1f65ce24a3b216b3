"""Images from media into the archive: every Part 10 file of a folder, taken as if it had been sent (PS3.15 A.5.3.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from stepwedge.errors import BadInput, RemoteProtocolError
from stepwedge.wire import part10

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .vault import Vault

Args = dict[str, Any]
MOST_FILES: Final = 10_000
LARGEST_FILE: Final = 1 << 29
SENDER: Final = "MEDIA"


class Importing:
    """The word by which images come in from outside."""

    def __init__(self, bench: Bench, vault: Vault) -> None:
        self._bench = bench
        self._vault = vault

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {"import_media": self.import_media}

    async def import_media(self, args: Args, case: Case) -> Args:  # noqa: ARG002 - the signature of a word
        """Take every object on media that some system of this hospital wrote; what cannot be taken is counted, with its reason."""
        folder = self._folder(args.get("media"))
        taken: dict[str, str] = {}
        refused: list[Args] = []
        for name, file in _files(folder):
            if isinstance(file, str):
                refused.append({"file": name, "reason": file})
                continue
            filing = self._vault.take(
                file.sop_class, file.sop_instance, file.transfer_syntax, file.data, SENDER
            )
            if filing.status:
                reason = f"{filing.status:04X} {filing.comment}".strip()
                refused.append({"file": name, "reason": reason})
            else:
                taken[file.sop_instance] = self._vault.archive.instances[file.sop_instance].study
        return {
            "media": folder.as_uri(),
            "studies": [{"study": one} for one in dict.fromkeys(taken.values())],
            "instances": [{"sop": sop} for sop in taken],
            "stored": len(taken),
            "refused": refused,
        }

    def _folder(self, given: Any) -> Path:
        """Return the folder that a medium is; one outside the hospital's own is nobody's business to read."""
        url = urlsplit(str(given.get("media", "") if isinstance(given, dict) else given or ""))
        home = self._bench.folder.resolve().parent
        folder = (home / unquote(url.path)).resolve()
        if url.scheme != "file" or home not in folder.parents or not folder.is_dir():
            raise BadInput("import_media: media", "what export_images gave, in this hospital", repr(given))
        return folder


def _files(folder: Path) -> Iterator[tuple[str, part10.File | str]]:
    """Yield each file of a medium, or why it cannot be read."""
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    if len(paths) > MOST_FILES:
        raise BadInput("import_media: media", f"{MOST_FILES} files at most", str(len(paths)))
    for path in paths:
        if path.stat().st_size > LARGEST_FILE:
            yield path.name, f"larger than {LARGEST_FILE} bytes"
            continue
        try:
            yield path.name, part10.read(path.read_bytes())
        except RemoteProtocolError as error:
            yield path.name, str(error)
