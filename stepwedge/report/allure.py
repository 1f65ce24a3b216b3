"""Write ``allure-results/`` from the journal, for engineers who read Allure reports.

A projection like every other: times, steps and attachments are those of the journal, so a run that was killed has
results too, and foreign fixtures do not appear in them.
"""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from allure_commons.logger import AllureFileLogger
from allure_commons.model2 import (
    Attachment,
    Label,
    Link,
    Parameter,
    Status,
    StatusDetails,
    TestResult,
    TestStepResult,
)

from stepwedge.report import story, summary, timeline

if TYPE_CHECKING:
    from stepwedge.report.run_model import Case, Record, Run

FOLDER: Final = "allure-results"
_STATUS: Final = {
    # Allure knows four words: what is not the system's fault is broken, and says in its text which of the two it is.
    "passed": Status.PASSED,
    "failed": Status.FAILED,
    "skipped": Status.SKIPPED,
    "broken": Status.BROKEN,
    "inconclusive": Status.BROKEN,
}
_IHE: Final = "https://profiles.ihe.net/RAD/"


def write(run: Run) -> None:
    """Write one result per case beside the journal; the old folder is replaced as a whole."""
    folder = run.folder / FOLDER
    draft = run.folder / f".{FOLDER}"
    shutil.rmtree(draft, ignore_errors=True)
    writer = AllureFileLogger(str(draft))
    for case in run.cases:
        writer.report_result(_Result(run, case, writer).result())
    properties = "".join(f"{name}={value}\n" for name, value in _environment(run).items())
    (draft / "environment.properties").write_text(properties, encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def _environment(run: Run) -> dict[str, Any]:
    lab = run.about.get("lab") or {}
    versions = {f"version.{name}": version for name, version in (run.about.get("versions") or {}).items()}
    return {"run": run.id, "lab": lab.get("name", ""), "seed": run.about.get("seed"), **versions}


class _Result:
    """One case on its way into Allure's words."""

    def __init__(self, run: Run, case: Case, writer: AllureFileLogger) -> None:
        self.run, self.case, self.writer = run, case, writer
        self._names = uuid.uuid5(uuid.NAMESPACE_URL, f"stepwedge:{run.id}:{case.id}")
        self._attached = 0

    def result(self) -> TestResult:
        """Return the whole case."""
        case = self.case
        start = _milliseconds(summary.moment(case.get("started", None)))
        name = f"{case.get('title') or case.id}" + (
            f" [{case.get('variant')}]" if case.get("variant") else ""
        )
        return TestResult(
            uuid=str(self._names),
            historyId=case.id,
            testCaseId=case.id,
            fullName=case.id,
            name=name,
            description=case.get("story"),
            status=_STATUS[case.verdict],
            statusDetails=self._details(case.verdict, case.message),
            stage="finished" if case.end else "interrupted",
            start=start,
            stop=start + round(case.took * 1000),
            labels=self._labels(),
            links=[Link(type="ihe", url=_IHE, name=name) for name in summary.several(case.get("ihe"))],
            parameters=[Parameter(name="variant", value=repr(case.get("variant")))]
            if case.get("variant")
            else [],
            steps=[*self._steps(start), *self._rules()],
            attachments=[
                self._attach(f"exchange {one['number']:04d} facts", one["facts"]) for one in self._unclaimed()
            ],
        )

    def _labels(self) -> list[Label]:
        case = self.case
        folder = PurePosixPath(str(case.get("file"))).parent.name
        labels = [
            Label("epic", str(case.get("concern") or "Scheduled workflow")),
            Label("feature", folder or "scenarios"),
            Label("story", str(case.get("title") or case.id)),
            Label("severity", str(case.get("severity") or "normal")),
            Label("scenario", case.id),
            Label("framework", "stepwedge"),
            Label("language", "python"),
        ]
        return labels + [Label("tag", str(tag)) for tag in summary.several(case.get("tags"))]

    def _steps(self, start: int) -> list[TestStepResult]:
        steps, now = [], start
        exchanges = {one["number"]: one for one in self.case.exchanges}
        for step in self.case.steps:
            took = round(float(step.get("took") or 0.0) * 1000)
            word = "skipped" if step.get("left_out") else str(step.get("verdict") or "skipped")
            evidence = [exchanges[number] for number in step.get("evidence") or [] if number in exchanges]
            steps.append(
                TestStepResult(
                    name=f"{str(step['kind']).capitalize()} · {step.get('title') or step['word']}",
                    status=_STATUS.get(word, Status.BROKEN),
                    statusDetails=self._details(word, str(step.get("message") or step.get("left_out") or "")),
                    start=now,
                    stop=now + took,
                    attachments=[attached for one in evidence for attached in self._evidence(one)],
                )
            )
            now += took
        return steps

    def _rules(self) -> list[TestStepResult]:
        return [
            TestStepResult(
                name=f"Rule {rule['rule']} · {rule.get('says', '')}",
                status=_STATUS[word],
                statusDetails=self._details(word, str(rule.get("message") or "")),
            )
            for rule in self.case.rules
            if (word := summary.rule_verdict(rule)) in _STATUS
        ]

    def _unclaimed(self) -> list[Record]:
        """Return the DICOM exchanges that no step names as its evidence."""
        named = {number for step in self.case.steps for number in step.get("evidence") or []}
        return [
            one
            for one in self.case.exchanges
            if one["protocol"] == "dimse" and one["number"] not in named and one.get("facts")
        ]

    def _evidence(self, exchange: Record) -> list[Attachment]:
        sender, receiver = timeline.ends(exchange)
        name = f"{exchange['number']:04d} {exchange['kind']} {sender} to {receiver}"
        if exchange["protocol"] != "hl7":
            return [self._attach(name, exchange.get("facts") or {})]
        texts = [(name, exchange.get("request")), (f"{name}, answer", exchange.get("response"))]
        return [
            self._attach(said, text.replace("\r", "\n"))
            for said, payload in texts
            if (text := story.text_of(payload, self.run.folder))
        ]

    def _attach(self, name: str, content: str | Record) -> Attachment:
        self._attached += 1
        kind, ending = ("text/plain", "txt") if isinstance(content, str) else ("application/json", "json")
        body = content if isinstance(content, str) else json.dumps(content, indent=1, ensure_ascii=False)
        source = f"{uuid.uuid5(self._names, str(self._attached))}-attachment.{ending}"
        self.writer.report_attached_data(body, source)
        return Attachment(name=name, source=source, type=kind)

    @staticmethod
    def _details(word: str, text: str) -> StatusDetails | None:
        if not text and word == "passed":
            return None
        return StatusDetails(message=f"{word}: {text}" if word == "inconclusive" else text or word)


def _milliseconds(at: Any) -> int:
    return round(at.timestamp() * 1000) if at else 0
