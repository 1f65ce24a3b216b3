"""What the operator of an archive can be told to do: move studies between tiers, delete them, hold them, and let them expire."""

from __future__ import annotations

from stepwedge.actors.words import Parameter, Undo, Word, define

STUDY = Parameter("study", required=True, says="Study Instance UID")

define(
    Word(
        "pacs",
        "import_media",
        "take in every image of a medium that came from outside",
        (Parameter("media", required=True, says="what reader.export_images gave, or its media"),),
        {
            "media": "where it was read",
            "studies": "one {study} each",
            "instances": "one {sop} per object that was taken",
            "stored": "how many the archive took",
            "refused": "one {file, reason} per file that it did not",
        },
        requires=("media",),
    ),
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
        "damage_image",
        "let one byte of an image turn over on the archive's disk, as old disks do",
        (STUDY,),
        {"sop": "SOP Instance UID of the image", "study": "Study Instance UID"},
        undo=Undo("mend_image", {"sop": "sop"}),
    ),
    Word(
        "pacs",
        "mend_image",
        "put the image back from the copy that was kept apart",
        (Parameter("sop", required=True, says="SOP Instance UID of the image"),),
        {"sop": "SOP Instance UID of the image"},
    ),
    Word(
        "pacs",
        "scrub",
        "look whether every image of a study is on the disk as it came",
        (STUDY,),
        {"checked": "how many images", "damaged": "SOP Instance UIDs of those that are not"},
    ),
    Word(
        "pacs",
        "delete_study",
        "delete the study for good",
        (STUDY, Parameter("reason", says="why, for the trace that is left")),
        {"study": "Study Instance UID", "deleted": "how many objects"},
        requires=("deletion",),
    ),
    Word(
        "pacs",
        "hold_study",
        "put the study under a legal hold, so that nothing deletes it",
        (STUDY, Parameter("hold", "flag", says="no takes the hold off", default=True)),
        {"study": "Study Instance UID", "hold": "whether it is held now"},
        requires=("retention",),
    ),
    Word(
        "pacs",
        "apply_retention",
        "delete what the archive has kept long enough",
        (
            Parameter("study", says="only this Study Instance UID"),
            Parameter("days", "number", says="as of so many days from now", default=0),
        ),
        {
            "studies": "one {study, objects} for each study that was deleted",
            "count": "how many studies",
            "today": "the day it was done for",
        },
        ihe="RAD-66",
        requires=("retention",),
        alone=True,
    ),
)
