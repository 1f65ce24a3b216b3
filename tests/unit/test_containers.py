"""What the files of the hospital in containers say of each other, without an engine."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from stepwedge.errors import BadInput, Broken
from stepwedge.lab import containers, labfile
from stepwedge.sim.host import Plan

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SYSTEMS = ("ehr", "ris", "pacs", "ct", "reader")


def plan(name="hospital"):
    return Plan.parse(json.loads((ROOT / f"containers/{name}.json").read_text()), name)


def test_the_same_systems_as_in_the_default_lab():
    default, inside = labfile.load(), labfile.load(ROOT / containers.LAB)
    roles = {name: one.role for name, one in default.simulated.items()}
    assert {name: one.role for name, one in inside.simulated.items()} == roles
    assert {name: part.role for name, part in plan().parts.items()} == roles
    assert set(inside.apart) == set(roles) == set(SYSTEMS)


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_listens_is_what_is_published(name):
    (ports,) = COMPOSE["services"][name]["ports"]
    found = re.fullmatch(r"127\.0\.0\.1:(\d+)-(\d+):\1-\2", ports)
    published = range(int(found[1]), int(found[2]) + 1)
    alone = plan().alone(name, "plan")
    listening = {value for key, value in alone.parts[name].settings.items() if key.endswith("_port")}
    assert alone.own.host == name
    assert listening <= set(published)
    assert alone.own.admin in published
    assert labfile.load(ROOT / containers.LAB).apart[name] == f"http://127.0.0.1:{alone.own.admin}"
    assert name not in alone.others
    assert len(alone.others) == len(SYSTEMS) - 1


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_every_service_is_shut_in_and_can_be_found_again(service):
    told = COMPOSE["services"][service]
    assert told["init"] is told["read_only"] is True
    assert told["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in told["security_opt"]
    assert told["mem_limit"]
    assert told["pids_limit"]
    assert containers.LABEL in told["labels"]
    assert all(one.startswith("127.0.0.1:") for one in told.get("ports", ()))
    assert "privileged" not in told


@pytest.mark.parametrize("kind", ["volumes", "networks"])
def test_everything_else_can_be_found_again_too(kind):
    assert COMPOSE[kind]
    assert all(containers.LABEL in one["labels"] for one in COMPOSE[kind].values())


def test_the_real_archive_stands_where_ours_did():
    ours, real = plan(), plan("hospital-orthanc")
    assert set(ours.others) == set(real.others)
    assert real.others["pacs"].hl7 is None
    assert set(ours.parts) - set(real.parts) == {"pacs"}
    same = set(SYSTEMS) - {"pacs"}
    assert {name: ours.others[name] for name in same} == {name: real.others[name] for name in same}
    (port, more) = (real.others["pacs"].dicom.port, labfile.load(ROOT / containers.PROFILES["orthanc"]))
    assert more.real["pacs"].address.dicom.port == port


def test_an_actor_is_played_alone_at_the_doors_of_the_directory():
    alone = plan().alone("ct", "plan")
    assert alone.parts["ct"].settings["dicom_port"] == 13134
    assert alone.parts["ct"].settings["ae_title"] == "SW_CT1"


def test_an_actor_that_is_not_in_the_plan_is_refused():
    with pytest.raises(BadInput, match="one of ehr, ris"):
        plan().alone("xray", "plan")


@pytest.mark.parametrize(
    ("actors", "said"),
    [
        ('{ris: {simulated: ris, admin: "http://127.0.0.1:1"}, pacs: simulated}', "or of none"),
        ('{ris: {simulated: ris, admin: "http://127.0.0.1:1", hl7_port: 5}}', "where it is started"),
        ('{ris: {simulated: ris, admin: "http://192.0.2.7:1"}}', "a host out of"),
        ('{ris: {simulated: ris, admin: "mllp://127.0.0.1:1"}}', "http://HOST:PORT"),
    ],
)
def test_a_lab_of_systems_apart_is_written_as_one(tmp_path, actors, said):
    file = tmp_path / "lab.yaml"
    file.write_text(f"lab: apart\nactors: {actors}\n")
    with pytest.raises(BadInput, match=said):
        labfile.load(file)


def test_without_an_engine_the_reason_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no docker command" in containers.missing()
    assert containers.down() == {}
    with pytest.raises(Broken, match="no containers: there is no docker command"):
        containers.up(None)


def test_an_unknown_profile_is_refused():
    with pytest.raises(BadInput, match="orthanc"):
        containers.up(None, ["orthank"])


def test_somebody_elses_compose_file_is_not_started(monkeypatch, tmp_path):
    (tmp_path / "scenarios").mkdir()
    (tmp_path / containers.COMPOSE).write_text("services: {web: {image: nginx}}\n")
    monkeypatch.setenv("STEPWEDGE_LAB", str(tmp_path))
    with pytest.raises(BadInput, match="another compose file"):
        containers.up(None)
