"""What each verdict is called, signed and coloured, and what it asks of the reader: the same in every report."""

from __future__ import annotations

from typing import Final

SIGNS: Final = {
    "passed": "✓",
    "failed": "✕",
    "broken": "!",
    "inconclusive": "?",
    "skipped": "–",
    "left out": "–",
    "not reached": "·",
}
STYLES: Final = {
    "passed": "green",
    "failed": "bold red",
    "broken": "bold magenta",
    "inconclusive": "yellow",
    "skipped": "dim",
}
HEADLINES: Final = {
    "passed": "Everything that ran passed",
    "failed": "The system under test broke a rule",
    "broken": "Stepwedge or the lab is at fault",
    "inconclusive": "Nobody can tell yet",
    "skipped": "Nothing ran",
}
ABORTED: Final = "The run was aborted"
ADVICE: Final = {
    "failed": "Give the evidence to whoever answers for the system under test.",
    "broken": "Repair the lab or the scenario, then run again; nothing is said about the system under test.",
    "inconclusive": "Look at the connection and the time allowed, then run again.",
    "skipped": "Claim more under sut.claims in the lab file, or run more scenarios.",
    "passed": "Nothing to do.",
}
