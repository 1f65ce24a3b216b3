"""Every script, from the ward's HL7 through worklist and images to the report and back, in every mixture that can hold it."""

import asyncio

import pytest

from stepwedge.errors import BadInput
from stepwedge.model.patient import PersonName
from stepwedge.sim.charsets import Charsets
from stepwedge.sim.host import Host, Part, Plan
from stepwedge.sim.simulator import Case
from stepwedge.wire import charset, dimse_asyncio, hl7
from stepwedge.wire.hl7_charset import codec
from stepwedge.wire.services import STUDY_FIND, WORKLIST

CASE = Case("charsets", 3)
UTF8 = ("UNICODE UTF-8", "ISO_IR 192")
NAMES = {
    "ASCII": "DOE^JANE^^DR^MD",
    "western": "MÜLLER-LÜDENSCHEIDT^JOSÉ",
    "central European": "DVOŘÁKOVÁ^ŽOFIE",
    "Maltese": "BORĠ^ĦAL",
    "Baltic": "BĒRZIŅŠ^JĀNIS",
    "Cyrillic": "ИВАНОВ^ИВАН",
    "Arabic": "قباني^لنزار",
    "Greek": "Διονυσιος^Αιας",
    "Hebrew": "שרון^דבורה",
    "Turkish": "ÇAVUŞOĞLU^IŞIK",
    "Thai": "สมชาย^ใจดี",
    "Japanese": "YAMADA^TAROU=山田^太郎=やまだ^たろう",
    "half-width Japanese": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "Korean": "HONG^GILDONG=洪^吉洞=홍^길동",
    "Chinese": "WANG^XIAODONG=王^小东",
    "Chinese, one group": "王^小东",
}
HL7 = (
    *(
        "",
        "8859/1",
        "8859/2",
        "8859/3",
        "8859/4",
        "8859/5",
        "8859/6",
        "8859/7",
        "8859/8",
        "8859/9",
        "8859/15",
    ),
    *("~ISO IR87", "~ISO IR87~ISO IR159", "GB 18030-2000", "KS X 1001", "UNICODE UTF-8"),
)
DICOM = (
    *("", "ISO_IR 100", "ISO_IR 101", "ISO_IR 109", "ISO_IR 110", "ISO_IR 144", "ISO_IR 127", "ISO_IR 126"),
    *("ISO_IR 138", "ISO_IR 148", "ISO_IR 166", "ISO_IR 13", "ISO_IR 192", "GB18030", "GBK"),
    *(
        "ISO 2022 IR 6\\ISO 2022 IR 87",
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        "ISO 2022 IR 6\\ISO 2022 IR 87\\ISO 2022 IR 159",
    ),
    *("\\ISO 2022 IR 149", "\\ISO 2022 IR 58"),
)


def hl7_writes(text, field):
    try:
        text.encode(codec(field))
    except UnicodeEncodeError:
        return False
    return True


async def through(folder, dicom_charset, pairs):
    """Send patients through a hospital that writes images and worklist in one set, each in an HL7 set of its own."""
    ours = {"charsets": [dicom_charset]}
    parts = {
        "ehr": Part("ehr", {}),
        "ris": Part("ris", dict(ours)),
        "pacs": Part("pacs", {}),
        "ct": Part("modality", dict(ours)),
        "reader": Part("reader", {}),
    }
    host = Host(Plan(parts), folder, 5)
    await host.start()
    seen = {}
    try:
        for name, field in pairs:
            for actor in ("ehr", "ris", "reader"):
                host.simulators[actor].bench.charsets = Charsets((dicom_charset,), (field,))
            seen[name, field] = await journey(host, name)
    finally:
        await host.stop()
    return seen


