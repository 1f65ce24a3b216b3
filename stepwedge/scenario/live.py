"""The words of the scenario language, spoken from a Python test: the ``lab`` fixture.

    def test_cancel(lab):
        patient = lab.do("ehr.register_patient")
        order = lab.do("ehr.place_order", patient=patient, procedure="CTCHEST")
        lab.expect("worklist.entry", from_="ris", where={"AccessionNumber": order["accession"]}, within="5s")

Each test is one case: it has its own identity, evidence, standing rules and verdict, like a scenario.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError

from stepwedge.errors import BadInput, Broken, StepwedgeError
from stepwedge.scenario import schema
from stepwedge.scenario.bindings import literal
from stepwedge.scenario.leaving import Scope
from stepwedge.scenario.load import Planned, ScenarioFile
from stepwedge.scenario.run import Ending, Run, Setting
from stepwedge.scenario.source import Source
from stepwedge.scenario.variants import Case
from stepwedge.scenario.verdict import Verdict, blame, raised

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.\[\]-]+")
_RESULT: Final = "result"
_STEP: Final = TypeAdapter[schema.AnyStep](schema.AnyStep)


@dataclass(slots=True)
class Live:
    """A lab at work, told what to do by a Python test.

    Attributes:
        setting: makes what cases run in; the hospital starts when it is first called.
    """

    setting: Callable[[], Setting]
    _case: Case | None = None
    _run: Run | None = None
    _scope: Scope = field(default_factory=Scope)

    def do(
        self, word: str, *, to: str | None = None, reply: Mapping[str, Any] | None = None, **args: Any
    ) -> Any:
        """Tell an actor to act, as ``ehr.place_order``; return its result, or raise the verdict it came to."""
        return self._take("do", word, {"to": to, "reply": reply, "with": args})

    def expect(
        self,
        check: str,
        *,
        at: str | None = None,
        from_: str | None = None,
        through: Sequence[str] = (),
        where: Mapping[str, Any] | None = None,
        is_: Any = None,
        within: str = f"{schema.WITHIN:g}s",
        **args: Any,
    ) -> Any:
        """Wait until something is true; return what was found, or raise ``Failed`` or ``Inconclusive``."""
        said = {
            "at": at,
            "from": from_,
            "through": list(through),
            "where": where,
            "is": is_,
            "within": within,
        }
        return self._take("expect", check, {**said, "with": args})

    def never(
        self,
        check: str,
        *,
        at: str | None = None,
        from_: str | None = None,
        through: Sequence[str] = (),
        where: Mapping[str, Any] | None = None,
        is_: Any = None,
        for_: str = f"{schema.FOR:g}s",
        **args: Any,
    ) -> None:
        """Make sure that something does not happen; raise ``Failed`` when it does."""
        said = {"at": at, "from": from_, "through": list(through), "where": where, "is": is_, "for": for_}
        self._take("never", check, {**said, "with": args})

    def begin(self, name: str, path: Path, line: int, title: str) -> None:
        """Let what follows be one case; nothing is recorded before its first word."""
        source = Source(str(path), lines={(): line})
        model = schema.Scenario.model_construct(
            scenario=name, title=title, story=title, severity="normal",
            catalogue=[], tags=[], concern=None, ihe=[], requires=[], variants=[], steps=[],
        )  # fmt: skip
        self._case = Case(ScenarioFile(path, source, model))
        self._run, self._scope = None, Scope()

    def finish(self, trouble: BaseException | None = None) -> Ending | None:
        """End the case with the standing rules; return what it came to, ``None`` when no word was spoken."""
        run, self._run, self._case = self._run, None, None
        if run is None:
            return None
        try:
            return self._ended(run, trouble)
        finally:
            run.setting.room.leave()

    def _ended(self, run: Run, trouble: BaseException | None) -> Ending:
        if trouble is not None and not isinstance(trouble, StepwedgeError):
            failed = isinstance(trouble, AssertionError)
            run.note(Verdict.FAILED if failed else blame(trouble), str(trouble))
        elif trouble is None and not run.judged:
            run.judged += 1  # a Python test may judge by its own assertions
        return run.finish(self._scope, whole=trouble is None)

    def _take(self, kind: str, word: str, keys: dict[str, Any]) -> Any:
        run = self._running()
        caller = sys._getframe(2)  # noqa: SLF001 - the line of the test is the place of the step
        place = f"{caller.f_code.co_filename}:{caller.f_lineno}"
        step = {
            kind: word,
            **{key: literal(value) for key, value in keys.items() if value not in (None, {}, [])},
        }
        if kind != "never":
            step["as"] = _RESULT
        try:
            model = _STEP.validate_python(step)
        except ValidationError as trouble:
            said = "; ".join(
                f"{one['loc'][0] if one['loc'] else kind}: {one['msg']}" for one in trouble.errors()
            )
            raise BadInput(place, f"a step of the scenario language ({said})", word) from None
        lines = {(): caller.f_lineno, ("steps", 0, kind): caller.f_lineno}
        source = Source(run.case.file.source.name, {"steps": [step]}, lines)
        self._scope = Scope()
        before = len(run.messages)
        if not run.take([Planned(model, source, 0)], self._scope):
            verdict, message = run.verdicts[-1], "\n\n".join(run.messages[before:])
            raise raised(verdict, message) or Broken(message)
        return self._scope.values.get(_RESULT)

    def _running(self) -> Run:
        if self._run is None:
            if self._case is None:
                raise Broken("the lab is spoken to outside a test")
            setting = self.setting()
            setting.room.enter(alone=False)
            self._run = Run(self._case, setting)
            self._run.begin()
        return self._run


def case_name(node: str) -> str:
    """Return the name of a test as a case id, which is also a folder name."""
    return _UNSAFE.sub("-", node)[-100:].strip("-.")
