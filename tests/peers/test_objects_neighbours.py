"""Every object our devices make, in the hands of others: Orthanc keeps it, DCMTK and pydicom read it."""

import asyncio
import hashlib
import json
import subprocess
import urllib.request

import pytest

from stepwedge import kit
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.simulator import Case
from stepwedge.wire import part10

CASE = Case("objects", 3)
RECIPES = sorted(path.stem for path in kit.find("fixtures/phantoms").glob("*.yaml"))
PATIENT = {"id": "SW1", "issuer": "STEPWEDGE", "name": "MÜLLER^JÖRG", "birth_date": "19700101", "sex": "M"}
RADIATING = {"CT": "ct-chest", "XA": "xa-coronary", "MG": "mg-screening"}

pytestmark = pytest.mark.peer


async def made(host, recipes, *, report):
    """Do one unscheduled exam that makes an object of each recipe, and the dose report; return what the words said."""
    scanner = host.simulators["scanner"]
    mpps = await scanner.act("enter_exam", {"patient": PATIENT}, CASE)
    arguments = ({"mpps": mpps, "images": 1, "recipe": recipe} for recipe in recipes)
    objects = [await scanner.act("acquire", one, CASE) for one in arguments]
    if report:
        objects.append(await scanner.act("report_dose", {"mpps": mpps}, CASE))
    sent = await scanner.act("store_images", {"images": objects}, CASE)
    assert (sent["stored"], sent["refused"]) == (len(objects), 0)
    return mpps, objects


def exam(folder, recipes, *, modality="CT", pacs=None, report=True):
    """Return the objects of an exam as words told them, and as files; the archive is ours unless one is given."""

    async def talk():
        parts = {
            "ris": Part("ris"),
            "scanner": Part("modality", {"ae_title": "SW_X1", "modality": modality}),
        }
        host = Host(
            Plan(parts if pacs else parts | {"pacs": Part("pacs")}, {"pacs": pacs} if pacs else {}),
            folder,
            7,
            (),
        )
        await host.start()
        try:
            mpps, objects = await made(host, recipes, report=report)
            stored = [one for one in host.journal.after(0) if one.actor == "pacs" and one.kind == "C-STORE"]
            return mpps, objects, [one.request.read() for one in stored]
        finally:
            await host.stop()

    return asyncio.run(talk())


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Return one file of every kind of object, by Modality and SOP Class UID."""
    folder = tmp_path_factory.mktemp("objects")
    found = {}
    for modality, radiating in RADIATING.items():
        recipes = RECIPES if modality == "CT" else [radiating]
        _, _, stored = exam(folder / modality, recipes, modality=modality)
        for number, data in enumerate(stored):
            path = folder / f"{modality}-{number}.dcm"
            path.write_bytes(data)
            found[path] = part10.read(data)
    return found


def test_pydicom_reads_every_object_and_its_frames(files):
    import pydicom

    seen = set()
    for path in files:
        dataset = pydicom.dcmread(path)
        assert str(dataset.PatientName) == PATIENT["name"]
        seen.add(dataset.SOPClassUID.name)
        if "PixelData" not in dataset:
            assert dataset.Modality == "SR"
            continue
        frames = int(dataset.get("NumberOfFrames", 1))
        shape = (dataset.Rows, dataset.Columns) + ((3,) if dataset.SamplesPerPixel == 3 else ())
        assert dataset.pixel_array.shape == (shape if frames == 1 else (frames, *shape))
        if "PerFrameFunctionalGroupsSequence" in dataset:
            assert len(dataset.PerFrameFunctionalGroupsSequence) == frames
    wanted = {"Enhanced CT Image Storage", "Enhanced MR Image Storage", "Breast Tomosynthesis Image Storage"}
    assert seen >= wanted | {"X-Ray Radiation Dose SR Storage", "Secondary Capture Image Storage"}


def test_dcmtk_reads_every_object(files, program, tmp_path):
    for path, one in files.items():
        dumped = subprocess.run([program("dcmdump"), "-q", str(path)], capture_output=True, check=False)
        assert dumped.returncode == 0, dumped.stderr
        if one.sop_class.startswith("1.2.840.10008.5.1.4.1.1.88."):
            continue
        picture = tmp_path / "picture.pnm"
        command = [program("dcm2pnm"), "+Wm", "--all-frames", str(path), str(picture)]
        drawn = subprocess.run(command, capture_output=True, check=False)
        assert drawn.returncode == 0, (path, drawn.stderr)
        assert b"E:" not in drawn.stderr, (path, drawn.stderr)
    assert list(tmp_path.glob("picture.pnm.*"))


def test_dcmtk_reads_every_dose_report(files, program):
    reports = [path for path, one in files.items() if one.sop_class.endswith(".88.67")]
    assert len(reports) == len(RADIATING)
    for path in reports:
        dumped = subprocess.run([program("dsrdump"), str(path)], capture_output=True, text=True, check=False)
        assert dumped.returncode == 0, dumped.stderr
        assert "X-Ray Radiation Dose SR Document" in dumped.stdout
        assert "Irradiation Event UID" in dumped.stdout
        written = subprocess.run([program("dsr2xml"), str(path)], capture_output=True, check=False)
        assert written.returncode == 0, written.stderr
        assert b"X-Ray Radiation Dose Report" in written.stdout
        assert not [line for line in written.stderr.splitlines() if line.startswith(b"E:")]


def test_storescu_brings_a_dose_report(files, program, archive, call):
    path = next(path for path, one in files.items() if one.sop_class.endswith(".88.67"))

    async def talk():
        async with archive() as (host, door, _):
            code, said = await call(
                program("storescu"), "-aet", "SW_CT1", "-aec", door.ae, door.host, door.port, path
            )
            kept = [one for one in host.journal.after(0) if one.kind == "C-STORE"]
            return code, said, kept

    code, said, kept = asyncio.run(talk())
    assert code == 0, said
    assert [one.outcome for one in kept] == ["0000"]
    assert kept[0].facts["sop_class"].endswith(".88.67")


def asked(url):
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - http to our own loopback
        return answer.read()


def test_orthanc_keeps_every_object(tmp_path, orthanc):
    root, pacs = orthanc
    _, objects, _ = exam(tmp_path / "state", RECIPES, pacs=pacs)
    wanted = {one["sop"]: one for each in objects for one in each["instances"]}
    held = json.loads(asked(f"{root}/instances?expand"))
    assert {one["MainDicomTags"]["SOPInstanceUID"] for one in held} == set(wanted)
    for one in held:
        told = wanted[one["MainDicomTags"]["SOPInstanceUID"]]
        frames = json.loads(asked(f"{root}/instances/{one['ID']}/frames"))
        if not told["pixels"]:
            tags = json.loads(asked(f"{root}/instances/{one['ID']}/simplified-tags"))
            assert tags["Modality"] == "SR"
            assert tags["ContentSequence"]
            continue
        assert len(frames) == told["frames"]
        raw = b"".join(asked(f"{root}/instances/{one['ID']}/frames/{frame}/raw") for frame in frames)
        assert hashlib.sha256(raw + b"\0" * (len(raw) % 2)).hexdigest() == told["pixels"]
