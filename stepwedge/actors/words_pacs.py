"""What the operator of an archive can be told to do: move studies between tiers, and delete them."""

from __future__ import annotations

from stepwedge.actors.words import Parameter, Word, define

STUDY = Parameter("study", required=True, says="Study Instance UID")

define(
    Word(
        "pacs",
        "move_study",
        "move the study to another tier of storage",
        (
            STUDY,
            Parameter("tier", required=True, says="where to", choices=("online", "nearline", "offline")),
        ),
        {"study": "Study Instance UID", "tier": "where it lies now"},
        requires=("storage-tiers",),
    ),
    Word(
        "pacs",
        "delete_study",
        "delete the study for good",
        (STUDY, Parameter("reason", says="why, for the trace that is left")),
        {"study": "Study Instance UID", "deleted": "how many objects"},
        requires=("deletion",),
    ),
)
