"""INV-5.1: a dose report says of an exam what its performed step says."""

from __future__ import annotations

from stepwedge.checks.difference import Difference
from stepwedge.checks.dose import DOSE_SR, against_step, ended, inconsistent, read
from stepwedge.checks.rules.rule import CaseFacts, Finding, rule


@rule(
    "INV-5.1",
    says="every dose report in the archive adds up and says what its performed step says",
    source="IHE RAD TF-1 REM; PS3.16 TID 10001, 10011; PS3.3 C.4.16; PS3.4 table F.7.2-1",
)
def same_dose(facts: CaseFacts) -> Finding:
    """Compare each stored dose report with itself and with the end of the performed step it names."""
    steps = ended(facts.exchanges)
    differences: list[Difference] = []
    reached = 0
    for study in facts.stored_studies:
        if study in facts.emptied:
            continue  # nothing of it need be handed out any more
        for one in facts.readback.retrieved(study) or []:
            if one.header.get("SOPClassUID") != DOSE_SR:
                continue
            report = read(one.header)
            reached += 1
            label = f"dose report {report.sop}"
            differences += (found.below(label) for found in inconsistent(report))
            if not report.step:
                differences.append(Difference(f"{label}: performed step", "one", "none"))
            elif report.step in steps:
                differences += (found.below(label) for found in against_step(report, steps[report.step]))
    return Finding(differences, reached)
