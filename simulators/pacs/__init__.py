"""The image manager and archive (PACS): storage, commitment, query and retrieval, over DIMSE and DICOMweb; HL7 for patients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.sim.dimse import DimseDoor
from stepwedge.sim.hl7 import Hl7Door
from stepwedge.sim.rows import pack
from stepwedge.sim.simulator import Simulator
from stepwedge.sim.web import WebDoor
from stepwedge.wire.encodings import COMPACT

from .acts import Operator, answers
from .dimse import Pacs, accepted
from .fhir import open_door
from .habits import PacsHabits
from .hl7 import HANDLERS
from .importing import Importing
from .life import Life
from .negotiate import OPTIONS
from .paths import ROOT
from .quirks import QUIRKS
from .sending import Deliveries
from .settings import Settings
from .state import Archive, patient_key
from .vault import Vault
from .web import Web
from .worklist_web import Worklist

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

__all__ = ["QUIRKS", "build"]

LARGEST_OBJECT = 1 << 29
"""Bytes of one data set; a larger one ends the association instead of filling memory."""


def build(bench: Bench) -> Simulator:
    """Return an archive standing on ``bench``."""
    settings = Settings.read(bench.settings, bench.name)
    habits = bench.adopt(PacsHabits())
    archive = bench.restore(
        Archive(bench.seed, bench.name, habits, resend=settings.resend, plan=settings.plan)
    )
    life = Life(bench, archive, settings)
    vault = Vault(bench, archive, life)
    pacs = Pacs(bench, vault, settings, life)
    worklist = Worklist(bench, archive, life.watchers)
    Deliveries(bench, vault, life, settings)
    return Simulator(
        bench,
        archive,
        doors=[
            Hl7Door(bench, archive, HANDLERS),
            DimseDoor(
                bench,
                pacs,
                accepted(),
                max_data=LARGEST_OBJECT,
                as_proposed=COMPACT,
                options=OPTIONS,
                max_associations=settings.associations,
            ),
            WebDoor(
                bench, Web(vault, bench.ae_title).application(*worklist.routes()), ROOT, compartment=True
            ),
            open_door(bench, archive),
        ],
        acts=Operator(bench, vault, life, settings).words() | Importing(bench, vault).words(),
        background=[pacs.resume],
        asks={
            "patient": lambda args: pack(archive.survivor(patient_key(args["id"]))),
            "study": lambda args: _study(archive, args),
            "expected": lambda args: pack(archive.expected.get(args["accession"])),
            "exceptions": lambda _: pack(list(archive.exceptions())),
            "commitment": lambda args: pack(archive.commitments.get(args["transaction"])),
            **answers(archive),
        },
    )


def _study(archive: Archive, args: dict[str, Any]) -> Any:
    """Return a study by ``study`` (UID) or ``accession``, with its instances as they are filed."""
    found = archive.studies.by("accession", args["accession"]) if "accession" in args else []
    study = archive.studies.get(args.get("study", "")) or next(iter(found), None)
    if study is None:
        return None
    instances = archive.instances.by("study", study.uid)
    return pack(study) | {
        "patient": pack(archive.survivor(study.patient)),
        "count": len(instances),
        "instances": [{"sop": one.sop, "series": one.series, "sender": one.sender} for one in instances],
    }
