"""Scenarios as pytest items, and the ``lab`` fixture; documented pytest API only.

One run has one seed, one run folder and one hospital, whichever way pytest spreads it: with pytest-xdist the
controller owns all three, and starts the hospital when the first worker needs it.
"""

from __future__ import annotations

import contextlib
import re
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
from stepwedge.errors import BadInput, Broken, Failed, Skipped, StepwedgeError
from stepwedge.scenario.record import Recorder, new_name, point_latest
from stepwedge.scenario.verdict import SEVERITIES, Verdict, combine, raised

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterator

    from stepwedge.lab.hospital import Running
    from stepwedge.lab.labfile import Lab
    from stepwedge.scenario.check import Known
    from stepwedge.scenario.live import Live
    from stepwedge.scenario.load import ScenarioFile
    from stepwedge.scenario.run import Ending, Setting
    from stepwedge.scenario.variants import Case

_RUN: Final = pytest.StashKey["Session"]()
_ENDINGS: Final = {".yaml", ".yml"}
_FOLDER: Final = "scenarios"
_FIRST_KEY: Final = re.compile(rb"^scenario\s*:", re.MULTILINE)
_WANTED: Final = "hospital.wanted"
_STANDS: Final = "hospital.stands"
_TROUBLE: Final = "hospital.trouble"
_LONGEST_START: Final = 60.0
_GLANCE: Final = 0.01


class Session:
    """What one pytest run shares: the lab, the seed, the run folder, the hospital.

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
        return Setting(cast, self.recorder, Feed(cast.host), self.seed, self.option("lab"))

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
            for sign in (_WANTED, _STANDS, _TROUBLE):
                (self.folder / sign).unlink(missing_ok=True)
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


def _patience(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)x?", text)
    if not found or not 0 < float(found[1]) <= 100:  # noqa: PLR2004 - nobody waits longer
        raise ValueError(f"a factor such as 2x, not {text!r}")
    return float(found[1])


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add our options."""
    group = parser.getgroup("stepwedge", "Stepwedge: scenarios against a simulated or real hospital")
    group.addoption(
        "--lab", dest="stepwedge_lab", metavar="FILE", help="lab file; default: everything simulated"
    )
    group.addoption(
        "--evidence",
        dest="stepwedge_evidence",
        metavar="DIR",
        help="run folder; default: a new one below runs/",
    )
    group.addoption(
        "--patience", dest="stepwedge_patience", metavar="2x", type=_patience, default=1.0,
        help="scale every time budget",
    )  # fmt: skip
    group.addoption(
        "--seed", dest="stepwedge_seed", metavar="N", type=int, help="derive everything synthetic from N"
    )
    group.addoption(
        "--quirk", dest="stepwedge_quirk", metavar="ID", action="append", default=[],
        help="give a simulated system a known defect (may be repeated)",
    )  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    """Register our markers and what the run shares."""
    for severity in SEVERITIES:
        config.addinivalue_line("markers", f"{severity}: scenarios of this severity")
    session = config.stash[_RUN] = Session(config)
    config.pluginmanager.register(session, "stepwedge_session")
    if session.spread:
        session.serve()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist what the run shares."""
    session = node.config.stash[_RUN]
    node.workerinput["stepwedge_seed"] = session.seed
    node.workerinput["stepwedge_folder"] = str(session.folder)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioCollector | None:
    """Collect YAML files that are scenarios: those below a ``scenarios`` folder, and those named on the command line."""
    if file_path.suffix not in _ENDINGS:
        return None
    folders = file_path.parent.parts
    if _FOLDER in folders:
        inner = folders[len(folders) - folders[::-1].index(_FOLDER) :]
        if any(part.startswith(("_", ".")) for part in (*inner, file_path.name)):
            return None
    elif not (
        parent.session.isinitpath(file_path) and _FIRST_KEY.search(file_path.read_bytes()[: 64 * 1024])
    ):
        return None
    return ScenarioCollector.from_parent(parent, path=file_path)


class ScenarioCollector(pytest.File):
    """One scenario file."""

    def collect(self) -> Iterator[ScenarioItem]:
        """Yield one item per variant; every problem of the file ends the collection with its text."""
        from stepwedge.scenario.check import check_scenario
        from stepwedge.scenario.load import Unusable, load_scenario
        from stepwedge.scenario.variants import cases

        session = self.config.stash[_RUN]
        try:
            file = load_scenario(self.path)
            problems = [one.error for one in check_scenario(file, session.known) if not one.warning]
        except (BadInput, Unusable) as trouble:
            raise self.CollectError(str(trouble)) from None
        if problems:
            raise self.CollectError("\n".join(str(problem) for problem in problems))
        self._once(session, file)
        for case in cases(file):
            yield ScenarioItem.of(self, case)

    def _once(self, session: Session, file: ScenarioFile) -> None:
        """Refuse a second scenario of the same name: their evidence would mix."""
        first = session.ids.setdefault(file.model.scenario, self.path)
        if first != self.path:
            remedy = f"it stands in {first} already"
            problem = file.source.problem(
                ("scenario",), "an id that no other scenario has", file.model.scenario, remedy
            )
            raise self.CollectError(str(problem))


class ScenarioItem(pytest.Function):
    """One case of a scenario."""

    case: Case

    @classmethod
    def of(cls, parent: ScenarioCollector, case: Case) -> ScenarioItem:
        """Make the item of a case."""
        session = parent.config.stash[_RUN]

        def run(lab: Live) -> None:
            from stepwedge.scenario.run import run_case

            _conclude(item, run_case(case, lab.setting()))

        item: ScenarioItem = cls.from_parent(parent, name=case.id, callobj=run)
        item.case = case
        model = case.file.model
        for tag in (model.severity, *model.tags):
            if tag not in SEVERITIES:
                parent.config.addinivalue_line("markers", f"{tag}: scenarios with this tag")
            item.add_marker(tag)
        item.user_properties += [("scenario", case.id), ("seed", str(session.seed))]
        item.user_properties += [("catalogue", entry) for entry in model.catalogue]
        return item

    def setup(self) -> None:
        """Bring up the lab; when it does not stand, the case is recorded as broken."""
        __tracebackhide__ = True
        try:
            super().setup()
        except StepwedgeError as trouble:
            from stepwedge.scenario.run import record_broken

            session = self.config.stash[_RUN]
            self.user_properties.append(("verdict", str(Verdict.BROKEN)))
            record_broken(self.case, session.recorder, session.seed, session.option("lab"), str(trouble))
            raise trouble.with_traceback(None) from None

    def reportinfo(self) -> tuple[os.PathLike[str], int, str]:
        """Point to the line of the YAML file."""
        return self.path, self.case.file.source.line("scenario") - 1, self.name

    def repr_failure(  # type: ignore[override]  # pytest.Function narrows it the same way
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> Any:
        """Show our own text alone: it says more than our stack."""
        if isinstance(excinfo.value, StepwedgeError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


def _conclude(item: pytest.Item, ending: Ending) -> None:
    """Turn a verdict into pytest's words: skipped, failed (an assertion), anything else an error of its own kind."""
    item.user_properties.append(("verdict", str(ending.verdict)))
    trouble = raised(ending.verdict, ending.message)
    if isinstance(trouble, Skipped):
        pytest.skip(str(trouble))
    if trouble is not None:
        raise trouble


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Live:
    """Return the lab at work: ``lab.do(...)``, ``lab.expect(...)``, ``lab.never(...)``."""
    session = request.config.stash[_RUN]
    session.setting  # noqa: B018 - starts the hospital, so that trouble is an error of the set-up
    return session.live


