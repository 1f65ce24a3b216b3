"""Scenarios as pytest items, and the ``lab`` fixture; documented pytest API only.

What the cases of a run share (seed, run folder, hospital) is in :mod:`stepwedge.pytest_shared`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from stepwedge.errors import BadInput, Broken, Failed, Skipped, StepwedgeError
from stepwedge.pytest_shared import Shared
from stepwedge.scenario.verdict import SEVERITIES, Verdict, raised

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterator

    from stepwedge.scenario.live import Live
    from stepwedge.scenario.load import ScenarioFile
    from stepwedge.scenario.run import Ending
    from stepwedge.scenario.variants import Case

_RUN: Final = pytest.StashKey[Shared]()
_ENDINGS: Final = {".yaml", ".yml"}
_FOLDER: Final = "scenarios"
_FIRST_KEY: Final = re.compile(rb"^scenario\s*:", re.MULTILINE)


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
    shared = config.stash[_RUN] = Shared(config)
    config.pluginmanager.register(shared, "stepwedge_session")
    if shared.spread:
        shared.serve()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist what the run shares."""
    shared = node.config.stash[_RUN]
    node.workerinput["stepwedge_seed"] = shared.seed
    node.workerinput["stepwedge_folder"] = str(shared.folder)


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

        shared = self.config.stash[_RUN]
        try:
            file = load_scenario(self.path)
            problems = [one.error for one in check_scenario(file, shared.known) if not one.warning]
        except (BadInput, Unusable) as trouble:
            raise self.CollectError(str(trouble)) from None
        if problems:
            raise self.CollectError("\n".join(str(problem) for problem in problems))
        self._once(shared, file)
        for case in cases(file):
            yield ScenarioItem.of(self, case)

    def _once(self, shared: Shared, file: ScenarioFile) -> None:
        """Refuse a second scenario of the same name: their evidence would mix."""
        first = shared.ids.setdefault(file.model.scenario, self.path)
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
        shared = parent.config.stash[_RUN]

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
        item.user_properties += [("scenario", case.id), ("seed", str(shared.seed))]
        item.user_properties += [("catalogue", entry) for entry in model.catalogue]
        return item

    def setup(self) -> None:
        """Bring up the lab; when it does not stand, the case is recorded as broken."""
        __tracebackhide__ = True
        try:
            super().setup()
        except StepwedgeError as trouble:
            from stepwedge.scenario.run import record_broken

            shared = self.config.stash[_RUN]
            self.user_properties.append(("verdict", str(Verdict.BROKEN)))
            record_broken(self.case, shared.recorder, shared.seed, shared.replay, str(trouble))
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
    shared = request.config.stash[_RUN]
    shared.setting  # noqa: B018 - starts the hospital, so that trouble is an error of the set-up
    return shared.live


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
    shared = config.stash[_RUN]
    return f"stepwedge: lab {shared.option('lab') or 'default'}, seed {shared.seed}"


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Stop the hospital, close the journal, write the reports."""
    session.config.stash[_RUN].end(int(exitstatus))