async def journey(host, name):
    async def act(full, **args):
        actor, _, word = full.partition(".")
        return await host.simulators[actor].act(word, args, CASE)

    async def ask(door, model, identifier):
        opening = dimse_asyncio.open(
            door.host, door.port, calling="SW_CT", called=door.ae, contexts=[model], timeout=10
        )
        async with await opening as association:
            return list(await association.find(model, identifier))

    mark = host.journal.last
    patient = await act("ehr.register_patient", name=name)
    order = await act("ehr.place_order", patient=patient, procedure="CTCHEST")
    keys = {"AccessionNumber": order["accession"], "PatientName": ""}
    (entry,) = await ask(host.directory["ris"].worklist, WORKLIST, keys)
    fetched = await act("ct.fetch_worklist", AccessionNumber=order["accession"])
    exam = await act("ct.start_exam", entry=fetched["entry"])
    images = await act("ct.acquire", mpps=exam, images=1)
    await act("ct.store_images", images=images)
    await act("ct.complete_exam", mpps=exam, images=images)
    wanted = {"QueryRetrieveLevel": "STUDY", "AccessionNumber": order["accession"], "PatientName": ""}
    (study,) = await ask(host.directory["pacs"].dicom, STUDY_FIND, wanted)
    by_name = {
        "QueryRetrieveLevel": "STUDY",
        "PatientName": name,
        "AccessionNumber": "",
        "SpecificCharacterSet": "ISO_IR 192",
    }
    found = await ask(host.directory["pacs"].dicom, STUDY_FIND, by_name)
    await act("reader.sign_report", order=order, text=f"No finding for {name.split('=', 1)[0]}.")
    async with asyncio.timeout(10):
        while not (report := await host.simulators["ehr"].ask("report", {"placer": order["placer"]})):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    said = [one for one in host.journal.after(mark) if one.protocol == "hl7" and one.direction == "in"]
    messages = [hl7.parse(one.request.read()) for one in said]
    return {
        "worklist": (entry["PatientName"], entry.get("SpecificCharacterSet", "")),
        "study": (study["PatientName"], study.get("SpecificCharacterSet", "")),
        "found by name": order["accession"] in {one["AccessionNumber"] for one in found},
        "report": report["text"],
        "charsets": {one.charset for one in messages if one["PID-3.1"] == patient["id"]},
    }


PAIRS = {
    term: [
        (name, field)
        for name in NAMES.values()
        if charset.writes(name, term)
        for field in HL7
        if hl7_writes(name, field)
    ]
    for term in DICOM
}


@pytest.mark.parametrize("term", DICOM)
def test_a_name_is_the_same_everywhere(tmp_path, term):
    """IHE RAD TF-1 names no common set: whatever the ward and the department write in, the name is what counts."""
    seen = asyncio.run(through(tmp_path / "state", term, PAIRS[term]))
    assert seen
    for (name, field), found in seen.items():
        assert found["worklist"] == (name, "" if name.isascii() and not term else term), (name, field)
        assert found["study"][0] == name, (name, field)
        assert found["found by name"], (name, field)
        assert found["report"] == f"No finding for {name.split('=', 1)[0]}.", (name, field)
        assert found["charsets"] == {field}, (name, field)


def test_every_set_and_every_script_is_tried():
    """No set of the list goes untried for want of a name that it can hold beyond ASCII."""
    for term in DICOM[1:]:
        assert any(not name.isascii() for name, _ in PAIRS[term]), term
    tried = {field for pairs in PAIRS.values() for name, field in pairs if not name.isascii()}
    assert tried == set(HL7) - {""}
    assert {name for pairs in PAIRS.values() for name, _ in pairs} == set(NAMES.values())


@pytest.mark.parametrize(
    ("settings", "place"),
    [
        ({"charsets": ["ISO_IR 999"]}, "ris.charsets"),
        ({"charsets": "ISO_IR 100"}, "ris.charsets"),
        ({"hl7_charsets": ["8859/99"]}, "ris.hl7_charsets"),
        ({"hl7_charsets": []}, "ris.hl7_charsets"),
    ],
)
def test_a_set_that_nobody_knows_is_refused(settings, place):
    with pytest.raises(BadInput, match=place):
        Charsets.of(settings, "ris")


def test_what_does_not_fit_is_written_in_utf_8():
    narrow = Charsets(("ISO_IR 144",), ("8859/5",))
    assert (narrow.for_dicom(["ИВАНОВ"]), narrow.for_hl7(["ИВАНОВ"])) == ("ISO_IR 144", "8859/5")
    assert (narrow.for_dicom(["MÜLLER"]), narrow.for_hl7(["MÜLLER"])) == (UTF8[1], UTF8[0])


def test_the_three_groups_of_a_name_are_its_repetitions_in_hl7():
    name = PersonName.from_dicom(NAMES["Japanese"])
    assert name.represented() == {"A": ["YAMADA", "TAROU"], "I": ["山田", "太郎"], "P": ["やまだ", "たろう"]}
    shuffled = [(code, PersonName.from_hl7(parts)) for code, parts in reversed(name.represented().items())]
    assert PersonName.represented_as(shuffled) == name
    assert PersonName.from_dicom("==やまだ^たろう").dicom() == "==やまだ^たろう"
