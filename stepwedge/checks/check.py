"""What a check is: one question, one look, no waiting.

A check never sleeps and never retries. It looks once and says what it saw; the engine decides how often to look and
until when. What could not be seen is *unsure*, never true: a lost link, a timeout, an empty answer where a value is
required.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from stepwedge.actors.words import Parameter, did_you_mean
from stepwedge.checks import matchers
from stepwedge.checks.difference import Difference
from stepwedge.errors import (
    BadInput,
    Failed,
    Inconclusive,
    LinkLost,
    LocalProtocolError,
    NoAnswer,
    Refused,
    RemoteProtocolError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from stepwedge.actors.cast import Cast
    from stepwedge.evidence.exchange import Exchange

__all__ = [
    "CHECKS",
    "Candidate",
    "CaseView",
    "Check",
    "Look",
    "Parameter",
    "Question",
    "check",
    "find",
    "look",
]

Observes = Literal["wire", "journal", "ask", "value"]
Place = Literal["at", "from", "none"]


class CaseView(Protocol):
    """What the engine shows of the running case."""

    id: str
    seed: int

    @property
    def exchanges(self) -> Sequence[Exchange]:
        """The exchanges that belong to the case, in the order they happened."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """What one step asks, its references already replaced by their values.

    Attributes:
        at: the actor at which something should be seen (``at:``).
        from_: the actor that is asked (``from:``).
        through: the doors to ask through; empty means the check's own first.
        where: which candidates are meant.
        is_: what must be true of them; ``None`` when being there is enough.
        args: the step's ``with:``.
    """

    cast: Cast
    case: CaseView
    at: str = ""
    from_: str = ""
    through: tuple[str, ...] = ()
    where: Mapping[str, Any] = field(default_factory=dict)
    is_: Any = None
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that was looked at.

    Attributes:
        label: what it is, for reading: ``#0004 ORM^O01``, ``worklist entry SW000123``.
        value: its parts by name (:class:`stepwedge.checks.matchers.Lookup`) or the value itself.
        evidence: numbers of the exchanges that show it.
    """

    label: str
    value: Any
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw.

    ``expect`` is true when :attr:`holds`; ``never`` is violated when :attr:`matched` is not empty, and proves nothing
    while :attr:`unsure` is not empty.

    Attributes:
        matched: the candidates that satisfy the question.
        differences: what keeps the question from being true.
        closest: the candidate that came nearest, for reading.
        seen: how many candidates were looked at.
        evidence: numbers of the exchanges looked at.
        unsure: why nothing can be concluded; empty when something can.
        peer_fault: with ``unsure``: the system under test answered and the answer was a refusal or against the
            protocol, so that a lasting ``expect`` is *failed*, not *inconclusive*.
        final: no later look can make it good: a system that showed a changed image once has shown it.
    """

    matched: list[Candidate] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)
    closest: str = ""
    seen: int = 0
    evidence: list[int] = field(default_factory=list)
    unsure: str = ""
    peer_fault: bool = False
    final: bool = False

    @property
    def holds(self) -> bool:
        """Whether what the question expects is true."""
        return bool(self.matched) and not self.differences and not self.unsure


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the keys of ``where`` or ``is`` may be.

    Attributes:
        says: what they are, for readers: ``DICOM keywords``.
        complaint: what is wrong with one key; empty when nothing is.
    """

    says: str
    complaint: Callable[[str], str]

    def problems(self, spec: Any, path: str) -> Iterator[tuple[str, str]]:
        """Yield (path, what is wrong) for every unknown key at the top of ``spec``."""
        if isinstance(spec, dict) and matchers.matcher_word(spec) is None:
            for key in spec:
                if text := self.complaint(str(key)):
                    yield f"{path}.{key}", text


def only(*names: str) -> Vocabulary:
    """Allow these names and no others."""
    listed = ", ".join(names)

    def complaint(key: str) -> str:
        return "" if key in names else f"{key!r} is none of {listed}{did_you_mean(key, names)}"

    return Vocabulary(listed, complaint)


