"""A message that waited for its receiver may say what held when it was written (MSH-7); who has a wrong clock may not."""

from datetime import datetime

import pytest

from stepwedge.checks.rules.sightings import _written

SENT = datetime(2026, 11, 24, 10, 30, 20, 500_000).astimezone()


@pytest.mark.parametrize(
    ("told", "before"),
    [
        (f"{SENT:%Y%m%d}103010{SENT:%z}", 9.5),
        (f"{SENT:%Y%m%d}103010", 9.5),
        (f"{SENT:%Y%m%d}103010.123{SENT:%z}", 9.5),
        ("20200101093010-0000", None),
        (f"{SENT:%Y%m%d}103020{SENT:%z}", None),
        (f"{SENT:%Y%m%d}102810{SENT:%z}", None),
        (f"{SENT:%Y%m%d}103040{SENT:%z}", None),
        ("202611241030", None),
        ("", None),
    ],
)
def test_it_was_written_in_the_second_it_names_and_waited_a_minute_at_most(told, before):
    sent = SENT.timestamp()
    assert _written(told, sent) == (sent - before if before else 0.0)
