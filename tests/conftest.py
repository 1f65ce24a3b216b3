"""What tests at every level share."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stepwedge.model.identifiers import uid
from stepwedge.sim import phantoms
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.wire import dimse_asyncio, elements, services
from stepwedge.wire.provider import Failure, Held, Provider, Reply, Retrieval

# Two shared cores: an example may be slow through no fault of the code. Continuous integration repeats what it tried.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("shared"), derandomize=True)
settings.register_profile("long", settings.get_profile("shared"), max_examples=2000)
settings.load_profile("ci" if os.environ.get("CI") else "shared")

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ARCHIVED = (
    services.VERIFICATION,
    services.WORKLIST,
    services.MPPS,
    services.COMMITMENT,
    services.STUDY_FIND,
    services.STUDY_MOVE,
    services.STUDY_GET,
    services.PATIENT_FIND,
    CT_IMAGE,
    MR_IMAGE,
)


@pytest.fixture
def program():
    """Return the path of a program that is not ours, or skip; tools of the same name in our own environment do not count."""

    def find(name):
        own = Path(sys.prefix) / "bin"
        places = [place for place in os.get_exec_path() if Path(place).resolve() != own.resolve()]
        if (path := shutil.which(name, path=os.pathsep.join(places))) is None:
            pytest.skip(f"{name} is not installed")
        return path

    return find


@pytest.fixture
def ct_image():
    """Make one complete image as Elements: ``ct_image(number, recipe=..., **changes)``; one number, one instance."""

    def make(number, recipe="ct-chest", **changes):
        return {
            **phantoms.image(phantoms.recipe(recipe), number, AT, "tests"),
            "SpecificCharacterSet": "ISO_IR 100",
            "PatientName": "MÜLLER^Jörg",
            "PatientID": "SW12345678",
            "IssuerOfPatientID": "STEPWEDGE",
            "PatientBirthDate": "19700101",
            "PatientSex": "M",
            "StudyInstanceUID": uid("tests", "study"),
            "SeriesInstanceUID": uid("tests", "series"),
            "SOPInstanceUID": uid("tests", "instance", number),
            **(
                {"FrameOfReferenceUID": uid("tests", "frame"), "PositionReferenceIndicator": ""}
                if phantoms.IODS[phantoms.recipe(recipe).iod].framed
                else {}
            ),
            "StudyDate": "20261124",
            "StudyTime": "093000",
            "SeriesDate": "20261124",
            "SeriesTime": "093000",
            "AccessionNumber": "SW00012345",
            "StudyID": "RP1",
            "StudyDescription": "CT chest",
            "ReferringPhysicianName": "",
            "SeriesNumber": "1",
            "Manufacturer": "Stepwedge",
            "ManufacturerModelName": "Simulated CT",
            "DeviceSerialNumber": "1",
            "SoftwareVersions": "1",
            "StationName": "CT",
            "RequestAttributesSequence": [{"RequestedProcedureID": "RP1", "ScheduledProcedureStepID": "S1"}],
            "ReferencedPerformedProcedureStepSequence": [
                {
                    "ReferencedSOPClassUID": "1.2.840.10008.3.1.2.3.3",
                    "ReferencedSOPInstanceUID": uid("tests", "mpps"),
                }
            ],
            **changes,
        }

    return make


class Archive(Provider):
    """A small DICOM provider: keeps what is stored, answers queries from it, commits, keeps MPPS and events."""

    def __init__(self):
        self.held = {}
        self.steps = {}
        self.events = []
        self.destinations = {}
        self.failing = {}
        self.calls = []

    def note(self, service, *parts):
        self.calls.append((service, *parts))
        if service in self.failing:
            raise Failure(*self.failing[service])

    async def on_echo(self, peer):
        self.note("C-ECHO", peer.calling)
        return 0

    async def on_find(self, peer, model, identifier):
        self.note("C-FIND", model, identifier)
        for held in list(self.held.values()):
            found = elements.decode(held.load(), explicit=held.transfer_syntax != elements.IMPLICIT_LE)
            if elements.match(identifier, found):
                level = identifier.get("QueryRetrieveLevel", "")
                yield {
                    "QueryRetrieveLevel": level,
                    **{key: found.get(key, "") for key in identifier if key in found},
                }

    async def on_store(self, peer, sop_class, sop_instance, transfer_syntax, data):
        self.note("C-STORE", sop_instance)
        self.held[sop_instance] = Held(sop_class, sop_instance, transfer_syntax, lambda: data)
        return 0

    async def on_move(self, peer, model, identifier, destination):
        self.note("C-MOVE", destination)
        if destination not in self.destinations:
            raise Failure(0xA801, "unknown destination")
        return Retrieval("127.0.0.1", self.destinations[destination], list(self.held.values()))

    async def on_get(self, peer, model, identifier):
        self.note("C-GET")
        return list(self.held.values())

    async def on_create(self, peer, sop_class, sop_instance, attributes):
        self.note("N-CREATE", sop_instance)
        if sop_instance in self.steps:
            raise Failure(0x0111, "there is one already")
        chosen = sop_instance or "2.25.77"
        self.steps[chosen] = attributes
        return Reply(sop_instance=chosen)

    async def on_set(self, peer, sop_class, sop_instance, modifications):
        self.note("N-SET", sop_instance)
        self.steps[sop_instance].update(modifications)
        return Reply(attributes=modifications)

    async def on_get_attributes(self, peer, sop_class, sop_instance, tags):
        self.note("N-GET", tags)
        return Reply(attributes=self.steps[sop_instance])

    async def on_delete(self, peer, sop_class, sop_instance):
        self.note("N-DELETE", sop_instance)
        del self.steps[sop_instance]
        return 0

    async def on_action(self, peer, sop_class, sop_instance, action_type, information):
        self.note("N-ACTION", action_type)

        async def report(association):
            await association.report_event(sop_class, sop_instance, 1, information)

        return Reply(then=report)

    async def on_event(self, peer, sop_class, sop_instance, event_type, information):
        self.note("N-EVENT-REPORT", event_type)
        self.events.append(information)
        return 0


class Station:
    """A DICOM server on its own event loop in a thread, for tests that block."""

    def __init__(self):
        self.provider = Archive()
        self.exchanges = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, ae_title="ARCHIVE", *, gate=None, **settings):
        accepts = dict.fromkeys(ARCHIVED, (elements.EXPLICIT_LE, elements.IMPLICIT_LE))
        self.acceptor = dimse_asyncio.Acceptor(
            ae_title, accepts, self.provider, observer=self.exchanges.append, **settings
        )
        self.server = self.run(dimse_asyncio.serve("127.0.0.1", 0, self.acceptor, gate))
        self.port = self.server.port
        return self

    def run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def stop(self):
        self.run(self.server.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture
def station():
    """Start DICOM servers: ``station("PACS", max_associations=1)`` returns one with ``.port``, ``.provider``."""
    started = []

    def start(ae_title="ARCHIVE", **settings):
        started.append(Station().start(ae_title, **settings))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def town(tmp_path):
    """Run simulated systems in a thread, for clients that block: ``with town(idp={...}) as host``; ``host.directory`` says where."""

    @contextlib.contextmanager
    def start(*, quirks=(), seed=7, state=tmp_path / "town", **settings):
        plan = Plan({name: Part(given.pop("role", name), given) for name, given in settings.items()})
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()

        def run(work):
            return asyncio.run_coroutine_threadsafe(work, loop).result(30)

        async def make():
            host = Host(plan, state, seed, quirks)
            await host.start()
            return host

        try:
            host = run(make())
            host.run = run
            try:
                yield host
            finally:
                run(host.stop())
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    return start
