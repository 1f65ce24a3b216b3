"""The router: rules, full disk, kinds of trouble, morphing, commitment; DCMTK at both ends; killed at any moment."""

import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepwedge.errors import BadInput, WireError
from stepwedge.sim.address import Address
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.phantoms import CT_IMAGE_STORAGE
from stepwedge.sim.simulator import Case
from stepwedge.wire import dimse_asyncio
from stepwedge.wire.dimse_asyncio import Acceptor, Provider
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode

ROOT = Path(__file__).parents[2]
LOCAL, SINK = "127.0.0.1", "SW_SINK"


class Sink(Provider):
    """A destination that follows a script: statuses by Instance Number, then success."""

    def __init__(self, **script):
        self.script = {number: list(statuses) for number, statuses in script.items()}
        self.tried, self.stored = [], []

    async def on_store(self, peer, sop_class, sop_instance, transfer_syntax, data):
        elements = decode(data, explicit=transfer_syntax != IMPLICIT_LE)
        number = f"n{elements['InstanceNumber']}"
        self.tried.append(number)
        if waiting := self.script.get(number):
            return waiting.pop(0)
        self.stored.append(elements)
        return 0

    @contextlib.asynccontextmanager
    async def listening(self, port=0):
        acceptor = Acceptor(SINK, {CT_IMAGE_STORAGE: (EXPLICIT_LE, IMPLICIT_LE)}, self)
        server = await dimse_asyncio.serve(LOCAL, port, acceptor)
        try:
            yield server
        finally:
            await server.close()


@contextlib.asynccontextmanager
async def routing(state, port, **settings):
    given = {"rules": [{"to": ["sink"]}], "longest": 0.1, **settings}
    others = {"sink": Address.parse({"dicom": f"dicom://{SINK}@{LOCAL}:{port}"})}
    host = Host(Plan({"router": Part("router", given)}, others), state, 7)
    await host.start()
    try:
        yield host.simulators["router"], host.directory["router"].dicom
    finally:
        await host.stop()


async def store(entity, *images):
    async with await dimse_asyncio.open(
        entity.host, entity.port, calling="SW_SCANNER", called=entity.ae, contexts=[CT_IMAGE_STORAGE]
    ) as association:
        return [
            (
                await association.store(
                    CT_IMAGE_STORAGE, one["SOPInstanceUID"], EXPLICIT_LE, encode(one, explicit=True)
                )
            ).status
            for one in images
        ]


async def until(true, seconds=10):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def test_each_kind_of_trouble_has_its_consequence(run, tmp_path, ct_image):
    sink = Sink(n1=[0xA700] * 7, n2=[0xC000], n3=[0x0110] * 9, n4=[0x0110, 0x0110])

    async def go():
        async with sink.listening() as server, routing(tmp_path, server.port, tries=3) as (router, entity):
            assert await store(entity, *(ct_image(n) for n in (2, 3, 4, 1))) == [0] * 4
            await until(lambda: not router.state.jobs.by("fate", "waiting"))
            parked = (await router.ask("parked", {}))["objects"]
            assert [one["reason"][:4] for one in parked] == ["C000", "0110"]
            assert [sink.tried.count(f"n{n}") for n in (1, 2, 3, 4)] == [8, 1, 3, 3]
            sink.script.clear()
            assert (await router.act("replay", {"destination": "sink"}, Case()))["objects"] == 2
            await until(lambda: len(sink.stored) == 4)

    run(go())


def test_an_object_that_pauses_keeps_its_series_back(run, tmp_path, ct_image):
    sink = Sink(n1=[0xA700] * 4)

    async def go():
        async with sink.listening() as server, routing(tmp_path, server.port) as (_, entity):
            await store(entity, *(ct_image(n) for n in (1, 2, 3)))
            await until(lambda: len(sink.stored) == 3)

    run(go())
    assert [one["InstanceNumber"] for one in sink.stored] == ["1", "2", "3"]


