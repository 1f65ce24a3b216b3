"""The names of the transactions that words and checks cite, as the standards print them."""

from __future__ import annotations

from typing import Final

TRANSACTIONS: Final = {
    # IHE Radiology Technical Framework, volume 2
    "RAD-1": "Patient Registration",
    "RAD-2": "Placer Order Management",
    "RAD-3": "Filler Order Management",
    "RAD-4": "Procedure Scheduled",
    "RAD-5": "Query Modality Worklist",
    "RAD-6": "Modality Procedure Step In Progress",
    "RAD-7": "Modality Procedure Step Completed/Discontinued",
    "RAD-8": "Modality Images Stored",
    "RAD-10": "Storage Commitment",
    "RAD-12": "Patient Update",
    "RAD-13": "Procedure Update",
    "RAD-14": "Query Images",
    "RAD-16": "Retrieve Images",
    "RAD-19": "Creator Presentation State Stored",
    "RAD-28": "Structured Report Export",
    "RAD-29": "Key Image Note Stored",
    "RAD-48": "Appointment Notification",
    "RAD-49": "Instance Availability Notification",
    "RAD-62": "Store Dose Information",
    "RAD-66": "Rejection Note Stored",
    "RAD-128": "Send Imaging Result",
    # IHE IT Infrastructure Technical Framework, volume 2
    "ITI-9": "PIX Query",
    "ITI-10": "PIX Update Notification",
    "ITI-19": "Authenticate Node",
    "ITI-20": "Record Audit Event",
    "ITI-21": "Patient Demographics Query",
    "ITI-30": "Patient Identity Management",
    "ITI-31": "Patient Encounter Management",
}


def numbers(ihe: str) -> list[str]:
    """Return the transactions of a citation, which separates several by commas."""
    return [part.strip() for part in ihe.split(",") if part.strip()]


def cited(ihe: str) -> str:
    """Return a citation with its name: ``RAD-13 Procedure Update``; several are separated by commas."""
    return ", ".join(f"{part} {TRANSACTIONS.get(part, '')}".strip() for part in numbers(ihe))
