"""What the operator of an archive can be told to do: move studies between tiers, hold and delete them."""

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
        "hold_study",
        "put a legal hold on the study",
        (STUDY, Parameter("hold", "flag", says="false takes it off", default=True)),
        {"study": "Study Instance UID", "hold": "whether it is held"},
        requires=("retention",),
    ),
    Word(
        "pacs",
        "delete_study",
        "delete the study for good",
        (STUDY, Parameter("reason", says="why, for the trace that is left")),
        {"study": "Study Instance UID", "deleted": "how many objects"},
        requires=("retention",),
    ),
    Word(
        "pacs",
        "apply_retention",
        "delete what was kept long enough",
        (
            Parameter("today", "date", says="as if it were this day, YYYYMMDD"),
            Parameter("study", says="only this study"),
        ),
        {"deleted": "Study Instance UIDs", "count": "how many"},
        requires=("retention",),
    ),
)
