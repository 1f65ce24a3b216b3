"""Take one step: tell an actor to act, or look until what is expected holds; the outcome says everything about it."""

from __future__ import annotations

import time
import traceback
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors.words import word
from stepwedge.checks import check as checks
from stepwedge.checks import matchers
from stepwedge.checks.check import Check, Look, Question
from stepwedge.errors import Inconclusive, StepwedgeError
from stepwedge.scenario import wording
from stepwedge.scenario.bindings import Unbound, resolve
from stepwedge.scenario.schema import Expect, Never
from stepwedge.scenario.transactions import cited
from stepwedge.scenario.verdict import Verdict, blame
from stepwedge.scenario.watching import Naps, Pauses, Polls, Watched, until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stepwedge.actors.cast import Cast
    from stepwedge.checks.difference import Difference
    from stepwedge.scenario.case import CaseView
    from stepwedge.scenario.fence import Fence
    from stepwedge.scenario.load import Planned

REPEATS: Final = 2
"""How often an act whose outcome nobody knows is repeated at most."""


@dataclass(slots=True)
class Outcome:
    """What taking a step came to.

    Attributes:
        message: the whole failure text; empty when passed.
        result: what the step gives to ``as``.
        fenced: for ``never``: whether a fence proved it; ``None`` for all else.
        left_out: why it was not taken; empty when it was.
        repeated: how often an act was repeated because nobody knew its outcome.
    """

    verdict: Verdict = Verdict.PASSED
    message: str = ""
    result: Any = None
    within: float | None = None
    looks: int = 0
    differences: list[Difference] = field(default_factory=list)
    closest: str = ""
    evidence: list[int] = field(default_factory=list)
    fenced: bool | None = None
    left_out: str = ""
    repeated: int = 0

    def record(self) -> dict[str, Any]:
        """Return the fields of the journal's step record."""
        return {
            "verdict": self.verdict,
            "within": self.within,
            "looks": self.looks,
            "message": self.message,
            "differences": [asdict(one) for one in self.differences],
            "closest": self.closest,
            "evidence": self.evidence,
            "fenced": self.fenced,
            "left_out": self.left_out or None,
            "repeated": self.repeated,
            "result": self.result
            if isinstance(self.result, dict | list | str | int | float | bool)
            else None,
        }


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the files a step stands, and whether trouble in it is the lab's own."""

    line: str
    replay: str
    arranging: bool = False
    around: str = ""

    def judged(self, verdict: Verdict) -> Verdict:
        """Return the verdict, as arranging turns it: trouble there is never the fault of the system under test."""
        return (
            Verdict.BROKEN
            if self.arranging and verdict in {Verdict.FAILED, Verdict.INCONCLUSIVE}
            else verdict
        )


