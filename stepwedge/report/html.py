"""Write ``report.html``: one file that shows a person what happened to each patient, and lets them sign it.

The page asks nothing of any other host (a content security policy forbids it), escapes everything it shows, and
reads without its few lines of script.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from stepwedge import kit
from stepwedge.actors.cast import PROBE_AE
from stepwedge.report import manifest, run_model, story, summary, timeline, words
from stepwedge.report.atomic import replace

if TYPE_CHECKING:
    from jinja2 import Environment

    from stepwedge.report.run_model import Case, Record, Run

SHOWN: Final = 24_000
"""Characters of one message shown on the page; the whole of it is in the run folder."""


def write(run: Run) -> None:
    """Write ``report.html`` into the run folder."""
    replace(run.folder / "report.html", render(run))


def render(run: Run) -> str:
    """Return the whole page."""
    said = summary.summarise(run)
    worst_first = sorted(run.cases, key=lambda case: run_model.VERDICTS.index(case.verdict))
    cases = [CaseView(case, run, at) for at, case in enumerate(worst_first)]
    page = environment().get_template("report.html.j2")
    return page.render(
        run=run,
        said=said,
        cases=cases,
        headline=_headline(run),
        started=_when(run.about.get("started")),
        files=manifest.files(run.folder),
        lab=run.about.get("lab") or {},
    )


def environment() -> Environment:
    """Return the templates, with everything escaped and nothing undefined."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    templates = Environment(
        loader=FileSystemLoader(str(kit.find("reports/templates"))),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals |= {"signs": words.SIGNS, "advice": words.ADVICE}
    templates.filters |= {"seconds": _seconds, "several": summary.several}
    return templates


def _headline(run: Run) -> str:
    return words.ABORTED if run.aborted else words.HEADLINES[run.verdict]


def _when(value: Any) -> str:
    at = summary.moment(value)
    return f"{at:%d %B %Y, %H:%M:%S %Z}" if at else "unknown"


def _seconds(value: Any) -> str:
    """Write a duration as a person reads it."""
    if not isinstance(value, int | float):
        return ""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"


@dataclass(frozen=True)
class Message:
    """One exchange as the page shows it; ``twin`` is the number under which its other end wrote it down."""

    anchor: str
    number: int
    time: str
    who: str
    said: str
    answer: str
    twin: int
    parts: list[tuple[str, str]]
    exchange: Record


class CaseView:
    """One case as the page shows it."""

    def __init__(self, case: Case, run: Run, at: int) -> None:
        self.case = case
        self.anchor = f"case-{at + 1}"
        self._folder = run.folder
        lab = run.about.get("lab") or {}
        self._roles = {name: str(one.get("role", name)) for name, one in (lab.get("actors") or {}).items()}
        self._names = {str(lab.get("probe") or PROBE_AE): timeline.PROBE}
        self._arrows = timeline.arrows(case.exchanges, self._names)
        self.timeline = timeline.draw(self._arrows, self._roles, self._say)

    @property
    def rules(self) -> dict[str, list[Record]]:
        """The standing rules by how they came out, the worst first."""
        sorted_out: dict[str, list[Record]] = {}
        for word in ("failed", "broken", "inconclusive", "passed", "not reached"):
            if found := [rule for rule in self.case.rules if summary.rule_verdict(rule) == word]:
                sorted_out[word] = found
        return sorted_out

    @property
    def messages(self) -> list[Message]:
        """Every exchange with what was said on the wire; what both ends wrote down is shown once."""
        twins = {
            twin["number"]: one["number"]
            for a in self._arrows
            for one, twin in zip(a.seen, a.twins, strict=False)
        }
        return [self._message(exchange, twins.get(exchange["number"], 0)) for exchange in self.case.exchanges]

    def name(self, actor: str) -> str:
        """Return an actor's name as a label."""
        short = self._roles.get(actor, actor) in {"ehr", "ris", "pacs"} or len(actor) < len("ehr")
        return actor.upper() if short else "Checks" if actor == timeline.PROBE else actor.capitalize()

    def caption(self, actor: str) -> str:
        """Return what an actor is, for readers who do not know the name."""
        return story.CAPTIONS.get(self._roles.get(actor, actor), "")

    def _say(self, arrow: timeline.Arrow) -> tuple[str, str]:
        count = len(arrow.seen)
        to = self.name(arrow.receiver)
        if arrow.asks and count > 1:
            return f"Checks ask {to} what it holds: {count} questions", story.answer(arrow.first)
        said = self._sentence(arrow.first, arrow.receiver)
        if arrow.asks:
            said = said.replace("asks", "ask", 1)
        if count > 1:
            said = said.replace("an image", f"{count} images")
        return f"{self.name(arrow.sender)} {said}", story.answer(arrow.first)

    def _sentence(self, exchange: Record, receiver: str) -> str:
        return story.sentence(
            exchange, self.name(receiver), self._roles.get(receiver, receiver), self._folder
        )

    def _message(self, exchange: Record, twin: int) -> Message:
        sender, receiver = timeline.ends(exchange, self._names)
        at = summary.moment(exchange.get("at"))
        return Message(
            anchor=f"{self.anchor}-message-{exchange['number']}",
            number=int(exchange["number"]),
            time=f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}" if at else "",
            who=f"{self.name(sender)} → {self.name(receiver)}",
            said=self._sentence(exchange, receiver),
            answer=story.answer(exchange),
            twin=twin,
            parts=[] if twin else self._parts(exchange),
            exchange=exchange,
        )

    def _parts(self, exchange: Record) -> list[tuple[str, str]]:
        parts = [("read from it", _json(exchange.get("facts") or {}))]
        if exchange["protocol"] == "hl7":
            text = partial(story.text_of, folder=self._folder)
            said = [("sent", exchange.get("request")), ("answered", exchange.get("response"))]
            parts = [(name, _hl7(text(payload))) for name, payload in said]
        return [(name, body) for name, body in parts if body]


def _hl7(text: str) -> str:
    return _short(text.replace("\r\n", "\n").replace("\r", "\n").strip("\n"))


def _json(facts: Record) -> str:
    return _short(json.dumps(facts, indent=1, ensure_ascii=False)) if facts else ""


def _short(text: str) -> str:
    return (
        text
        if len(text) <= SHOWN
        else f"{text[:SHOWN]}\n… {len(text) - SHOWN} characters more in the run folder"
    )