def test_a_full_disk_refuses_before_anything_is_lost_and_makes_room(run, tmp_path, ct_image):
    size = len(encode(ct_image(1), explicit=True))
    sink = Sink()

    async def go():
        async with (
            sink.listening() as server,
            routing(tmp_path, server.port, disk=size * 2 + 100) as (router, entity),
        ):
            await router.act("pause", {"destination": "sink"}, Case())
            assert await store(entity, *(ct_image(n) for n in (1, 2, 3))) == [0, 0, 0xA700]
            await router.act("resume", {"destination": "sink"}, Case())
            await until(lambda: len(sink.stored) == 2)
            assert await store(entity, ct_image(3)) == [0]
            await until(lambda: len(sink.stored) == 3)
            assert len(list((tmp_path / "router/objects").glob("*/*"))) == 2

    run(go())


def test_twice_is_once_other_content_and_aliens_are_refused(run, tmp_path, ct_image):
    sink = Sink()

    async def go():
        async with sink.listening() as server, routing(tmp_path, server.port) as (_, entity):
            image = ct_image(1)
            other = image | {"SeriesDescription": "another"}
            alien = ct_image(2) | {"PatientID": "REAL1"}
            assert await store(entity, image, image, other, alien) == [0, 0, 0xC201, 0x0124]
            await until(lambda: sink.stored)

    run(go())
    assert sink.tried == ["n1"]


def test_no_rule_no_promise_and_a_morphed_copy_tells_what_it_was(run, tmp_path, ct_image):
    sink = Sink()
    rule = {
        "modality": "CT",
        "to": ["sink"],
        "set": {"InstitutionName": "North"},
        "remove": ["StudyDescription"],
    }

    async def go():
        async with sink.listening() as server, routing(tmp_path, server.port, rules=[rule]) as (_, entity):
            image = ct_image(1) | {"StudyDescription": "CT chest"}
            assert await store(entity, image, ct_image(2) | {"Modality": "MR"}) == [0, 0x0110]
            await until(lambda: sink.stored)
            return image, sink.stored[0]

    image, morphed = run(go())
    assert (morphed["InstitutionName"], "StudyDescription" in morphed) == ("North", False)
    before = morphed["OriginalAttributesSequence"][0]["ModifiedAttributesSequence"][0]
    assert before["StudyDescription"] == "CT chest"
    assert morphed["PixelData"] == image["PixelData"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rules": []},
        {"rules": [{"modalty": "CT"}]},
        {"disk": 0},
        {"commitment": "maybe"},
        {"rules": [{"hours": "x"}]},
    ],
)
def test_bad_settings_say_what_is_wrong(tmp_path, wrong):
    with pytest.raises(BadInput, match=r"router\."):
        Host(Plan({"router": Part("router", wrong)}), tmp_path, 1)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_while_storing_everything_acknowledged_arrives(tmp_path, ct_image, seed):
    images = [ct_image(n) for n in range(1, 31)]
    acknowledged: set[str] = set()
    sink = Sink()

    actors, state = tmp_path / "actors.json", tmp_path / "state"

    def launch(port):
        settings = {"rules": [{"to": ["sink"]}], "longest": 0.1}
        plan = {
            "actors": {"router": {"role": "router", "settings": settings}},
            "directory": {"sink": {"dicom": f"dicom://{SINK}@{LOCAL}:{port}"}},
        }
        actors.write_text(json.dumps(plan))
        (state / "hospital.json").unlink(missing_ok=True)
        options = ["--hospital", "--actors", str(actors), "--state", str(state), "--seed", "7"]
        return subprocess.Popen([sys.executable, "-m", "stepwedge", "sim", *options], cwd=ROOT)

    async def start(port):
        process = launch(port)
        await until((state / "hospital.json").exists, 30)
        ready = json.loads((state / "hospital.json").read_text())
        return process, Address.parse(ready["actors"]["router"]["address"]).dicom

    async def go():
        async with sink.listening() as server:
            process, entity = await start(server.port)
            try:
                delay = random.Random(seed).uniform(0.02, 0.15)  # noqa: S311 - when to kill, nothing secret
                asyncio.get_running_loop().call_later(delay, process.kill)
                with contextlib.suppress(WireError):
                    for image in images:
                        assert await store(entity, image) == [0]
                        acknowledged.add(image["SOPInstanceUID"])
                process.kill()
                process.wait()
                process, _ = await start(server.port)
                await until(lambda: acknowledged <= {one["SOPInstanceUID"] for one in sink.stored})
            finally:
                process.kill()
                process.wait()

    asyncio.run(go())
    sent = {one["SOPInstanceUID"]: one for one in images}
    assert all(one == sent[one["SOPInstanceUID"]] for one in sink.stored)
