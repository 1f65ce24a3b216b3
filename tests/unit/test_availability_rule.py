"""INV-20: a notice that is not true, or lacks what it must hold, is seen."""

from types import SimpleNamespace

import pytest

from stepwedge.checks.notices import AVAILABILITY
from stepwedge.checks.rules.availability import availability_is_true
from stepwedge.errors import Refused
from stepwedge.evidence.exchange import NOTHING, Exchange


def notice(availability="ONLINE", ae_title="PACS", steps=(), sop="1.1"):
    item = {
        "ReferencedSOPInstanceUID": sop,
        "InstanceAvailability": availability,
        "RetrieveAETitle": ae_title,
    }
    told = {
        "StudyInstanceUID": "1",
        "ReferencedSeriesSequence": [{"ReferencedSOPSequence": [item]}],
    }
    if steps is not None:
        told["ReferencedPerformedProcedureStepSequence"] = list(steps)
    facts = {"sop_class": AVAILABILITY, "identifier": told}
    return Exchange(
        0, 0.0, 0.0, "ris", "in", "dimse", "N-CREATE", "pacs", "0000", {}, facts, NOTHING, NOTHING
    )


class Shown:
    """An archive that shows these instances of study 1, so available."""

    def __init__(self, *sops, availability="ONLINE"):
        self.sops, self.availability = sops, availability

    def doors(self):
        return ["c-find"]

    def instances(self, door, study):
        return [{"SOPInstanceUID": sop} for sop in self.sops]

    def studies(self, door, key, value):
        return [{"InstanceAvailability": self.availability}] if self.sops else []

    def retrieved(self, study):
        raise Refused("nothing there")


def judged(shown, *exchanges):
    return availability_is_true(SimpleNamespace(exchanges=exchanges, readback=shown))


def test_a_true_notice_is_fine_and_none_is_not_reached():
    assert judged(Shown("1.1"), notice()).verdict == "passed"
    assert judged(Shown(), notice("UNAVAILABLE")).verdict == "passed"
    assert judged(Shown("1.1", availability="NEARLINE"), notice(), notice("NEARLINE")).verdict == "passed"
    assert judged(Shown("1.1")).verdict == "skipped"


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (Shown(), notice()),
        (Shown("1.1"), notice("UNAVAILABLE")),
        (Shown("1.1", availability="OFFLINE"), notice()),
        (Shown("1.1"), notice(ae_title="")),
        (Shown("1.1"), notice(steps=None)),
        (Shown("1.1"), notice("THERE")),
    ],
)
def test_a_notice_that_is_not_true_or_not_whole_is_seen(shown, told):
    assert judged(shown, told).verdict == "failed"
