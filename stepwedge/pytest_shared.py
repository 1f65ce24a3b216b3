"""What one pytest run shares, whichever way pytest spreads it: lab, seed, run folder, hospital, journal.

With pytest-xdist the controller owns all of them. A worker asks for the hospital with a file in the run folder, so that
it starts only when a case needs it, and stays under the process that outlives every worker.
"""

from __future__ import annotations

import contextlib
import secrets
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from stepwedge import __version__
from stepwedge.errors import BadInput, Broken, StepwedgeError
from stepwedge.scenario.record import Recorder, new_name, point_latest
from stepwedge.scenario.verdict import Verdict, combine

if TYPE_CHECKING:
    from stepwedge.lab.hospital import Running
    from stepwedge.lab.labfile import Lab
    from stepwedge.scenario.check import Known
    from stepwedge.scenario.live import Live
    from stepwedge.scenario.run import Setting

_WANTED: Final = "hospital.wanted"
_STANDS: Final = "hospital.stands"
_TROUBLE: Final = "hospital.trouble"
_LONGEST_START: Final = 60.0
_GLANCE: Final = 0.01


class Shared:
    """What the cases of one pytest run share.

    Attributes:
        told: what the controller told this worker; ``None`` outside pytest-xdist's workers.
        spread: whether this is the controller of workers.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.told: dict[str, Any] | None = getattr(config, "workerinput", None)
        self.spread = self.told is None and bool(config.getoption("numprocesses", None))
        self.counts: Counter[str] = Counter()
        self.ids: dict[str, Path] = {}
        self._running: Running | None = None
        self._trouble = ""
        self._server: threading.Thread | None = None
        self._over = threading.Event()

    def option(self, name: str) -> Any:
        """Return one of our options."""
        return self.config.getoption(f"stepwedge_{name}")

    @cached_property
    def live(self) -> Live:
        """What Python tests speak to."""
        from stepwedge.scenario.live import Live

        return Live(lambda: self.setting)

    @cached_property
    def seed(self) -> int:
        """The seed everything synthetic derives from."""
        given = self.told["stepwedge_seed"] if self.told else self.option("seed")
        return int(given) if given is not None else secrets.randbelow(9000) + 1000

    @cached_property
    def folder(self) -> Path:
        """The run folder; not made before something is written to it."""
        if self.told:
            return Path(self.told["stepwedge_folder"])
        named = self.option("evidence")
        if named:
            return Path(named).absolute()
        return Path.cwd() / "runs" / new_name(datetime.now().astimezone())

    @cached_property
    def lab(self) -> Lab:
        """The lab file, read."""
        from stepwedge.lab import labfile

        named = self.option("lab")
        return labfile.load(Path(named) if named else None)

    @cached_property
    def known(self) -> Known:
        """What scenarios may name."""
        from stepwedge.lab.claims import CLAIMS
        from stepwedge.scenario.check import Known

        return Known({name: one.role for name, one in self.lab.actors.items()}, frozenset(CLAIMS))

    @cached_property
    def recorder(self) -> Recorder:
        """The journal this process writes."""
        made = self.folder.is_dir()
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.told and (self.folder / "journal.jsonl").exists():
            remedy = "name another one: evidence of two runs must not mix"
            raise BadInput(str(self.folder), "a folder without a run", "a journal", remedy)
        if not made and not self.told and not self.option("evidence"):
            point_latest(self.folder)
        return Recorder(self.folder, self.told["workerid"] if self.told else "")

    @cached_property
    def setting(self) -> Setting:
        """What cases run in; starts the hospital, and tries so only once."""
        from stepwedge.scenario.alone import Room
        from stepwedge.scenario.case import Feed
        from stepwedge.scenario.run import Setting

        if self._trouble:
            raise Broken(self._trouble)
        try:
            running = self._joined() if self.told else self._started()
        except StepwedgeError as trouble:
            self._trouble = str(trouble)
            raise
        cast = running.cast()
        cast.patience *= self.option("patience")
        room = Room(self.folder if self.told else None)
        return Setting(cast, self.recorder, Feed(cast.host), self.seed, self.replay, room)

    @property
    def replay(self) -> tuple[str, ...]:
        """What the replay line says besides file, variant and seed."""
        lab = [f"--lab {self.option('lab')}"] if self.option("lab") else []
        return (*lab, *(f"--quirk {one}" for one in self.option("quirk")))

    @property
    def state(self) -> Path:
        """Where the simulated systems keep what they know."""
        return self.folder / "state"

    def _started(self) -> Running:
        from stepwedge.lab import hospital

        if self._running is None:
            self.recorder.write(
                "run", **self._about(), lab={"name": self.lab.name, "file": str(self.lab.file)}
            )
            self._running = hospital.start(self.lab, self.state, self.seed, tuple(self.option("quirk")))
            self.recorder.write("run", **self._about(), lab=self._running.describe())
        return self._running

    def _joined(self) -> Running:
        """Ask the controller for the hospital and wait until it stands."""
        from stepwedge.lab import hospital

        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / _WANTED).touch()
        deadline = time.monotonic() + _LONGEST_START
        while time.monotonic() < deadline:
            if (self.folder / _STANDS).exists():
                return hospital.attach(self.lab, self.state)
            with contextlib.suppress(FileNotFoundError):
                raise Broken((self.folder / _TROUBLE).read_text("utf-8"))
            time.sleep(_GLANCE)
        raise Broken("the process that starts the hospital did not answer")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count verdicts, from whichever worker they come."""
        if report.when == "call" or report.failed:
            self.counts.update(str(value) for name, value in report.user_properties if name == "verdict")

    def serve(self) -> None:
        """As the controller: start the hospital when a worker wants it."""

        def wait() -> None:
            while not self._over.wait(_GLANCE):
                if (self.folder / _WANTED).exists():
                    try:
                        self._started()
                        (self.folder / _STANDS).touch()
                    except Exception as trouble:  # noqa: BLE001 - told to the workers, who report it
                        (self.folder / _TROUBLE).write_text(str(trouble), "utf-8")
                    return

        self._server = threading.Thread(target=wait, name="stepwedge", daemon=True)
        self._server.start()

    def _about(self) -> dict[str, Any]:
        return {
            "id": self.folder.name,
            "seed": self.seed,
            "started": datetime.now(UTC).isoformat(),
            "argv": sys.argv,
            "versions": {
                "stepwedge": __version__,
                "python": sys.version.split()[0],
                "pytest": pytest.__version__,
            },
            "patience": self.option("patience"),
            "quirks": list(self.option("quirk")),
        }

    def end(self, code: int) -> None:
        """End what this process began; as owner of the run, close its journal and write the reports."""
        self._over.set()
        if self._server is not None:
            self._server.join(_LONGEST_START)
        if self._running is not None:
            self._running.stop()
        if "recorder" not in self.__dict__:
            return
        if not self.told:
            counts = {str(verdict): self.counts[verdict] for verdict in Verdict}
            finished = datetime.now(UTC).isoformat()
            self.recorder.write("end", finished=finished, counts=counts, exit=_exit(self.counts, code))
        self.recorder.close()
        if not self.told:
            from stepwedge.scenario.alone import Room

            for sign in (_WANTED, _STANDS, _TROUBLE):
                (self.folder / sign).unlink(missing_ok=True)
            Room.forget(self.folder)
            from stepwedge import report

            report.write(self.folder)


def _exit(counts: Counter[str], code: int) -> int:
    """Return the exit code of ``stepwedge run`` (DESIGN section 6): unlike pytest's it tells failed from broken."""
    if code in {pytest.ExitCode.INTERRUPTED, pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR}:
        return 3 if code == pytest.ExitCode.INTERNAL_ERROR else 2
    verdict = combine(Verdict(word) for word in counts if counts[word])
    if verdict is Verdict.SKIPPED and not counts["passed"]:
        return 5
    return {Verdict.FAILED: 1, Verdict.BROKEN: 3, Verdict.INCONCLUSIVE: 3}.get(verdict, 0)