def _speaks(item: pytest.Item) -> bool:
    """Tell whether an item is a Python test that uses the ``lab`` fixture: then it is a case of its own."""
    return not isinstance(item, ScenarioItem) and "lab" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Begin the case of a Python test before its fixtures speak."""
    if not _speaks(item):
        return (yield)
    from stepwedge.scenario.live import case_name

    path, line, title = item.location
    live = item.config.stash[_RUN].live
    live.begin(case_name(item.nodeid), Path(path), (line or 0) + 1, title)
    try:
        return (yield)
    except BaseException as trouble:
        _end(item, live, trouble)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """End the case of a Python test with the standing rules and its verdict."""
    if not _speaks(item):
        return (yield)
    live = item.config.stash[_RUN].live
    try:
        result = yield
    except BaseException as trouble:
        _end(item, live, trouble)
        raise
    if ending := live.finish():
        _conclude(item, ending)
    return result


def _end(item: pytest.Item, live: Live, trouble: BaseException) -> None:
    if isinstance(trouble, pytest.skip.Exception):
        trouble = Skipped(str(trouble))
    elif isinstance(trouble, pytest.fail.Exception):
        trouble = Failed(str(trouble))
    if ending := live.finish(trouble if isinstance(trouble, Exception) else Broken(repr(trouble))):
        item.user_properties.append(("verdict", str(ending.verdict)))


def pytest_report_header(config: pytest.Config) -> str:
    """Say what can be replayed."""
    session = config.stash[_RUN]
    return f"stepwedge: lab {session.option('lab') or 'default'}, seed {session.seed}"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Stop the hospital, close the journal, write the reports."""
    session.config.stash[_RUN].end(int(exitstatus))