def _keyword_complaint(key: str) -> str:
    from stepwedge.wire import dictionary

    try:
        dictionary.find(key)
    except LocalProtocolError as trouble:
        return str(trouble)
    return ""


KEYWORDS: Final = Vocabulary("DICOM keywords", _keyword_complaint)
ANYTHING: Final = Vocabulary("a value or a matcher", lambda _key: "")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that can be expected, such as ``worklist.entry``.

    Attributes:
        ask: the function that looks once.
        says: one plain clinical sentence without a full stop, for ``explain`` and reports.
        ihe: the transaction whose effect it shows.
        observes: ``journal`` (what a simulated actor received), ``wire`` (asked by the probe), ``ask`` (what a
            simulated actor knows), ``value`` (something bound earlier).
        place: whether the step names the actor with ``at`` or with ``from``.
        doors: what ``through`` may name, each with the claim it needs; the first is the default.
        where: what the keys of ``where`` may be; ``is_`` likewise.
        chosen_by: keys of ``where`` of which at least one must be there.
        takes: what ``with`` may hold.
        fence: ``hl7`` when a marker message behind the suspect proves a ``never``.
        requires: claims that it needs whatever it is asked through.
        tapped: for ``journal``: the doors of a real system at which a tap shows it as well.
    """

    name: str
    ask: Callable[[Question], Look]
    says: str
    ihe: str
    observes: Observes
    place: Place
    doors: Mapping[str, str] = field(default_factory=dict)
    where: Vocabulary = ANYTHING
    is_: Vocabulary = ANYTHING
    chosen_by: tuple[str, ...] = ()
    takes: tuple[Parameter, ...] = ()
    fence: Literal["none", "hl7"] = "none"
    requires: tuple[str, ...] = ()
    tapped: tuple[str, ...] = ()

    def look(self, question: Question) -> Look:
        """Look once; trouble on the wire becomes *unsure* and says whose fault it is."""
        try:
            return self.ask(question)
        except (LinkLost, NoAnswer, Inconclusive) as trouble:
            return Look(unsure=str(trouble))
        except (Refused, RemoteProtocolError, Failed) as trouble:
            return Look(
                unsure=str(trouble),
                peer_fault=True,
                differences=[Difference("answer", "an answer to the question", str(trouble))],
            )

    def needs(self, through: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the claims a system under test must make before this can be asked of it."""
        doors = tuple(through) or tuple(self.doors)[:1]
        return (*self.requires, *(self.doors[door] for door in doors if self.doors.get(door)))

    def problems(self, step: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        """Yield (path, what is wrong) for one step as it stands in the file, references and all."""
        yield from self._misplaced(step)
        yield from self._strange_arguments(step.get("with") or {})
        if self.chosen_by and not set(self.chosen_by) & set(step.get("where") or {}):
            yield "where", f"{self.name} needs {' or '.join(self.chosen_by)} to know what is meant"
        for key, vocabulary in (("where", self.where), ("is", self.is_)):
            yield from vocabulary.problems(step.get(key), key)
            yield from matchers.problems(step.get(key), key)

    def _misplaced(self, step: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        for place in ("at", "from"):
            if place == self.place and not step.get(place):
                yield "", f"{self.name} needs {place}: the name of an actor"
            elif place != self.place and place in step:
                yield place, f"{self.name} takes no {place!r}"
        for door in step.get("through") or ():
            if door not in self.doors:
                known = ", ".join(self.doors) or "nothing"
                yield "through", f"{self.name} can be asked through {known}{did_you_mean(door, self.doors)}"

    def _strange_arguments(self, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        names = [parameter.name for parameter in self.takes]
        for name in given:
            if name not in names:
                yield f"with.{name}", f"{self.name} takes no {name!r}{did_you_mean(name, names)}"
        for parameter in self.takes:
            if parameter.required and parameter.name not in given:
                yield "with", f"{self.name} needs {parameter.name}: {parameter.says}"


CHECKS: Final[dict[str, Check]] = {}


def check(
    name: str,
    *,
    says: str,
    ihe: str,
    observes: Observes,
    place: Place,
    doors: Mapping[str, str] | None = None,
    where: Vocabulary = ANYTHING,
    is_: Vocabulary = ANYTHING,
    chosen_by: tuple[str, ...] = (),
    takes: tuple[Parameter, ...] = (),
    fence: Literal["none", "hl7"] = "none",
    requires: tuple[str, ...] = (),
    tapped: tuple[str, ...] = (),
) -> Callable[[Callable[[Question], Look]], Callable[[Question], Look]]:
    """Register the decorated function under ``name``; see :class:`Check` for the arguments."""

    def register(ask: Callable[[Question], Look]) -> Callable[[Question], Look]:
        if name in CHECKS and CHECKS[name].ask.__module__ != ask.__module__:
            raise BadInput(f"check {name!r}", "one definition of each check", "two", "rename one of them")
        CHECKS[name] = Check(
            name,
            ask,
            says,
            ihe,
            observes,
            place,
            doors or {},
            where,
            is_,
            chosen_by,
            takes,
            fence,
            requires,
            tapped,
        )
        return ask

    return register


_FAMILIES = (
    "messages",
    "handwritten",
    "exactly",
    "offered",
    "worklist",
    "orders",
    "appointments",
    "studies",
    "images",
    "pictures",
    "wider_queries",
    "frames",
    "pet",
    "dose",
    "performed",
    "reports",
    "commitment",
    "tasks",
    "exams",
    "reading",
    "documents",
    "results",
    "relay",
    "doors",
    "steadfast",
    "access",
    "launching",
    "audit",
    "availability",
    "fhir",
    "routing",
    "identity",
)


@cache
def _load() -> None:
    present = {module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])}
    for family in _FAMILIES:
        if family in present:
            importlib.import_module(f"{__package__}.{family}")


def checks() -> list[Check]:
    """Return all checks by name."""
    _load()
    return [CHECKS[name] for name in sorted(CHECKS)]


def find(name: str) -> Check:
    """Return one check; an unknown name is answered with the nearest known."""
    _load()
    try:
        return CHECKS[name]
    except KeyError:
        near = did_you_mean(name, CHECKS).strip(" ;")
        raise BadInput(f"check {name!r}", f"one of {', '.join(sorted(CHECKS))}", name, near) from None


def look(
    candidates: Sequence[Candidate],
    where: Mapping[str, Any],
    is_: Any,
    *,
    what: str,
    count: int | None = None,
) -> Look:
    """Choose among candidates with ``where``, judge the chosen with ``is``, and name the nearest.

    ``what`` names the kind of thing in the plural; ``count`` is how many must be chosen when the number matters.
    """
    evidence = [number for candidate in candidates for number in candidate.evidence]
    weighed = [(candidate, matchers.compare("", where, candidate.value)) for candidate in candidates]
    chosen = [candidate for candidate, differences in weighed if not differences]
    if not chosen:
        nearest, differences = min(weighed, key=lambda pair: len(pair[1]), default=(None, []))
        wanted = f"{what} where {matchers.describe(where)}" if where else what
        return Look(
            differences=differences or [Difference(what, wanted, f"none among {len(candidates)}")],
            closest=_closest(nearest, differences),
            seen=len(candidates),
            evidence=evidence,
        )
    judged = [
        (candidate, [] if is_ is None else matchers.compare("", is_, candidate.value)) for candidate in chosen
    ]
    matched = [candidate for candidate, differences in judged if not differences]
    nearest, differences = min(judged, key=lambda pair: len(pair[1]))
    if count is not None and len(matched) != count and matched:
        differences = [Difference(what, f"exactly {count}", str(len(matched)))]
    return Look(
        matched=matched,
        differences=list(differences),
        closest=_closest(nearest, differences),
        seen=len(candidates),
        evidence=evidence,
    )


def _closest(candidate: Candidate | None, differences: Sequence[Difference]) -> str:
    if candidate is None:
        return ""
    detail = " · ".join(f"{difference.path} = {difference.found}" for difference in differences)
    return f"{candidate.label}: {detail}" if detail else candidate.label
