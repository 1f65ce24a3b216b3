"""Everything our systems send while all scenarios run: HL7 as hl7apy's tables have it, FHIR as fhir.resources has it, nothing unsaid.

The default lab runs every scenario, the whole hospital those in which its further systems take part; a case beside them does what no
shipped scenario does.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from stepwedge import kit
from stepwedge.wire import fhir
from stepwedge.wire.hl7 import parse
from stepwedge.wire.structure import complaints

ROOT = Path(__file__).parents[2]
PATIENCE = 900
"""Seconds for one lab to run on a busy machine."""
pytestmark = pytest.mark.timeout(3 * PATIENCE)
REPEATED = ("RSP^K22", r"RSP_K21 .*(PID|QRI) \(segment \d+\) is not allowed here; allowed: DSC")
"""ITI TF-2 3.21.4.2 takes HL7's structure RSP_K21 and lets its query response repeat; HL7 2.5.1 chapter 3 has one."""
WITH_OTHERS = [f"scenarios/{folder}" for folder in ("engine", "identity", "images", "resilience")]
"""Where engine, router and patient index take part; the other scenarios say nothing there that the default lab does not."""
SENDERS = ("ehr", "mpi", "reader", "ris")
"""Who makes messages; an engine hands on those of others."""
RARE = """
# What no shipped scenario does, so that every message of a conformance statement is sent once.
scenario: rare
title: Class of a stay changed both ways, stays taken back and deleted, a person corrected, a document with an addendum
story: The admission office makes up its mind late, and the radiologist adds to what the ward has filed.
severity: normal
tags: [identity, encounter, documents]

variants:
  - {id: hl7-2-3-1, version: "2.3.1"}
  - {id: hl7-2-5-1, version: "2.5.1"}

steps:
  - {do: ehr.add_person, with: {version: $version}, as: patient}
  - {do: ehr.update_person, with: {patient: $patient, sex: O, version: $version}}
  - {do: ehr.admit, with: {patient: $patient, class: outpatient, location: AMB^1, version: $version}, as: visit}
  - {do: ehr.change_to_inpatient, with: {visit: $visit, location: 4N^1^A, version: $version}}
  - {do: ehr.change_to_outpatient, with: {visit: $visit, version: $version}}
  - {do: ehr.cancel_admit, with: {visit: $visit, version: $version}}
  - {do: ehr.admit, with: {patient: $patient, location: 4N^1^A, version: $version}, as: stay}
  - {do: ehr.transfer, with: {visit: $stay, location: 5S^2^B, version: $version}}
  - {do: ehr.cancel_transfer, with: {visit: $stay, version: $version}}
  - {do: ehr.discharge, with: {visit: $stay, version: $version}}
  - {do: ehr.cancel_discharge, with: {visit: $stay, version: $version}}
  - {do: ehr.preadmit, with: {patient: $patient, version: $version}, as: planned}
  - {do: ehr.delete_visit, with: {visit: $planned, version: $version}}
  - {do: ehr.place_order, with: {patient: $patient, procedure: CTHEAD, version: $version}, as: order}
  - {expect: worklist.entry, from: ris, where: {AccessionNumber: $order.accession}, is: {PatientID: $patient.id}}
  - {do: ct.fetch_worklist, with: {AccessionNumber: $order.accession}, as: worklist}
  - {do: ct.start_exam, with: {entry: $worklist.entry}, as: mpps}
  - {do: ct.acquire, with: {mpps: $mpps, images: 1}, as: images}
  - {do: ct.store_images, with: {images: $images}}
  - {do: ct.complete_exam, with: {mpps: $mpps, images: $images}}
  - {expect: study.found, from: pacs, where: {AccessionNumber: $order.accession}, is: {PatientID: $patient.id}}
  - {do: reader.sign_report, with: {order: $order, study: $images.study, text: No finding.}, as: report}
  - {expect: report.received, at: ehr, where: {order: $order}, is: {status: final}}
  - {do: ris.send_document, with: {order: $order}}
  - {do: reader.add_addendum, with: {report: $report, text: Old fracture.}}
  - {do: ris.send_document, with: {order: $order}}
  - {do: reader.add_addendum, with: {report: $report, text: New fracture., status: C}}
  - {do: ris.send_document, with: {order: $order}, as: second}
  - {expect: document.received, at: ehr, where: {order: $order}, is: {number: $second.document}}
  - {do: reader.withdraw_report, with: {report: $report, reason: Wrong patient.}}
  - {do: ris.send_document, with: {order: $order}}
  - {do: ehr.place_order, with: {patient: $patient, procedure: CTHEAD, version: $version}, as: other}
  - {do: ris.reschedule, with: {order: $other, station: SW_CT2}}
  - {do: ris.no_show, with: {order: $other}}
  - {expect: appointment.status, at: ehr, where: {order: $other}, is: {status: no show}}
"""


@dataclass
class Heard:
    """What the journals of several runs hold of what was sent.

    Attributes:
        messages: role to every (message type, version) it sent.
        wrong: what hl7apy's structures or fhir.resources find wrong, with who said it.
        answers: message types of the application answers of each role.
        resources: role to the resource types it sent or answered with.
    """

    messages: dict = field(default_factory=lambda: defaultdict(set))
    answers: dict = field(default_factory=lambda: defaultdict(set))
    resources: dict = field(default_factory=lambda: defaultdict(set))
    wrong: list = field(default_factory=list)
    seen: dict = field(default_factory=lambda: defaultdict(int))


