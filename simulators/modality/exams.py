"""The exams of a scanner: started from the worklist or by hand, appended, corrected, completed, broken off (RAD-6, RAD-7)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .entries import accepted, by_hand, measurements, shown_time
from .reasons import WRONG_ENTRY, reason_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from stepwedge.sim.bench import Bench
    from stepwedge.sim.simulator import Case

    from .network import Network
    from .settings import Settings
    from .state import Chosen, Exam, Scanner

Args = dict[str, Any]


class Exams:
    """The words by which exams begin and end."""

    def __init__(self, bench: Bench, scanner: Scanner, settings: Settings, network: Network) -> None:
        self._bench = bench
        self._scanner = scanner
        self._settings = settings
        self._network = network
        self._begun: dict[str, Exam] = {}  # told to the RIS, and not yet answered
        self._ended: dict[str, tuple[str, Args]] = {}

    def words(self) -> dict[str, Callable[[Args, Case], Awaitable[Args]]]:
        """Return the words by name."""
        return {
            "start_exam": self.start_exam,
            "enter_exam": self.enter_exam,
            "append_exam": self.append_exam,
            "correct_exam": self.correct_exam,
            "complete_exam": self.complete_exam,
            "discontinue_exam": self.discontinue_exam,
        }

    async def start_exam(self, args: Args, case: Case) -> Args:
        """Begin a performed procedure step for one worklist entry, or for several as a group (RAD-6)."""
        chosen = [
            (args["entry"], int(args.get("step") or 0)),
            *((entry, 0) for entry in args.get("group") or ()),
        ]
        with self._bench.change(self._scanner):
            mint = self._scanner.mint(case.id, case.seed)
            uid, own_study = mint.uid("mpps"), mint.uid("study")
        measured = measurements(args)
        habits = self._scanner.habits
        settings = replace(self._settings, acceptance=habits.acceptance(self._settings.acceptance))
        judged = [accepted(entry, step, settings, uid, own_study) for entry, step in chosen]
        filled = habits.noted(list(dict.fromkeys(key for _, _, keys in judged for key in keys)))
        now = shown_time(args, self._bench.clock.now())
        return await self._begin(
            uid, own_study, [(entry | measured, step) for entry, step, _ in judged], case, filled, now
        )

    async def enter_exam(self, args: Args, case: Case) -> Args:
        """Begin an exam that nobody scheduled: patient and procedure are typed in at the console (RAD-6, 4.6.4.1.2)."""
        with self._bench.change(self._scanner):
            mint = self._scanner.mint(case.id, case.seed)
            uid, own_study = mint.uid("mpps"), mint.uid("study")
        entry = by_hand(args["patient"], args.get("description") or "", own_study)
        return await self._begin(
            uid, own_study, [(entry, 0)], case, [], shown_time(args, self._bench.clock.now())
        )

    async def append_exam(self, args: Args, case: Case) -> Args:
        """Begin a further performed step for the same scheduled step: images were forgotten (RAD-6, append case)."""
        earlier = self._scanner.exam(args["mpps"])
        with self._bench.change(self._scanner):
            uid = self._scanner.mint(case.id, case.seed).uid("mpps")
        return await self._begin(uid, earlier.study, [(earlier.entry, earlier.step)], case, [])

    async def correct_exam(self, args: Args, case: Case) -> Args:
        """Break off an exam begun from the wrong worklist entry, and begin it again from the right one (RAD-7, RAD-6)."""
        wrong = await self._finish({"mpps": args["mpps"]}, case, "discontinue", WRONG_ENTRY)
        return await self.start_exam({"entry": args["entry"]}, case) | {"wrong": wrong["uid"]}

    async def _begin(
        self,
        uid: str,
        own_study: str,
        chosen: list[Chosen],
        case: Case,
        filled: list[str],
        now: datetime | None = None,
    ) -> Args:
        begun = self._begun.get(uid) if case.again else None
        exam = begun or self._scanner.start(chosen, uid, own_study, now or self._bench.clock.now())
        self._begun[uid] = exam
        told = await self._network.perform("create", uid, exam.sent, case)
        del self._begun[uid]
        with self._bench.change(self._scanner):
            self._scanner.exams[uid] = exam
            if not told:
                self._scanner.wait("create", uid, exam.sent)
        return self._told(exam) | {"filled": filled, "pending": not told}

    def _told(self, exam: Exam) -> Args:
        return {
            "uid": exam.uid,
            "study": exam.study,
            "accession": exam.accession,
            "patient": exam.patient,
            "station": self._bench.ae_title,
            "entry": exam.entry,
        }

    async def complete_exam(self, args: Args, case: Case) -> Args:
        """End a performed procedure step with everything that was acquired (RAD-7)."""
        self._scanner.chosen(args["images"])
        return await self._finish(args, case, "complete", "")

    async def discontinue_exam(self, args: Args, case: Case) -> Args:
        """Break a performed procedure step off, with the reason (CID 9300)."""
        reason = reason_of(args.get("reason") or "110513")
        return await self._finish(args, case, "discontinue", reason)

    async def _finish(self, args: Args, case: Case, event: str, reason: str) -> Args:
        exam = self._scanner.exam(args["mpps"])
        with self._bench.change(self._scanner):
            spare = self._scanner.mint(case.id, case.seed).uid("series")
        ended = self._ended.get(exam.uid) if case.again else None
        status, attributes = ended or self._scanner.finished(
            exam, event, shown_time(args, self._bench.clock.now()), spare, reason
        )
        self._ended[exam.uid] = status, attributes
        told = await self._network.perform("set", exam.uid, attributes, case)
        del self._ended[exam.uid]
        with self._bench.change(self._scanner):
            self._scanner.exams[exam.uid] = replace(exam, status=status)
            if not told:
                self._scanner.wait("set", exam.uid, attributes)
        return {"status": status, "uid": exam.uid, "pending": not told}
