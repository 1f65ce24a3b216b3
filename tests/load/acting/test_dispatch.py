"""What is due is begun when it is due; what cannot be is begun late, counted, and never dropped."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from stepwedge.errors import LinkLost
from stepwedge.load.arrivals import Arrival
from stepwedge.load.dispatch import Dispatcher
from stepwedge.load.measures import Series

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.load.site import Site


def test_everything_is_begun_when_it_is_due(site: Callable[..., Site]) -> None:
    here = site({})
    begun: list[tuple[int, float]] = []
    work = {"exam": lambda where, one: begun.append((one.number, where.now() - one.at))}
    start = here.now()
    Dispatcher(here, work).run(Arrival(start + 0.05 * number, "exam", number) for number in range(5))
    assert [number for number, _ in begun] == [0, 1, 2, 3, 4]
    assert all(late >= 0 for _, late in begun)


def test_no_place_is_backlog_and_lateness(site: Callable[..., Site]) -> None:
    """Two arrivals are due at once and there is one place: the second is begun when the first is over, and says so."""
    here = site({})
    freed, seen = threading.Event(), []

    def work(where: Site, one: Arrival) -> None:
        if one.number == 0:
            freed.wait(10)
        seen.append(one.number)

    dispatcher = Dispatcher(here, {"exam": work}, places=1)
    start = here.now()
    arrivals = [Arrival(start, "exam", 0), Arrival(start, "exam", 1)]
    running = threading.Thread(target=dispatcher.run, args=(arrivals,))
    running.start()
    while not dispatcher.backlog:
        time.sleep(0.005)
    time.sleep(0.2)
    assert [one.number for one in dispatcher.backlog] == [1]
    freed.set()
    running.join()
    here.measures.tick(here.now() + 2)
    row = Series.read(here.folder / "measures").total("arrival", "exam")
    assert seen == [0, 1]
    assert row.count == 2
    assert row.late_max >= 0.2


def test_a_systems_trouble_ends_nothing_and_our_own_is_named(site: Callable[..., Site]) -> None:
    here, done = site({}), []

    def work(where: Site, one: Arrival) -> None:
        if one.number == 0:
            raise LinkLost("cut")
        if one.number == 1:
            raise ZeroDivisionError("ours")
        done.append(one.number)

    dispatcher = Dispatcher(here, {"exam": work})
    dispatcher.run(Arrival(0.0, "exam", number) for number in range(3))
    assert done == [2]
    assert dispatcher.running == 0
    (trouble,) = dispatcher.troubles
    assert "ZeroDivisionError" in trouble


def test_a_run_ends_although_something_hangs(site: Callable[..., Site]) -> None:
    here, freed = site({}, seconds=0.4), threading.Event()
    dispatcher = Dispatcher(here, {"exam": lambda _where, _one: bool(freed.wait(10))})
    dispatcher.run([Arrival(0.0, "exam", 0), Arrival(5.0, "exam", 1)])
    assert here.now() < 5
    assert dispatcher.running == 1
    freed.set()


@pytest.mark.parametrize("seconds", [1.3])
def test_the_generator_says_how_it_fares(site: Callable[..., Site], seconds: float) -> None:
    here = site({}, seconds=seconds + 1)
    Dispatcher(here, {"exam": lambda where, _: where.pause(seconds)}).run([Arrival(0.0, "exam", 0)])
    (lines,) = Series.read(here.folder / "measures").generators.values()
    assert lines[0]["rss"] > 1_000_000
    assert 0 <= lines[0]["cpu"] < 1.5
    assert lines[0]["backlog"] == 0