@dataclass(slots=True)
class Taker:
    """Takes the steps of one case."""

    cast: Cast
    case: CaseView
    fence: Fence

    def act(
        self, planned: Planned, scope: Mapping[str, Any], place: Place, *, repeats: bool = False
    ) -> Outcome:
        """Tell an actor to do what the step says; ``repeats`` when nobody knows its outcome, as its word allows."""
        step = planned.step
        name, _, verb = planned.word.partition(".")
        args = arguments(step.with_, scope)
        if step.to:
            args["to"] = resolve(step.to, scope)
        reply = resolve(getattr(step, "reply", None), scope)
        before = len(self.case.exchanges)
        outcome = Outcome()
        trouble = self._told(outcome, name, verb, args)
        while repeats and outcome.repeated < REPEATS and trouble and self._repeatable(name, verb, trouble):
            outcome.repeated += 1
            trouble = self._told(outcome, name, verb, args)
        self.case.pull()
        made = self.case.exchanges[before:]
        outcome.evidence = [one.number for one in made]
        unknown = trouble is not None and _foreseen(reply, blame(trouble))
        if reply is not None and (trouble is None or unknown or blame(trouble) is Verdict.FAILED):
            sent = [one for one in made if one.actor == name and one.direction == "out"]
            words = [
                one.outcome for one in sent if not unknown or one.protocol != "act"
            ]  # an act ends inconclusive
            said = {"text": str(trouble or ""), "outcome": words[-1] if words else "lost" * unknown}
            outcome.differences = matchers.compare("", reply, {**(outcome.result or {}), **said})
            if outcome.differences:
                outcome.verdict = Verdict.INCONCLUSIVE if unknown else Verdict.FAILED
        elif trouble is not None:
            outcome.verdict = blame(trouble)
        if outcome.verdict is not Verdict.PASSED:
            outcome.verdict = place.judged(outcome.verdict)
            outcome.message = self._acted(planned, place, outcome, reply, str(trouble or ""))
        return outcome

    def _told(self, outcome: Outcome, name: str, verb: str, args: dict[str, Any]) -> StepwedgeError | None:
        """Tell an actor to do something, for the first time or again; return what went wrong."""
        again = outcome.repeated > 0 and word(self.cast[name].role, verb).repeat == "same"
        case = {"id": self.case.id, "seed": self.case.seed, "again": again}
        try:
            with self.case.watch.outside():
                outcome.result = self.cast[name].act(verb, args, case)
        except StepwedgeError as raised:
            return raised
        return None

    def _repeatable(self, name: str, verb: str, trouble: StepwedgeError) -> bool:
        """Tell whether nobody knows what became of an act, and its word may be said again."""
        return blame(trouble) is Verdict.INCONCLUSIVE and bool(word(self.cast[name].role, verb).repeat)

    def _acted(self, planned: Planned, place: Place, outcome: Outcome, reply: Any, trouble: str) -> str:
        """Write the text of an act that did not go as it should."""
        name, _, verb = planned.word.partition(".")
        player = self.cast[name]
        lines = [
            ("inside", place.around),
            ("actor", f"{name} ({player.played})"),
            ("expected", wording.spec(reply) if reply is not None else "success"),
            ("found", " · ".join(str(one) for one in outcome.differences)),
            ("answer", trouble),
            ("standard", cited(planned.step.ihe or word(player.role, verb).ihe)),
            ("evidence", wording.evidence_of_act(self.case.files[number] for number in outcome.evidence)),
            ("replay", place.replay),
        ]
        return wording.text(outcome.verdict, place.line, f"{planned.kind} {planned.word}", "", lines)

    def watch(
        self, planned: Planned, scope: Mapping[str, Any], place: Place, doors: tuple[str, ...]
    ) -> Outcome:
        """Look for what the step expects, or watch that it does not happen."""
        step = planned.step
        check = checks.find(planned.word)
        question = Question(
            self.cast,
            self.case,
            at=str(resolve(step.at, scope) or ""),
            from_=str(resolve(step.from_, scope) or ""),
            through=doors,
            where=resolve(getattr(step, "where", {}), scope),
            is_=resolve(getattr(step, "is_", None), scope),
            args=arguments(step.with_, scope),
        )
        outcome = Outcome()
        try:
            if isinstance(step, Expect):
                outcome.within = step.within * self.cast.patience
                seen = self._expect(check, question, outcome.within, outcome)
            elif isinstance(step, Never):
                outcome.within = step.for_ * self.cast.patience
                seen = self._never(check, question, outcome.within, outcome)
            else:
                raise TypeError(planned.kind)
        except Inconclusive as trouble:
            seen = Watched(Look(unsure=str(trouble)), 0, 0.0)
            outcome.verdict = Verdict.INCONCLUSIVE
        outcome.looks = seen.looks
        outcome.differences, outcome.closest = list(seen.look.differences), seen.look.closest
        outcome.evidence = list(seen.look.evidence)
        if outcome.verdict is not Verdict.PASSED:
            outcome.verdict = place.judged(outcome.verdict)
            outcome.message = self._watched(planned, place, outcome.verdict, check, question, seen)
        return outcome

    def _watched(
        self,
        planned: Planned,
        place: Place,
        verdict: Verdict,
        check: Check,
        question: Question,
        seen: Watched,
    ) -> str:
        """Write the text of an ``expect`` or ``never`` that did not pass."""
        look, asked = seen.look, wording.spec(question.is_)
        if planned.kind == "expect":
            how, expected = wording.gave_up(seen.took, seen.looks), wording.differences(look) or asked
        else:
            how = "it happened" if look.matched else "nobody can tell"
            expected = f"never: {asked}" if asked else "never"
        lines = [
            ("inside", place.around),
            self._actor_line(check, question),
            ("where", wording.spec(question.where)),
            ("expected", expected),
            ("closest", wording.closest(look, self.case)),
            ("answer" if look.peer_fault else "unsure", look.unsure),
            ("standard", cited(planned.step.ihe or check.ihe)),
            ("evidence", wording.evidence(look, self.case)),
            ("replay", place.replay),
        ]
        return wording.text(verdict, place.line, f"{planned.kind} {planned.word}", how, lines)

    def _expect(self, check: Check, question: Question, within: float, outcome: Outcome) -> Watched:
        if check.observes == "value":
            seen = Watched(self._look(check, question), 1, 0.0)  # what is bound no longer changes
        else:
            seen = until(
                lambda: self._look(check, question),
                lambda look: look.holds or look.final,
                within,
                self._pauses(check),
            )
        if seen.look.holds:
            outcome.result = seen.look.matched[0].value
        elif seen.look.unsure and not seen.look.peer_fault:
            outcome.verdict = Verdict.INCONCLUSIVE
        else:
            outcome.verdict = Verdict.FAILED
        return seen

    def _never(self, check: Check, question: Question, lasting: float, outcome: Outcome) -> Watched:
        self.case.pull()
        seen = Watched(self._look(check, question), 1, 0.0)
        outcome.fenced = False
        if not seen.look.matched:
            outcome.fenced = self.fence.possible(check, question.at) and self.fence.stand(question.at)
            within = 0.0 if outcome.fenced else lasting
            seen = until(
                lambda: self._look(check, question),
                lambda look: bool(look.matched),
                within,
                self._pauses(check),
            )
        if seen.look.matched:
            outcome.verdict = Verdict.FAILED
        elif seen.look.unsure:
            outcome.verdict = Verdict.INCONCLUSIVE
        return seen

    def _look(self, check: Check, question: Question) -> Look:
        if check.observes in {"journal", "value"}:
            return check.look(question)
        with self.case.watch.outside():
            return check.look(question)

    def _pauses(self, check: Check) -> Pauses:
        if check.observes == "journal":
            self.case.pull()
            return Polls(self.case.pull)
        return Naps(self._sleep)

    def _sleep(self, seconds: float) -> None:
        with self.case.watch.outside():
            time.sleep(seconds)

    def _actor_line(self, check: Check, question: Question) -> tuple[str, str]:
        label, name = ("at", question.at) if question.at else ("from", question.from_)
        if name not in self.cast:
            return (label, name)
        return (label, wording.door(self.cast[name], check, question.through))


