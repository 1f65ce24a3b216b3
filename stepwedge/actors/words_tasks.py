"""What a radiologist does with the worklist of reading tasks (UPS-RS, PS3.18 section 11)."""

from __future__ import annotations

from stepwedge.actors.words import Parameter, Word, define

TOLD = {
    "task": "SOP Instance UID of the task",
    "status": "HTTP status of the answer",
    "done": "whether the archive took it",
    "reason": "the Warning header of the answer",
}
TASK = Parameter("task", "task", required=True, says="what claim_task gave, or the UID of a task")
KEYLESS = Parameter("without_key", "flag", says="leave the Transaction UID out", default=False)
REASON = Parameter("reason", says="why")


def _task(name: str, does: str, *takes: Parameter) -> Word:
    return Word("reader", name, does, takes, TOLD, requires=("reading-tasks",))


define(
    Word(
        "reader",
        "list_tasks",
        "ask the worklist for the studies that are to be read",
        (
            Parameter("study", says="only of this Study Instance UID"),
            Parameter("state", says="Procedure Step State", default="SCHEDULED"),
        ),
        {"tasks": "the answers, as Elements", "count": "how many", "task": "UID of the first"},
        requires=("reading-tasks",),
    ),
    Word(
        "reader",
        "watch_task",
        "ask to be told of every change of a reading task",
        (Parameter("task", required=True, says="UID of the task, or what claim_task gave"),),
        {"task": "UID of the task", "receiver": "AE title that is told"},
        requires=("reading-tasks", "task-events"),
    ),
    Word(
        "reader",
        "unwatch_task",
        "ask not to be told of a reading task any more",
        (Parameter("task", required=True, says="UID of the task, or what claim_task gave"),),
        {"task": "UID of the task", "receiver": "AE title that was told"},
        requires=("reading-tasks", "task-events"),
    ),
    Word(
        "reader",
        "claim_task",
        "claim a reading task",
        (
            Parameter("study", says="the first task that is to be done of this Study Instance UID"),
            Parameter("task", says="UID of the task"),
            KEYLESS,
        ),
        {**TOLD, "transaction": "Transaction UID of the claim; empty when it was not taken"},
        requires=("reading-tasks",),
    ),
    _task(
        "update_task",
        "change what a reading task says",
        TASK,
        Parameter("label", says="Procedure Step Label"),
        KEYLESS,
    ),
    _task("complete_task", "complete a reading task", TASK, KEYLESS),
    _task("give_up_task", "cancel a reading task that was claimed", TASK, REASON, KEYLESS),
    _task("cancel_task", "ask that a reading task be cancelled", TASK, REASON),
)
