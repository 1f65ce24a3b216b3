"""Dose reports: foreign readers take them, their sums are the events' and the performed step's, their codes PS3.16's."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.sim import structured
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.simulator import Case

kit.load_simulator("modality")

CASE = Case("dose", 7)
RECIPES = {
    "ct-chest": ("CT", "CT Radiation", "113813"),
    "ct-chest-enhanced": ("CT", "CT Radiation", "113813"),
    "cr-chest": ("CR", "Projection", "113722"),
    "dx-chest": ("DX", "Projection", "113722"),
    "xa-coronary": ("XA", "Projection", "113722"),
    "rf-swallow": ("RF", "Projection", "113722"),
    "mg-screening": ("MG", "Mammography", "111637"),
    "mg-tomosynthesis": ("MG", "Mammography", "111637"),
}
PATIENT = {"id": "SW1", "issuer": "STEPWEDGE", "name": "MÜLLER^JÖRG", "birth_date": "19700101", "sex": "M"}


async def reported(folder, modality, recipe):
    """Do an unscheduled exam with two acquisitions; return the stored report's bytes and the last N-SET's attributes."""
    parts = {
        "ris": Part("ris"),
        "pacs": Part("pacs"),
        "scanner": Part("modality", {"ae_title": "SW_X1", "modality": modality}),
    }
    host = Host(Plan(parts), folder, 7, ())
    await host.start()
    try:
        scanner = host.simulators["scanner"]
        mpps = await scanner.act("enter_exam", {"patient": PATIENT}, CASE)
        made = [
            await scanner.act("acquire", {"mpps": mpps, "images": 2, "recipe": recipe}, CASE)
            for _ in range(2)
        ]
        report = await scanner.act("report_dose", {"mpps": mpps}, CASE)
        sent = await scanner.act("store_images", {"images": [*made, report]}, CASE)
        assert sent["refused"] == 0
        committed = await scanner.act("commit", {"images": report}, CASE)
        assert committed["committed"] == [report["instances"][0]["sop"]]
        await scanner.act("complete_exam", {"mpps": mpps, "images": [*made, report]}, CASE)
        seen = [one for one in host.journal.after(0) if one.actor == "pacs" and one.kind == "C-STORE"]
        ended = next(one for one in host.journal.after(0) if one.kind == "N-SET" and one.actor == "ris")
        return seen[-1].request.read(), ended.facts["identifier"], report, made
    finally:
        await host.stop()


@pytest.fixture(scope="module", params=sorted(RECIPES))
def report(request, tmp_path_factory):
    """Return one report of each kind: recipe, file, N-SET, and what the words said."""
    from stepwedge.wire import part10
    from stepwedge.wire.elements import decode

    folder = tmp_path_factory.mktemp("dose")
    data, ended, told, made = asyncio.run(
        reported(folder / "state", RECIPES[request.param][0], request.param)
    )
    elements = decode(part10.read(data).data, explicit=True)
    file = folder / "report.dcm"
    file.write_bytes(data)
    return request.param, file, elements, ended, told, made


def test_dciodvfy_finds_no_error(report):
    validator = Path(sys.executable).parent / "dciodvfy"
    if not validator.exists():
        pytest.skip("dciodvfy is not installed (extra 'conformance')")
    done = subprocess.run([validator, str(report[1])], capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert "XRayRadiationDoseSR" in said
    assert "Error" not in said, said


def test_events_are_those_of_the_images_and_add_up(report):
    _, _, elements, ended, _, made = report
    events = [item["UID"] for item in structured.found(elements, "113769")]
    assert len(events) == len(set(events)) == ended["TotalNumberOfExposures"]
    total = next(structured.found(elements, RECIPES[report[0]][2]))
    parts = {"113813": "113838", "113722": "122130", "111637": "111631"}[RECIPES[report[0]][2]]
    sums = [float(structured.measured(one)[0]) for one in structured.found(elements, RECIPES[report[0]][2])]
    each = [structured.measured(one) for one in structured.found(elements, parts)]
    assert len(each) == len(events)
    assert sum(sums) == pytest.approx(sum(float(value) for value, _ in each), rel=1e-6)
    assert {unit for _, unit in each} == {structured.measured(total)[1]}
    assert sum(one["count"] for one in made) == 4


def test_every_code_of_the_report_is_one_of_the_standard(report):
    """pydicom's dictionary of PS3.16 is the oracle: same code, same meaning."""
    from pydicom.sr._concepts_dict import concepts

    known: dict[tuple[str, str], set[str]] = {}
    for scheme in ("DCM", "SCT"):
        for meanings in concepts[scheme].values():
            for value, (meaning, _) in meanings.items():
                known.setdefault((scheme, value), set()).add(meaning)
    ours = {(one["CodingSchemeDesignator"], one["CodeValue"], one["CodeMeaning"]) for one in codes(report[2])}
    assert len(ours) > 20
    for scheme, value, meaning in ours:
        if scheme in {"DCM", "SCT"}:
            assert (scheme, value) in known, (scheme, value, meaning)
        if scheme == "DCM":
            assert meaning in known[scheme, value]


def codes(elements):
    """Yield every code item of the content."""
    for key, value in elements.items():
        for item in value if isinstance(value, list) and key.endswith("Sequence") else ():
            if "CodeValue" in item and item["CodingSchemeDesignator"] in {"DCM", "SCT", "UCUM"}:
                yield item
            yield from codes(item)


def test_a_report_without_radiation_is_refused(tmp_path):
    async def talk():
        with pytest.raises(BadInput, match="radiation"):
            await reported(tmp_path, "MR", "mr-brain")

    asyncio.run(talk())
