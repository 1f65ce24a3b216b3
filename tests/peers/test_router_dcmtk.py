"""Our router between DCMTK's storescu and storescp."""

import asyncio
import time

import pytest

from stepwedge.sim.address import Address
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.wire import part10
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode
from stepwedge.wire.results import Instance

pytestmark = pytest.mark.peer


async def until(router, true):
    """Wait until something is true of the destination's queue."""
    deadline = time.monotonic() + 20
    while not true((await router.ask("queues", {}))["scp"]):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("trouble", ["--refuse", "--abort-during", ""])
def test_storescu_to_storescp_through_trouble(program, free_port, call, tmp_path, ct_image, trouble):
    """A destination that refuses, aborts or is not there at first gets everything once it behaves."""
    files = []
    for number in (1, 2, 3):
        image = ct_image(number)
        instance = Instance(
            image["SOPClassUID"], image["SOPInstanceUID"], EXPLICIT_LE, encode(image, explicit=True)
        )
        files.append(tmp_path / f"{number}.dcm")
        files[-1].write_bytes(part10.write(instance))
    received = tmp_path / "received"
    received.mkdir()
    port = free_port()

    async def scp(*options):
        command = (program("storescp"), *options, "-od", str(received), "-aet", "SCP", str(port))
        nothing = asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(*command, stdout=nothing, stderr=nothing)

    async def end(process):
        process.kill()
        await process.wait()

    async def go():
        others = {"scp": Address.parse({"dicom": f"dicom://SCP@127.0.0.1:{port}"})}
        settings = {"rules": [{"to": ["scp"]}], "longest": 0.2, "tries": 1000}
        host = Host(Plan({"router": Part("router", settings)}, others), tmp_path / "state", 1)
        await host.start()
        first = await scp(trouble) if trouble else None
        try:
            router, entity = host.simulators["router"], host.directory["router"].dicom
            where = ("-aec", entity.ae, entity.host, entity.port)
            code, said = await call(program("storescu"), *where, *files)
            assert code == 0, said
            await until(router, lambda queue: queue["trouble"])
            assert (await router.ask("queues", {}))["scp"]["parked"] == 0
            if first is not None:
                await end(first)
                for left in received.iterdir():
                    left.unlink()  # what was cut off by an abort is storescp's affair
            second = await scp()
            try:
                await until(router, lambda queue: not queue["waiting"])
            finally:
                await end(second)
        finally:
            await host.stop()

    asyncio.run(asyncio.wait_for(go(), 60))
    found = {}
    for path in received.iterdir():
        file = part10.read(path.read_bytes())
        elements = decode(file.data, explicit=file.transfer_syntax != IMPLICIT_LE)
        found[int(elements["InstanceNumber"])] = elements["PixelData"]
    assert found == {number: ct_image(number)["PixelData"] for number in (1, 2, 3)}
