"""HL7 templates: the bytes are those that composing gives."""

from datetime import UTC, datetime

import pytest

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire import hl7
from stepwedge.wire.hl7_template import HL7Template, acknowledged

NAMES = ("control", "patient", "family", "birth", "placer", "at", "reason", "last")
SAMPLE = {name: f"SAMPLE{name}" for name in NAMES} | {"at": "19870605043210+0000"}
AWKWARD = ("plain", "a|b^c~d&e\\f", "Grün", "", "two\nlines", "\\", "-", "&|", " ")


def composed(values, charset="UNICODE UTF-8", version="2.5.1"):
    """Compose as builders do, with what varies in fields, components and subcomponents, first and last."""
    header = hl7.header("OMG^O19", control=values["control"], now=datetime.now(UTC), version=version)
    header[1][7] = values["at"]
    return hl7.compose(
        [
            header,
            (
                "PID",
                {3: [values["patient"], "", "", ["SW", "1.2", "ISO"]], 5: [values["family"], "Jörg", "", ""]},
            ),
            ("PV1", {2: "O", 19: [["", values["birth"]], values["last"]]}),
            ("ORC", {1: "NW", 2: [values["placer"], "SW_EHR"], 9: values["at"]}),
            ("OBR", {2: [values["placer"], "SW_EHR"], 13: hl7.Rep([values["reason"], "fixed"])}),
            ("NTE", {1: 1, 3: values["last"]}),
        ],
        charset=charset,
    )


@pytest.mark.parametrize("charset", ["UNICODE UTF-8", "8859/1"])
def test_a_template_gives_what_composing_gives(charset):
    template = HL7Template.of(composed(SAMPLE, charset), SAMPLE)
    assert template.names == set(NAMES)
    for turn in range(len(AWKWARD)):
        values = {
            name: AWKWARD[(turn + place * (turn + 1)) % len(AWKWARD)] for place, name in enumerate(NAMES)
        }
        values["control"] = values["control"] or "C1"
        assert template.render(values) == composed(values, charset)
    assert template.render(dict.fromkeys(NAMES, "")) == composed(dict.fromkeys(NAMES, ""), charset)


def test_a_sample_is_a_whole_value_only():
    raw = composed({**SAMPLE, "reason": "not SAMPLElast", "family": "SAMPLElastly"})
    samples = {"last": "SAMPLElast"}
    raw = HL7Template.of(raw, samples).render({"last": "X"})
    assert raw.count(b"SAMPLElast") == 2
    assert hl7.parse(raw)["NTE-3"] == "X"


def test_the_simulators_builders_are_templates_too():
    from stepwedge.model.order import Order
    from stepwedge.model.patient import Patient, PersonName
    from stepwedge.sim.messages import Envelope, order_message

    then = datetime(1987, 6, 5, 4, 32, 10, tzinfo=UTC)

    def build(values, at):
        patient = Patient(values["patient"], PersonName(values["family"], "Jane"), values["birth"], "F")
        order = Order(values["placer"], patient.id, "CTCHEST", "CT chest")
        return order_message(
            "NW", order, patient, Envelope("SW_EHR", "SW_RIS", values["control"], at, "2.5.1")
        )

    sample = {
        "patient": "SAMPLEPATIENT",
        "family": "SAMPLENAME",
        "birth": "19010203",
        "placer": "SAMPLEPLACER",
        "control": "SAMPLECONTROL",
    }
    template = HL7Template.of(build(sample, then), {**sample, "at": hl7.timestamp(then)})
    now = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
    for number in range(3):
        values = {
            "patient": f"SW{number}",
            "family": "O&Brien",
            "birth": "19700131",
            "placer": f"P{number}",
            "control": f"C{number}",
        }
        assert template.render({**values, "at": hl7.timestamp(now)}) == build(values, now)


def test_what_cannot_be_a_template_is_said():
    raw = composed(SAMPLE)
    with pytest.raises(LocalProtocolError, match="'nowhere' is no value"):
        HL7Template.of(raw, {"x": "nowhere"})
    with pytest.raises(LocalProtocolError, match="different"):
        HL7Template.of(raw, {"x": "SAMPLElast", "y": "SAMPLElast"})
    with pytest.raises(LocalProtocolError, match="empty"):
        HL7Template.of(raw, {"x": ""})
    with pytest.raises(LocalProtocolError, match="separators"):
        HL7Template.of(raw.replace(b"^~\\&", b"^~$&"), {"x": "SAMPLElast"})


def test_a_value_that_is_missing_or_cannot_be_written_is_refused():
    template = HL7Template.of(composed(SAMPLE, "8859/1"), SAMPLE)
    with pytest.raises(LocalProtocolError, match="placer varies"):
        template.render({name: "1" for name in NAMES if name != "placer"})
    with pytest.raises(LocalProtocolError, match="cannot be written"):
        template.render({**SAMPLE, "family": "山田"})


def test_an_acknowledgement_is_read_by_its_msa():
    message = hl7.parse(composed(SAMPLE))
    now = datetime.now(UTC)
    answer = hl7.acknowledgement(message, "AE", control="9", now=now, text="no such patient")
    assert acknowledged(answer) == ("AE", "SAMPLEcontrol", "no such patient")
    assert acknowledged(hl7.acknowledgement(message, "AA", control="9", now=now))[:2] == (
        "AA",
        "SAMPLEcontrol",
    )


@pytest.mark.parametrize(
    "raw", [b"", b"MSH|^~\\&|||", b"MSH|^~\\&\rMSA|AA\r", b"MSH|^~\\&\rMSA||1\r", b"MSH|^~\\&\rMSA|OK|1\r"]
)
def test_what_acknowledges_nothing_is_no_acknowledgement(raw):
    with pytest.raises(RemoteProtocolError, match="MSA-1"):
        acknowledged(raw)
