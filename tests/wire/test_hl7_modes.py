"""Which acknowledgements a message asks for: HL7 table 0155, and original mode for everything else."""

from datetime import UTC, datetime

import pytest

from stepwedge.wire.hl7 import compose, header, parse
from stepwedge.wire.hl7_modes import enhanced

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def asked(accept, application):
    more = {15: accept, 16: application}
    return enhanced(parse(compose([header("ADT^A04", control="1", now=NOW, more=more), ("PID", {3: "SW1"})])))


@pytest.mark.parametrize(
    ("condition", "well", "ill"),
    [("AL", True, True), ("NE", False, False), ("ER", False, True), ("SU", True, False)],
)
def test_each_condition_is_that_of_the_table(condition, well, ill):
    mode = asked(condition, condition)
    assert (mode.wants_accept(taken=True), mode.wants_accept(taken=False)) == (well, ill)
    assert (mode.wants_application(well=True), mode.wants_application(well=False)) == (well, ill)


def test_one_condition_makes_it_enhanced_and_the_other_asks_for_nothing():
    mode = asked("AL", "")
    assert mode.wants_accept(taken=True)
    assert not mode.wants_application(well=True)


@pytest.mark.parametrize(("accept", "application"), [("", ""), ("XX", "AL"), ("AL", "20261124"), ("al", "")])
def test_what_is_empty_or_no_condition_is_original_mode(accept, application):
    assert asked(accept, application) is None
