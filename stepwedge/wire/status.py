"""DIMSE status codes: category and meaning (PS3.7 annex C and the service classes of PS3.4)."""

from __future__ import annotations

from functools import cache

SUCCESS, PENDING, PENDING_WARNING, CANCEL = 0x0000, 0xFF00, 0xFF01, 0xFE00

CATEGORIES = ("success", "warning", "failure", "pending", "cancel", "unknown")


@cache
def _tables() -> dict[str, dict[int, tuple[str, str]]]:
    from pynetdicom import status

    return {
        "C-ECHO": status.VERIFICATION_SERVICE_CLASS_STATUS,
        "C-STORE": status.STORAGE_SERVICE_CLASS_STATUS,
        "C-FIND": {**status.QR_FIND_SERVICE_CLASS_STATUS, **status.MODALITY_WORKLIST_SERVICE_CLASS_STATUS},
        "C-MOVE": status.QR_MOVE_SERVICE_CLASS_STATUS,
        "C-GET": status.QR_GET_SERVICE_CLASS_STATUS,
        "MPPS": {**status.GENERAL_STATUS, **status.PROCEDURE_STEP_STATUS},
    }


def category(service: str, code: int) -> str:
    """Return success, warning, failure, pending, cancel or unknown for a service such as ``C-STORE``.

    PS3.7 annex C gives the ranges; a service may narrow them, never widen them.
    """
    if code == SUCCESS:
        return "success"
    if code in {PENDING, PENDING_WARNING}:
        return "pending" if service in {"C-FIND", "C-MOVE", "C-GET"} else "unknown"
    if code == CANCEL:
        return "cancel"
    if code in {0x0001, 0x0107, 0x0116} or code >> 12 == 0xB:  # noqa: PLR2004  annex C.3
        return "warning"
    if code >> 8 in {0x01, 0x02} or code >> 12 in {0xA, 0xC}:
        return "failure"
    return "unknown"


def describe(code: int, service: str = "") -> str:
    """Return the standard's words for a code, such as ``0110 Processing Failure``."""
    tables = _tables()
    chosen = [tables[service]] if service in tables else []
    for table in (*chosen, tables["MPPS"], *tables.values()):
        if found := table.get(code):
            return f"{code:04X} {found[1] or found[0]}"
    return f"{code:04X} {category(service, code)}"
