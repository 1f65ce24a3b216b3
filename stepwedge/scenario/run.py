"""Run one case: its steps in order, then the standing rules over everything that was seen, then the verdict."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.checks.rules import CaseFacts, Rule, rules
from stepwedge.errors import Skipped, StepwedgeError
from stepwedge.scenario import leaving, wording
from stepwedge.scenario.alone import Debts, Room, disturbing, disturbs
from stepwedge.scenario.bindings import Reference, Unbound, resolve
from stepwedge.scenario.case import CaseView, Feed, Stopwatch
from stepwedge.scenario.faults import Faults
from stepwedge.scenario.fence import Fence
from stepwedge.scenario.leaving import Scope
from stepwedge.scenario.ledger import FILE, SAYS, SOURCE, Ledger
from stepwedge.scenario.steps import Outcome, Place, Taker, arguments, broken, crashed, unbound
from stepwedge.scenario.variants import taken
from stepwedge.scenario.verdict import Verdict, combine

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.actors.cast import Cast
    from stepwedge.checks.rules import Finding
    from stepwedge.scenario.load import FlowFile, Planned
    from stepwedge.scenario.record import Recorder
    from stepwedge.scenario.variants import Case

_QUIET: Final = 0.04
"""Seconds without a new exchange after which a case counts as quiet."""
_SETTLE: Final = 3.0
"""Seconds a case may take to become quiet, and a red rule to turn green by what still arrives."""
_DRAIN: Final = 15.0
"""Seconds the queues of a case that was disturbed may take to drain."""
_BAD: Final = frozenset({Verdict.FAILED, Verdict.BROKEN, Verdict.INCONCLUSIVE})


Judged = tuple["Rule", "Finding | None", Verdict, str]
"""A standing rule, what it found, the verdict and why nothing can be said."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What cases run in.

    Attributes:
        options: what the replay line says besides file, variant and seed: lab and quirks.
        room: where cases of other processes may be at work too.
    """

    cast: Cast
    recorder: Recorder
    feed: Feed
    seed: int
    options: tuple[str, ...] = ()
    room: Room = field(default_factory=Room)


@dataclass(frozen=True, slots=True)
class Ending:
    """What a case came to."""

    verdict: Verdict
    message: str
    took: float
    own_time: float


def run_case(case: Case, setting: Setting) -> Ending:
    """Run a case, recording every step, and return what it came to; raises nothing a case can cause."""
    with setting.room.entered(alone=disturbs(case, setting.cast)):
        return _run_case(case, setting)


def _run_case(case: Case, setting: Setting) -> Ending:
    run = Run(case, setting)
    scope = Scope(dict(case.names))
    try:
        run.begin()
        if reason := leaving.unmet(case, setting.cast):
            run.note(Verdict.SKIPPED, reason)
            return run.finish(scope, whole=False)
        whole = run.take(case.steps(), scope)
    except (KeyboardInterrupt, SystemExit):
        run.undo()
        raise  # the case has no verdict then, so it counts as not run
    except StepwedgeError as trouble:  # the simulated hospital is gone: nothing can be seen
        run.note(
            Verdict.BROKEN,
            wording.text(Verdict.BROKEN, case.file.source.place(), "the case", str(trouble), []),
        )
        return run.finish(scope, whole=False, blind=True)
    except BaseException as trouble:  # such as a time limit of pytest
        run.note(
            Verdict.BROKEN,
            wording.text(Verdict.BROKEN, case.file.source.place(), "the case", str(trouble), []),
        )
        run.finish(scope, whole=False, blind=True)
        raise
    return run.finish(scope, whole=whole)


def record_broken(case: Case, recorder: Recorder, seed: int, options: tuple[str, ...], trouble: str) -> None:
    """Record that a case could not even begin, because the lab does not stand."""
    _record_case(case, recorder)
    replay = wording.replay(case.file.source.name, case.variant, seed, options)
    recorder.write(
        "verdict",
        case=case.id,
        verdict=Verdict.BROKEN,
        message=trouble,
        took=0.0,
        own_time=0.0,
        replay=replay,
        left_out=[],
        fences={"proven": 0, "waited": 0},
    )


@dataclass(slots=True)
class Run:
    """One case on its way: begun, taken step by step, finished with the standing rules and the verdict."""

    case: Case
    setting: Setting
    view: CaseView = field(init=False)
    taker: Taker = field(init=False)
    faults: Faults = field(init=False)
    ledger: Ledger = field(init=False)
    replay: str = field(init=False)
    started: float = field(init=False)
    roles: dict[str, str] = field(init=False)
    verdicts: list[Verdict] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    fences: dict[str, int] = field(default_factory=lambda: {"proven": 0, "waited": 0})
    debts: Debts = field(default_factory=Debts)
    judged: int = 0
    index: int = 0

    def __post_init__(self) -> None:
        setting, case = self.setting, self.case
        self.view = CaseView(case.id, setting.seed, setting.feed, setting.recorder, Stopwatch())
        self.taker = Taker(setting.cast, self.view, Fence(setting.cast, self.view))
        self.faults = Faults(setting.cast, case.id, setting.seed, setting.recorder)
        self.ledger = Ledger(setting.recorder.folder / case.id / FILE)
        self.replay = wording.replay(case.file.source.name, case.variant, setting.seed, setting.options)
        self.started = time.monotonic()
        self.roles = {player.name: player.role for player in setting.cast}

    def begin(self) -> None:
        """Record what the case is, and let what checks ask count as its evidence."""
        _record_case(self.case, self.setting.recorder)
        self.setting.cast.observe = self.view.observe
        with self.view.watch.outside():
            self.setting.feed.take()  # what is left over from the case before

    def finish(self, scope: Scope, *, whole: bool, blind: bool = False) -> Ending:
        """Apply the standing rules and record the verdict; ``whole`` tells that no step went wrong, ``blind`` that nothing can be seen."""
        self.undo()
        if Verdict.SKIPPED not in self.verdicts and not blind:
            self._seen(whole=whole)
        if not self.judged and _BAD.isdisjoint(self.verdicts) and Verdict.SKIPPED not in self.verdicts:
            reason = "; ".join(dict.fromkeys([*self.left_out, *scope.lost.values()]))
            self.note(
                Verdict.SKIPPED, f"nothing was judged: {reason or 'no step that judges anything was reached'}"
            )
        if self.faults.begun:
            self.setting.recorder.write("ledger", case=self.case.id, **self.ledger.account())
            self.ledger.close()
        verdict = combine(self.verdicts)
        took = time.monotonic() - self.started
        ending = Ending(verdict, "\n\n".join(self.messages), took, took - self.view.watch.waited)
        self.setting.recorder.write(
            "verdict",
            case=self.case.id,
            verdict=verdict,
            message=ending.message,
            took=round(took, 4),
            own_time=round(ending.own_time, 4),
            replay=self.replay,
            left_out=self.left_out,
            fences=self.fences,
        )
        return ending

    def undo(self) -> None:
        """Lift every fault, then take back what was done to systems that others use.

        A fault that did not act proves nothing; what stays makes the case broken, for the next would suffer.
        """
        for outcome in self.faults.end(self.replay):
            self.note(outcome.verdict, outcome.message)
        for debt in self.debts.take():
            planned, start = debt.step(), time.monotonic()
            place = Place(f"{planned.source.name}:{planned.line}", self.replay, arranging=True)
            try:
                outcome = self.taker.act(planned, {}, place)
            except Exception as trouble:  # noqa: BLE001 - whatever it is, the others must be taken back
                outcome = broken(planned, place, f"{planned.step.title}: {trouble!r}")
            self._record_step(planned, outcome, time.monotonic() - start, (), None)
            if outcome.verdict is not Verdict.PASSED:
                self.note(outcome.verdict, outcome.message)

    def _seen(self, *, whole: bool) -> None:
        try:
            self._rules(whole=whole)
        except StepwedgeError as trouble:  # the simulated hospital is gone: nothing more can be seen
            place = self.case.file.source.place()
            self.note(
                Verdict.BROKEN, wording.text(Verdict.BROKEN, place, "the standing rules", str(trouble), [])
            )

    def note(self, verdict: Verdict, message: str) -> None:
        """Let a verdict count, and tell why."""
        self.verdicts.append(verdict)
        if message:
            self.messages.append(message)

    def take(self, steps: Iterable[Planned], scope: Scope) -> bool:
        """Take steps until one does not pass; tell whether all were taken."""
        return self._steps(steps, scope, ())

    def _steps(self, steps: Iterable[Planned], scope: Scope, around: tuple[Planned, ...]) -> bool:
        """Take steps until one does not pass; tell whether all were taken."""
        whole = True
        for planned in steps:
            if not whole:
                self._not_reached(planned, around)
            else:
                whole = self._take(planned, scope, around)
        return whole

    def _take(self, planned: Planned, scope: Scope, around: tuple[Planned, ...]) -> bool:
        """Take one step or flow, if it is wanted; tell whether the case can go on."""
        start = time.monotonic()
        place = self._place(planned, around)
        try:
            if not self._wanted(planned, scope, around):
                return True
            if planned.flow:
                return self._flow(planned, scope, around)
            outcome = self._step(planned, scope, place, around)
        except Skipped as reason:
            outcome = Outcome(Verdict.SKIPPED, str(reason))
        except Unbound as missing:
            outcome = unbound(planned, place, missing)
        except StepwedgeError as trouble:
            outcome = broken(planned, place, str(trouble))
        except Exception:  # noqa: BLE001 - whatever our own code raises makes the case broken, never failed or passed
            outcome = crashed(planned, place)
        self._record_step(planned, outcome, time.monotonic() - start, around, scope)
        self.note(outcome.verdict, outcome.message)
        return outcome.verdict is Verdict.PASSED

    def _wanted(self, planned: Planned, scope: Scope, around: tuple[Planned, ...]) -> bool:
        """Tell whether a step is to be taken: its condition holds, and nothing it needs was left out."""
        needed = leaving.lost(planned, scope)
        if not needed and not taken(planned.step.when, scope.values):
            return False
        if reason := needed or leaving.reason(planned, scope, self.setting.cast):
            self._leave_out(planned, scope, reason, around)
            return False
        return True

    def _leave_out(self, planned: Planned, scope: Scope, reason: str, around: tuple[Planned, ...]) -> None:
        for name in leaving.names(planned):
            scope.lost[name] = f"needs ${name}, which line {planned.line} left out"
        self.left_out.append(reason)
        self._record_step(planned, Outcome(Verdict.SKIPPED, left_out=reason), 0.0, around, scope)

    def _not_reached(self, planned: Planned, around: tuple[Planned, ...]) -> None:
        outcome = Outcome(Verdict.SKIPPED, left_out="not reached: an earlier step did not pass")
        self._record_step(planned, outcome, 0.0, around, None)

    def _flow(self, planned: Planned, scope: Scope, around: tuple[Planned, ...]) -> bool:
        flow: FlowFile = self.case.file.flow(planned.flow)
        given = arguments(planned.step.with_, scope.values)
        inner = Scope({name: given.get(name, one.default) for name, one in flow.model.parameters.items()})
        whole = self._steps(flow.steps(), inner, (*around, planned))
        if whole:
            gives: dict[str, Any] = {}
            for name, text in flow.model.gives.items():
                reference = Reference.of(text.removeprefix("$"))
                if reference.name in inner.lost:
                    scope.lost |= dict.fromkeys(leaving.names(planned, name), inner.lost[reference.name])
                else:
                    gives[name] = reference.read(inner.values)
            _bind(planned, gives, scope)
        return whole

    def _step(self, planned: Planned, scope: Scope, place: Place, around: tuple[Planned, ...]) -> Outcome:
        if disturbing(planned, self.setting.cast):
            self.setting.room.enter(alone=True)
        if planned.troubles:
            with self.view.watch.outside():
                outcome = self.faults.take(planned, scope.values, place)
            if planned.kind == "lift" and outcome.verdict is Verdict.PASSED:
                self._recovered(planned, outcome, place)
        elif planned.acts:
            if self.faults.begun:  # what is not disturbed needs no ledger to tell what became of it
                self.ledger.attempt(planned.word, arguments(planned.step.with_, scope.values))
            outcome = self.taker.act(planned, scope.values, place, repeats=self.faults.repeats)
            if self.faults.begun:
                self.ledger.read(self.view.exchanges)
            if outcome.result is not None:  # it was done, whether its answer is as it should be or not
                given = arguments(planned.step.with_, scope.values)
                self.debts.took(planned, self.setting.cast, given, outcome.result)
        else:
            doors = leaving.doors(planned, scope, self.setting.cast)
            self.left_out += leaving.unasked(planned, scope, doors)
            outcome = self.taker.watch(planned, scope.values, place, doors)
            self._count(planned, outcome, around)
        if outcome.verdict is Verdict.PASSED:
            _bind(planned, outcome.result, scope)
        return outcome

    def _count(self, planned: Planned, outcome: Outcome, around: tuple[Planned, ...]) -> None:
        """Count what was judged; looks inside ``given`` only arrange, so they judge nothing."""
        if not any(one.kind == "given" for one in around):
            self.judged += 1
        if planned.kind == "never" and outcome.verdict is Verdict.PASSED:
            self.fences["proven" if outcome.fenced else "waited"] += 1

    def _place(self, planned: Planned, around: tuple[Planned, ...]) -> Place:
        outer = around[0] if around else None
        arranging = any(one.kind == "given" for one in (*around, planned))
        inside = f"{outer.source.name}:{outer.line} {outer.kind} {outer.word}" if outer else ""
        return Place(f"{planned.source.name}:{planned.line}", self.replay, arranging, inside)

    def _rules(self, *, whole: bool) -> None:
        """Apply the standing rules; what still arrives may turn a red one green for a while.

        A case that was cut short may look incomplete through no fault of the system under test. Then a red rule is
        recorded, but nobody can tell what it means.
        """
        deadline = time.monotonic() + _SETTLE * self.setting.cast.patience
        self._settle(deadline)
        if self.faults.begun:
            self.quiesce()
        found = self._judge()
        while _may_heal(found) and whole and time.monotonic() < deadline:
            if self.view.pull(min(0.25, max(0.0, deadline - time.monotonic()))):
                self._settle(deadline)
            found = self._judge()
        for rule, finding, verdict, message in found:
            self._rule(
                rule,
                finding,
                verdict if whole or verdict is not Verdict.FAILED else Verdict.INCONCLUSIVE,
                message,
            )

    def _settle(self, deadline: float) -> None:
        """Wait until the case is quiet: two reads in a row bring nothing new."""
        quiet = 0
        while quiet < 2 and time.monotonic() < deadline:  # noqa: PLR2004 - two equal reads
            quiet = 0 if self.view.pull(_QUIET) else quiet + 1

    def quiesce(self) -> None:
        """Wait until nothing is on its way any more: what is still queued may land after everything was read."""
        deadline = time.monotonic() + _DRAIN * self.setting.cast.patience
        while (waiting := _queued(self.setting.cast)) and time.monotonic() < deadline:
            self.view.pull(_QUIET)
        self._settle(time.monotonic() + _SETTLE)
        if waiting:
            said = ", ".join(f"{count} at {name}" for name, count in waiting.items())
            place = self.case.file.source.place()
            lines = [("unsure", f"messages still wait: {said}"), ("replay", self.replay)]
            text = wording.text(Verdict.INCONCLUSIVE, place, "recovery", "the queues do not drain", lines)
            self.note(Verdict.INCONCLUSIVE, text)

    def _recovered(self, planned: Planned, outcome: Outcome, place: Place) -> None:
        """Judge what was acknowledged before anybody sends it again: a retry would hide that it was lost."""
        deadline = time.monotonic() + _SETTLE * self.setting.cast.patience
        while True:
            self._settle(deadline)
            self.ledger.read(self.view.exchanges)
            facts = CaseFacts.of(tuple(self.view.exchanges), self.setting.cast)
            with self.view.watch.outside():
                differences = self.ledger.lost(facts)
            if not differences or time.monotonic() > deadline:
                break
        if differences:
            lines = [("found", str(one)) for one in differences[:8]] + [
                ("standard", SOURCE),
                ("replay", self.replay),
            ]
            outcome.verdict, outcome.differences = Verdict.FAILED, differences
            outcome.message = wording.text(
                Verdict.FAILED, place.line, planned.kind, "what was acknowledged is not there", lines
            )

    def _account(self, facts: CaseFacts) -> Judged:
        """Draw up the ledger of a case that was disturbed; before that, everything the journals told is entered."""
        self.ledger.read(self.view.exchanges)
        rule = Rule("LEDGER", SAYS, SOURCE, self.ledger.judge)
        finding = rule.judge(facts)
        return rule, finding, Verdict(finding.verdict), finding.unsure

    def _judge(self) -> list[Judged]:
        found: list[Judged] = []
        with self.view.watch.outside():
            facts = CaseFacts.of(tuple(self.view.exchanges), self.setting.cast, self.faults.forged)
            for rule in rules():
                try:
                    finding = rule.judge(facts)
                    found.append((rule, finding, Verdict(finding.verdict), finding.unsure))
                except Exception as trouble:  # noqa: BLE001 - a crashing rule is broken, never failed or passed
                    found.append((rule, None, Verdict.BROKEN, f"the rule itself failed: {trouble!r}"))
            if self.faults.begun:
                found.append(self._account(facts))
        return found

    def _rule(self, rule: Rule, finding: Finding | None, verdict: Verdict, said: str) -> None:
        message = ""
        if verdict in _BAD:
            differences = finding.differences if finding else []
            lines = [("found", str(one)) for one in differences[:8]]
            lines += [("unsure", said), ("standard", rule.source), ("replay", self.replay)]
            place = self.case.file.source.place()
            message = wording.text(verdict, place, f"rule {rule.id}", rule.says, lines)
        if verdict is not Verdict.SKIPPED:
            self.note(verdict, message)
        self.setting.recorder.write(
            "rule",
            case=self.case.id,
            rule=rule.id,
            says=rule.says,
            verdict=verdict,
            reached=finding.reached if finding else 0,
            differences=[asdict(one) for one in finding.differences] if finding else [],
            unseen=finding.unseen if finding else [],
            message=message,
        )

    def _record_step(
        self,
        planned: Planned,
        outcome: Outcome,
        took: float,
        around: tuple[Planned, ...],
        scope: Scope | None,
    ) -> None:
        self.index += 1
        arranging = any(one.kind == "given" for one in around)
        self.setting.recorder.write(
            "step",
            case=self.case.id,
            index=self.index,
            file=planned.source.name,
            line=planned.line,
            kind="given" if arranging else planned.kind,
            word=planned.word,
            title=_title(planned, scope, leaving.plain(planned, self.roles)),
            flow=around[-1].word if around else "",
            ihe=leaving.transaction(planned, self.setting.cast),
            took=round(took, 4),
            **outcome.record(),
        )


def _queued(cast: Cast) -> dict[str, int]:
    """Return how many messages wait at each simulated system that holds any."""
    waiting = {
        player.name: int(player.admin.health_of()["waiting"]) for player in cast if player.admin is not None
    }
    return {name: count for name, count in waiting.items() if count}


def _may_heal(found: list[Judged]) -> bool:
    """Tell whether judging again can make a difference: a rule is red, and none for good."""
    red = [finding for _, finding, verdict, _ in found if verdict in _BAD]
    return bool(red) and not any(finding is not None and finding.final for finding in red)


def _record_case(case: Case, recorder: Recorder) -> None:
    file, model = case.file, case.file.model
    recorder.write(
        "case",
        case=case.id,
        scenario=model.scenario,
        variant=case.variant,
        title=model.title,
        story=model.story.strip(),
        catalogue=model.catalogue,
        file=file.source.name,
        line=file.source.line("scenario"),
        severity=model.severity,
        tags=model.tags,
        concern=model.concern or "",
        ihe=model.ihe,
        requires=model.requires,
        started=time.time(),
    )


def _title(planned: Planned, scope: Scope | None, plain: str) -> str:
    said = planned.step.title or plain
    if scope is not None and planned.step.title:
        try:
            said = str(resolve(said, scope.values))
        except Unbound:
            return said
    return said[:1].upper() + said[1:]


def _bind(planned: Planned, result: Any, scope: Scope) -> None:
    """Bind what a step gives to the names it says."""
    names = getattr(planned.step, "as_", None)
    if isinstance(names, str):
        scope.values[names] = result
    elif isinstance(names, dict):
        for key, name in names.items():
            scope.values[name] = Reference("result", (key,)).read({"result": result})