def payload(told, folder):
    if "file" in told:
        return (folder / told["file"]).read_bytes()
    return base64.b64decode(told["base64"]) if "base64" in told else told.get("text", "").encode()


def listen(folder, heard):
    """Judge every exchange of one run; what the probe sends, or others refuse on purpose, is not ours to be right."""
    lines = [line for file in folder.glob("journal*.jsonl") for line in file.open(encoding="utf-8")]
    records = [json.loads(line) for line in lines]
    labs = [one["lab"].get("actors") or {} for one in records if one["record"] == "run"]
    roles = {name: one["role"] for lab in labs for name, one in lab.items() if one["simulated"]}
    assert roles
    for one in (record["exchange"] for record in records if record["record"] == "exchange"):
        if one["protocol"] == "hl7":
            message(one, roles, folder, heard)
        elif one["protocol"] == "web":
            resources(one, roles, folder, heard)


BY_HAND = {"ADT^A34"}
"""What only a tester's hand makes of a message (scenarios/identity/merge-edges.yaml): no system of ours sends it by itself."""


def message(one, roles, folder, heard):
    """Judge what a system of ours sent, and what it answered."""
    role = roles.get(one["actor"])
    said = payload(one["request" if one["direction"] == "out" else "response"], folder)
    if role is None or not said:
        return
    found = parse(said)
    if one["direction"] == "out" and found.type in BY_HAND:
        return
    known = heard.messages if one["direction"] == "out" else heard.answers
    known[role].add((found.type, found.version))
    heard.seen["hl7"] += 1
    heard.wrong += [
        (role, found.type, found.version, each)
        for each in complaints(said)
        if not (found.type == REPEATED[0] and re.fullmatch(REPEATED[1], each))
    ]


def resources(one, roles, folder, heard):
    """Judge the resource that a system of ours sent or answered with, whoever was at the other end."""
    peer = roles.get(one["peer"])
    sides = [(roles.get(one["actor"]), "request"), (peer, "response")]
    if one["direction"] == "in":
        sides = [(peer, "request"), (roles.get(one["actor"]), "response")]
    for role, part in sides:
        body = payload(one[part], folder) if role else b""
        if b'"resourceType"' not in body:
            continue
        try:
            resource = fhir.read(body)
        except fhir.FhirError as error:
            heard.wrong.append((role, one["kind"], "FHIR", str(error)))
            continue
        kind = resource["resourceType"]
        model = getattr(importlib.import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
        try:
            model.model_validate_json(fhir.write(resource))
        except ValueError as error:
            heard.wrong.append((role, kind, "FHIR", str(error)[:300]))
        inside = [
            entry["resource"]["resourceType"] for entry in resource.get("entry", ()) if "resource" in entry
        ]
        heard.resources[role].update([kind, *inside])
        heard.seen["fhir"] += 1


def run(folder, *args):
    """Run a lab to its end; what its cases come to is not this test's business, that they ran is."""
    command = [
        sys.executable,
        "-m",
        "stepwedge",
        "run",
        "-q",
        "-n",
        "2",
        "--seed",
        "7",
        "--evidence",
        str(folder),
    ]
    env = {**os.environ, "PYTEST_ADDOPTS": "-o addopts="}
    done = subprocess.run(
        [*command, *args], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    ended = re.search(r"(\d+) passed", done.stdout)
    assert ended, done.stdout[-2000:] + done.stderr[-2000:]
    assert int(ended[1]) > 0


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    rare = folder / "rare.yaml"
    rare.write_text(RARE, encoding="utf-8")
    found = Heard()
    for name, args in {
        "default": (),
        "hospital": ("--lab", "fixtures/labs/hospital.yaml", *WITH_OTHERS),
        "rare": (str(rare),),
    }.items():
        run(folder / name, *args)
        listen(folder / name, found)
    return found


def sent(role):
    """Return what the README says that a system sends: message type to the versions it has there."""
    found = defaultdict(set)
    text = (kit.find(f"simulators/{role}") / "README.md").read_text(encoding="utf-8")
    section = re.search(r"## HL7 v2 over MLLP\n(.*?)\n## ", text, re.DOTALL)[1]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 5 or "out" not in cells[3]:
            continue
        old, new = cells[1], cells[1] if cells[2] == "the same" else cells[2]
        for version, cell in (("2.3.1", old), ("2.5.1", new)):
            code = ""
            for kind, trigger in re.findall(
                r"(?:([A-Z]{3})\^)?\b([A-Z]\d\d)\b", re.sub(r"answered [^;|]*", "", cell)
            ):
                code = kind or code
                found[f"{code}^{trigger}"].add(version)
    return found


def test_every_message_has_the_structure_of_its_version(heard):
    assert heard.seen["hl7"] > 2000
    assert not [one for one in heard.wrong if one[2] != "FHIR"]


@pytest.mark.parametrize("role", SENDERS)
def test_what_is_sent_is_what_the_statement_says(heard, role):
    """Nothing that a README says is sent was missing, in each version, and nothing else was sent."""
    told = {(kind, version) for kind, versions in sent(role).items() for version in versions}
    assert told
    assert heard.messages[role] == told


def test_every_resource_is_valid(heard):
    assert heard.seen["fhir"] > 50
    assert not [one for one in heard.wrong if one[2] == "FHIR"]
    assert heard.resources["ehr"] >= {
        "Bundle",
        "ServiceRequest",
        "DiagnosticReport",
        "Observation",
        "Appointment",
    }
    assert heard.resources["ris"] >= {"Bundle", "ServiceRequest", "Task", "Patient"}
    assert heard.resources["pacs"] >= {"ImagingStudy"}