def _foreseen(reply: Any, verdict: Verdict) -> bool:
    """Tell whether a step names ``lost``, ``timeout`` or ``garbled`` as an outcome, and nobody can tell what became of the act."""
    if verdict is not Verdict.INCONCLUSIVE or not isinstance(reply, dict) or set(reply) != {"outcome"}:
        return False
    named = reply["outcome"]
    words = named.get("one_of", ()) if isinstance(named, dict) else (named,)
    return not {"lost", "timeout", "garbled"}.isdisjoint(words)


def arguments(written: Mapping[str, Any], scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return a step's arguments with their values; null means left out."""
    resolved = {name: resolve(value, scope) for name, value in written.items()}
    return {name: value for name, value in resolved.items() if value is not None}


def unbound(planned: Planned, place: Place, missing: Unbound) -> Outcome:
    """Return the outcome of a step that needs what an earlier answer did not hold.

    Names and the keys of results were checked before anything ran, so a missing part means that the system under
    test gave nothing there (an empty worklist has no entry).
    """
    verdict = place.judged(Verdict.FAILED if missing.bound else Verdict.BROKEN)
    lines = [
        ("inside", place.around),
        ("expected", "what it needs from earlier steps"),
        ("found", str(missing)),
    ]
    what = f"{planned.kind} {planned.word}"
    return Outcome(verdict, wording.text(verdict, place.line, what, "", [*lines, ("replay", place.replay)]))


def broken(planned: Planned, place: Place, said: str) -> Outcome:
    """Return the outcome of a step that could not be taken, through no fault of the system under test."""
    lines = [("inside", place.around), ("trouble", said), ("replay", place.replay)]
    what = f"{planned.kind} {planned.word}"
    return Outcome(Verdict.BROKEN, wording.text(Verdict.BROKEN, place.line, what, "", lines))


def crashed(planned: Planned, place: Place) -> Outcome:
    """Return the outcome of a step in which our own code failed."""
    outcome = broken(planned, place, "Stepwedge itself failed here")
    outcome.message += f"\n\n{traceback.format_exc().rstrip()}"
    return outcome
