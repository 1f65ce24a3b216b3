"""Killing the archive at any moment loses nothing it acknowledged, and leaves nothing half stored."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepwedge.errors import WireError
from stepwedge.sim.address import Address
from stepwedge.sim.phantoms import CT_IMAGE_STORAGE
from stepwedge.wire import dimse_asyncio
from stepwedge.wire.dimse_asyncio import Acceptor, Provider
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode
from stepwedge.wire.services import COMMITMENT, COMMITMENT_INSTANCE, STUDY_FIND, STUDY_GET

ROOT = Path(__file__).parents[2]
SCANNER = "SW_SCANNER"
LOCAL = "127.0.0.1"


@pytest.fixture
def archive(tmp_path):
    """Start the archive as a process of its own on one state folder: ``process, dicom = archive(scanner_port)``."""
    processes = []

    def start(scanner_port=1):
        plan = {
            "actors": {"pacs": {"role": "pacs"}},
            "directory": {"scanner": {"dicom": f"dicom://{SCANNER}@{LOCAL}:{scanner_port}"}},
        }
        actors, state = tmp_path / "actors.json", tmp_path / "state"
        actors.write_text(json.dumps(plan))
        (state / "hospital.json").unlink(missing_ok=True)
        options = ["--hospital", "--actors", str(actors), "--state", str(state), "--seed", "7"]
        process = subprocess.Popen([sys.executable, "-m", "stepwedge", "sim", *options], cwd=ROOT)
        processes.append(process)
        deadline = time.monotonic() + 30
        while not (state / "hospital.json").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        ready = json.loads((state / "hospital.json").read_text())
        return process, Address.parse(ready["actors"]["pacs"]["address"]).dicom

    yield start
    for process in processes:
        process.kill()
        process.wait()


def kill(process):
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def calling(entity, *contexts, scp_of=()):
    return dimse_asyncio.open(
        entity.host,
        entity.port,
        calling=SCANNER,
        called=entity.ae,
        contexts=contexts,
        timeout=10,
        scp_of=scp_of,
    )


async def store(entity, images, acknowledged):
    """Store until the link is lost, noting what was acknowledged."""
    async with await calling(entity, CT_IMAGE_STORAGE) as association:
        for image in images:
            data = encode(image, explicit=True)
            result = await association.store(CT_IMAGE_STORAGE, image["SOPInstanceUID"], EXPLICIT_LE, data)
            assert result.status == 0
            acknowledged.add(image["SOPInstanceUID"])


async def retrieve(entity, study):
    """Return everything the archive has of a study, and what it says the count is."""
    async with await calling(
        entity, STUDY_FIND, STUDY_GET, CT_IMAGE_STORAGE, scp_of=[CT_IMAGE_STORAGE]
    ) as association:
        keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study}
        found = await association.find(STUDY_FIND, keys | {"NumberOfStudyRelatedInstances": ""})
        done = await association.get(STUDY_GET, keys)
    counts = [int(one["NumberOfStudyRelatedInstances"]) for one in found]
    return {one.sop_instance: decode(one.data, explicit=True) for one in done.instances}, counts


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_while_storing(archive, ct_image, seed):
    images = [ct_image(number) for number in range(1, 41)]
    sent = {one["SOPInstanceUID"]: one for one in images}
    acknowledged = set()

    async def until_killed(process, entity):
        delay = random.Random(seed).uniform(0.005, 0.08)  # noqa: S311 - when to kill, nothing secret
        asyncio.get_running_loop().call_later(delay, process.kill)
        await store(entity, images, acknowledged)

    async def afterwards(entity):
        there, counts = await retrieve(entity, images[0]["StudyInstanceUID"])
        assert acknowledged <= set(there)
        assert all(elements == sent[sop] for sop, elements in there.items())
        assert counts == ([len(there)] if there else [])
        await store(entity, images, set())
        there, counts = await retrieve(entity, images[0]["StudyInstanceUID"])
        assert there == sent
        assert counts == [len(sent)]

    process, entity = archive()
    with contextlib.suppress(WireError):
        asyncio.run(until_killed(process, entity))
    kill(process)
    asyncio.run(afterwards(archive()[1]))


def test_killed_in_the_middle_of_one_object(archive, ct_image):
    from stepwedge.wire.dimse import Message

    async def half(process, entity):
        association = await calling(entity, CT_IMAGE_STORAGE)
        image = ct_image(1)
        command = {
            "AffectedSOPClassUID": CT_IMAGE_STORAGE,
            "AffectedSOPInstanceUID": image["SOPInstanceUID"],
            "CommandField": 1,
            "MessageID": 1,
            "Priority": 0,
            "CommandDataSetType": 1,
        }
        link = association._link
        whole = b"".join(link.channel.send_message(Message(1, command, encode(image, explicit=True))))
        link.write([whole[: len(whole) // 2]])
        await asyncio.sleep(0.05)
        kill(process)

    process, entity = archive()
    asyncio.run(half(process, entity))
    assert asyncio.run(retrieve(archive()[1], ct_image(1)["StudyInstanceUID"])) == ({}, [])


def test_a_promised_result_comes_after_the_kill(archive, ct_image):
    image = ct_image(1)
    request = {
        "TransactionUID": "1.2.3",
        "ReferencedSOPSequence": [
            {"ReferencedSOPClassUID": CT_IMAGE_STORAGE, "ReferencedSOPInstanceUID": image["SOPInstanceUID"]}
        ],
    }

    class Listener(Provider):
        def __init__(self):
            self.events = asyncio.Queue()

        async def on_event(self, peer, sop_class, sop_instance, event_type, information):
            await self.events.put((event_type, information["TransactionUID"]))
            return 0

    async def talk():
        listener = Listener()
        acceptor = Acceptor(SCANNER, {COMMITMENT: (EXPLICIT_LE, IMPLICIT_LE)}, listener)
        server = await dimse_asyncio.serve(LOCAL, 0, acceptor)
        try:
            process, entity = archive(server.port)
            await store(entity, [image], set())
            association = await calling(entity, COMMITMENT)
            assert (await association.action(COMMITMENT, COMMITMENT_INSTANCE, 1, request)).status == 0
            kill(process)
            assert listener.events.empty()
            await asyncio.to_thread(archive, server.port)
            assert await asyncio.wait_for(listener.events.get(), 10) == (1, "1.2.3")
        finally:
            await server.close()

    asyncio.run(talk())
