"""Synthetic only: what does not carry our identifiers is refused, and never becomes evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stepwedge.errors import BadInput
from stepwedge.model.identifiers import PATIENT_PREFIX, is_synthetic_uid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Identity:
    """What counts as synthetic in this lab.

    Attributes:
        patients: prefix of every patient ID; empty lets any pass (a lab whose real system gives the IDs).
        strict: UIDs too must be ours; off by default, because real scanners make their own.
    """

    patients: str = PATIENT_PREFIX
    strict: bool = False

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Identity:
        """Read the ``identity`` mapping of a lab file."""
        patients, strict = settings.get("patients", PATIENT_PREFIX), settings.get("strict", False)
        if not isinstance(patients, str) or not isinstance(strict, bool):
            raise BadInput("identity", "patients: a text, strict: true or false", repr(dict(settings)))
        return cls(patients, strict)


def refusal(identity: Identity, *, patients: Iterable[str] = (), uids: Iterable[str] = ()) -> str:
    """Return why these identifiers are refused, without repeating one; empty when they are synthetic.

    Args:
        identity: what counts as synthetic here.
        patients: the IDs of one patient; one of ours among them is enough, since a real system adds its own.
        uids: UIDs, judged only when the lab is strict.
    """
    given = [patient for patient in patients if patient]
    if given and not any(patient.startswith(identity.patients) for patient in given):
        return f"only synthetic patients are taken here: the patient ID must start with {identity.patients}"
    if identity.strict and not all(is_synthetic_uid(uid) for uid in uids):
        return "only synthetic studies are taken here: the UIDs must stand below the UID root of Stepwedge"
    return ""
