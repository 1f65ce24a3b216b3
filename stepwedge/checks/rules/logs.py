"""INV-13.1: no log says whose data a system handled, neither in plain text nor encoded."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

from stepwedge.checks.difference import Difference
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ: Final = 32 << 20
"""Octets of one log that are searched, the newest."""
SHORTEST: Final = 6
"""Characters of a name or number that can be told from chance."""


@rule(
    "INV-13.1",
    says="no log of a simulated system names a patient of the case",
    source="IHE ITI TF-1 section 9 (ATNA): health data belongs into the protected audit trail alone",
)
def no_patient_in_a_log(facts: CaseFacts) -> Finding:
    """Search every log for the IDs and names of the case's patients: plain, URL-encoded and base64."""
    told = dict.fromkeys(_canaries(facts))
    logs = [path for path in facts.cast.logs if path.is_file()]
    differences = []
    for path in logs:
        text = _newest(path)
        for canary in told:
            found = next((how for how, needle in forms(canary) if needle in text), "")
            if found:
                differences.append(Difference(f"{path.name}", "no patient's name or number", f"one, {found}"))
    return Finding(differences, len(told) if logs else 0, final=bool(differences))


def _canaries(facts: CaseFacts) -> Iterator[str]:
    for number, versions in facts.people.records.items():
        for text in (number, *(version.values.get("name", "") for version in versions)):
            if len(text) >= SHORTEST:
                yield text


def forms(canary: str) -> Iterator[tuple[str, bytes]]:
    """Yield every way a text may stand in a log, with its name.

    Base64 of a longer text holds it at one of three offsets; what depends on its neighbours is cut off.
    """
    raw = canary.encode()
    yield "in plain text", raw
    yield "URL-encoded", quote(canary, safe="").encode()
    yield "URL-encoded", quote_plus(canary).encode()
    for offset, cut in ((0, 0), (1, 2), (2, 3)):
        coded = base64.b64encode(b"\0" * offset + raw)
        whole = len(raw) + offset
        yield "in base64", coded[cut : whole * 8 // 6]


def _newest(path: Path) -> bytes:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - READ, 0))
        return file.read(READ)
