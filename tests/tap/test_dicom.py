"""D1, D2, D5, D6: associations and responses that are not what the receiver said, as a storage client of ours sees them."""

from __future__ import annotations

import asyncio

import pytest

from stepwedge.errors import RemoteProtocolError, WireError
from stepwedge.sim.tap.countdown import After
from stepwedge.sim.tap.fault import Wish
from stepwedge.sim.tap.faults import kinds
from stepwedge.sim.tap.tap import Edge, Tap
from stepwedge.wire import dimse_asyncio, elements
from stepwedge.wire.provider import Provider

CT = "1.2.840.10008.5.1.4.1.1.2"
DATA = elements.encode(
    {"SOPClassUID": CT, "SOPInstanceUID": "1.2.3", "PatientID": "SW1"}, explicit=True
) + bytes(50_000)


class Store(Provider):
    def __init__(self):
        self.held = []

    async def on_store(self, peer, sop_class, sop_instance, transfer_syntax, data):
        self.held.append((sop_instance, data))
        return 0


@pytest.fixture
def stored():
    """Send two objects through a tap with a fault; return the statuses or errors, what arrived, and the fault."""

    def run(kind, *, side=None, after=None, times=0, **args):
        async def whole():
            store = Store()
            acceptor = dimse_asyncio.Acceptor("PACS", {CT: [elements.EXPLICIT_LE]}, store)
            server = await dimse_asyncio.serve("127.0.0.1", 0, acceptor)
            tap = Tap(Edge("ct", "pacs", "dicom"), ("127.0.0.1", server.port))
            await tap.listen()
            fault = kinds()[kind](Wish(kind, side, after or After(), times, args))
            await tap.begin(fault)
            said = []
            try:
                async with await dimse_asyncio.open(
                    tap.host,
                    tap.port,
                    calling="CT",
                    called="PACS",
                    contexts=[(CT, [elements.EXPLICIT_LE])],
                    timeout=3,
                ) as association:
                    for number in (1, 2):
                        result = await association.store(CT, f"1.2.{number}", elements.EXPLICIT_LE, DATA)
                        said.append(f"{result.status:04X}")
            except WireError as trouble:
                said.append(trouble)
            assert await tap.lift() == ""
            await tap.close()
            await server.close()
            return said, store.held, fault

        return asyncio.run(asyncio.wait_for(whole(), 20))

    return run


def test_a_refusal_in_the_receivers_place(stored):
    said, held, fault = stored("status", times=1, status="A700")
    assert said == ["A700", "0000"]
    assert held == [("1.2.2", DATA)]
    assert fault.count == 1


def test_other_services_are_not_meant(stored):
    said, held, fault = stored("status", service="c-find", status="A700")
    assert said == ["0000", "0000"]
    assert held == [("1.2.1", DATA), ("1.2.2", DATA)]
    assert fault.count == 0


def test_a_response_to_another_request_is_no_answer(stored):
    said, held, fault = stored("wrong-response", times=1)
    assert isinstance(said[0], RemoteProtocolError)
    assert held[0] == ("1.2.1", DATA)
    assert fault.count == 1


def test_a_response_without_a_status_is_no_success(stored):
    said, _, fault = stored("wrong-response", what="no-status", times=1)
    assert isinstance(said[0], WireError)
    assert fault.count == 1


@pytest.mark.parametrize(("after", "arrived"), [(0, 0), (1, 0), (2, 0), (3, 1)])
def test_aborted_before_between_and_behind_objects(stored, after, arrived):
    said, held, fault = stored("abort", after=After(units=after))
    assert isinstance(said[-1], WireError)
    assert len(held) == arrived
    assert fault.acts[0].what == "aborted 0/0"


def test_the_association_is_refused_for_now(stored):
    said, held, fault = stored("reject")
    assert len(said) == 1
    assert "2/3/1" in str(said[0]) or "congestion" in str(said[0])
    assert held == []
    assert fault.acts[0].what == "refused 2/3/1"


def test_reset_behind_every_pdu_of_the_request(stored):
    reached = []
    for number in range(20):
        said, held, fault = stored("reset", after=After(units=number, bytes=1))
        reached.append(fault.count)
        assert all(data == DATA for _, data in held), "no part of an object is ever stored"
        if not fault.count:
            assert said == ["0000", "0000"]
            break
        assert isinstance(said[-1], WireError) or len(held) == 2
    assert reached[0] == 1
    assert reached[-1] == 0
    assert len(reached) > 5
