"""What a run is shown as: a summary for machines, a page for people, Allure for engineers. All read the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def write(run_folder: Path) -> dict[str, Any]:
    """Write every report of a run folder from its journal, and return the summary."""
    from stepwedge.report import allure, html, manifest, run_model, summary

    run = run_model.read(run_folder)
    manifest.keep(run_folder)
    html.write(run)
    allure.write(run)
    return summary.write(run)  # last: where it stands, all reports stand
