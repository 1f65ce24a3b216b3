import sys

import pytest

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.lab import labfile
from stepwedge.lab.claims import CLAIMS, effective

ROLES = ["ehr", "modality", "pacs", "reader", "ris"]


@pytest.fixture(autouse=True)
def _roles(monkeypatch):
    """The roles that ship, whichever of them are in the folder under test."""
    monkeypatch.setattr(kit, "simulators", lambda: ROLES)


@pytest.fixture
def load(tmp_path):
    def read(text):
        path = tmp_path / "lab.yaml"
        path.write_text(text)
        return labfile.load(path)

    return read


GOOD = """\
lab: north-clinic-pilot
sut: {name: Acme RIS/PACS, version: "7.3", claims: [mwl, mpps, storage-commitment, patient-update]}
actors:
  ehr:    simulated
  ct:     {simulated: modality, ae_title: SW_CT1, port: 11113}
  ris:    {real: {hl7: mllp://127.0.0.1:2575, worklist: dicom://RIS@127.0.0.1:11104}}
  pacs:   {real: {hl7: mllp://127.0.0.1:2576, dicom: dicom://PACS@127.0.0.1:11112, web: http://127.0.0.1:8042/dicom-web}}
  reader: simulated
triggers: {ris.schedule: automatic, ris.verify: operator}
patience: {scale: 1.5}
identity: {patients: SW, accessions: SW, issuer: STEPWEDGE}
lanes: 4
allow: [127.0.0.0/8]
"""


def test_the_lab_file_of_the_design_is_read(load):
    lab = load(GOOD)
    assert lab.name == "north-clinic-pilot"
    assert set(lab.real) == {"ris", "pacs"}
    assert set(lab.simulated) == {"ehr", "ct", "reader"}
    assert lab.simulated["ct"].settings == {"ae_title": "SW_CT1", "dicom_port": 11113}
    assert lab.real["pacs"].address.dicom.ae == "PACS"
    claims = {"mwl", "mpps", "storage-commitment", "patient-update", "fhir", "pix", "pdq", "sign-in"}
    assert lab.claims == claims
    assert lab.text.patience.scale == 1.5


def test_the_shipped_labs_are_good():
    for name in ("default", "orthanc", "ris-apart"):
        assert labfile.load(kit.find(f"fixtures/labs/{name}.yaml")).actors


def test_what_is_simulated_is_claimed_and_what_is_real_only_when_said():
    assert effective(["mwl"], []) is None
    assert effective([], ["pacs"]) == {name for name, claim in CLAIMS.items() if "pacs" not in claim.roles}
    assert "mwl" in effective([], ["pacs"])
    assert "patient-merge" not in effective([], ["pacs"])


def test_environment_variables_are_put_in(load, monkeypatch):
    monkeypatch.setenv("PACS_PORT", "11112")
    lab = load("lab: x\nactors:\n  pacs: {real: {dicom: 'dicom://${NAME:-ARC}@127.0.0.1:${PACS_PORT}'}}\n")
    assert str(lab.real["pacs"].address.dicom) == "dicom://ARC@127.0.0.1:11112"


def test_the_python_that_runs_can_be_named(load):
    lab = load(
        "lab: x\nactors:\n  ris:\n    real: {hl7: mllp://127.0.0.1:1}\n    start: {command: ['${STEPWEDGE_PYTHON}'], ready: hl7}\n"
    )
    assert lab.real["ris"].start.command == (sys.executable,)


def test_lower_case_and_blank_inside_an_ae_title_are_legal(load):
    lab = load("lab: x\nactors: {pacs: {simulated: pacs, ae_title: 'my pacs'}}\n")
    assert lab.simulated["pacs"].settings["ae_title"] == "my pacs"


def real(doors, more=""):
    return f"lab: x\nactors:\n  pacs:\n    real:\n      {doors}\n{more}"


BAD = {
    # name: (lab file, line, what the message must say)
    "empty file": ("", 1, ["a mapping with the keys lab and actors"]),
    "a list": ("- a\n", 1, ["a mapping with the keys lab and actors"]),
    "no lab name": ("actors: {pacs: simulated}\n", 1, ["the key lab"]),
    "lab name as a path": ("lab: ../x\nactors: {pacs: simulated}\n", 1, ["lab"]),
    "no actors": ("lab: x\n", 1, ["the key actors"]),
    "empty actors": ("lab: x\nactors: {}\n", 2, ["at least one actor"]),
    "unknown key": ("lab: x\nactorz: {}\nactors: {pacs: simulated}\n", 2, ["did you mean 'actors'"]),
    "duplicate actor": (
        "lab: x\nactors:\n  pacs: simulated\n  pacs: simulated\n",
        4,
        ["'pacs' again", "line 3"],
    ),
    "actor name": ("lab: x\nactors:\n  PACS 1: simulated\n", 3, ["an actor name"]),
    "typo in simulated": ("lab: x\nactors:\n  pacs: simulatd\n", 3, ["did you mean 'simulated'"]),
    "unknown role": ("lab: x\nactors:\n  pacs: {simulated: pasc}\n", 3, ["did you mean 'pacs'"]),
    "name that is no role": ("lab: x\nactors:\n  ct: simulated\n", 3, ["a role", "modality"]),
    "both simulated and real": ("lab: x\nactors:\n  pacs: {simulated: pacs, real: {}}\n", 3, ["{real:"]),
    "real without doors": ("lab: x\nactors:\n  pacs: {real: {}}\n", 3, ["at least one door"]),
    "unknown door": (real("dicm: dicom://A@127.0.0.1:1"), 5, ["did you mean 'dicom'"]),
    "unknown key of a real system": (
        real("dicom: dicom://A@127.0.0.1:1", "    strat: {}\n"),
        6,
        ["did you mean 'start'"],
    ),
    "port 0": (real("dicom: dicom://A@127.0.0.1:0"), 5, ["a port from 1 to 65535"]),
    "port 65536": (real("dicom: dicom://A@127.0.0.1:65536"), 5, ["dicom://AE@HOST:PORT"]),
    "port missing": (real("hl7: mllp://127.0.0.1"), 5, ["mllp://HOST:PORT"]),
    "port not a number": (real("hl7: mllp://127.0.0.1:104x"), 5, ["mllp://HOST:PORT"]),
    "setting port 0": ("lab: x\nactors:\n  pacs: {simulated: pacs, port: 0}\n", 3, ["from 1 to 65535"]),
    "setting port 65536": (
        "lab: x\nactors:\n  pacs: {simulated: pacs, hl7_port: 65536}\n",
        3,
        ["from 1 to 65535"],
    ),
    "setting port as text": (
        "lab: x\nactors:\n  pacs: {simulated: pacs, port: 104x}\n",
        3,
        ["a TCP port", "'104x'"],
    ),
    "AE title too long": (
        "lab: x\nactors:\n  pacs: {simulated: pacs, ae_title: ABCDEFGHIJKLMNOPQ}\n",
        3,
        ["at most 16", "17"],
    ),
    "AE title empty": (
        "lab: x\nactors:\n  pacs: {simulated: pacs, ae_title: ''}\n",
        3,
        ["1 to 16 characters"],
    ),
    "AE title blank": (
        "lab: x\nactors:\n  pacs: {simulated: pacs, ae_title: '  '}\n",
        3,
        ["1 to 16 characters"],
    ),
    "AE title with blanks around": (
        "lab: x\nactors:\n  pacs: {simulated: pacs, ae_title: 'PACS '}\n",
        3,
        ["without leading or trailing"],
    ),
    "AE title with backslash": (
        "lab: x\nactors:\n  pacs: {simulated: pacs, ae_title: 'A\\B'}\n",
        3,
        ["without backslash"],
    ),
    "AE title with control": (
        'lab: x\nactors:\n  pacs: {simulated: pacs, ae_title: "A\\tB"}\n',
        3,
        ["printable ASCII"],
    ),
    "AE title as a number": (
        "lab: x\nactors:\n  pacs: {simulated: pacs, ae_title: 12}\n",
        3,
        ["an AE title", "12"],
    ),
    "AE title missing in an address": (real("dicom: dicom://127.0.0.1:104"), 5, ["AE"]),
    "AE title too long in an address": (real("dicom: dicom://ABCDEFGHIJKLMNOPQ@127.0.0.1:104"), 5, ["16"]),
    "same AE title twice": (
        "lab: x\nactors:\n  pacs: {simulated: pacs, ae_title: A}\n  ct: {simulated: modality, ae_title: A}\n",
        4,
        ["pacs has the same AE title"],
    ),
    "same AE title as the probe": (
        "lab: x\nactors:\n  pacs: {simulated: pacs, ae_title: SW_PROBE}\n",
        3,
        ["probe has the same AE title"],
    ),
    "same port twice": (
        "lab: x\nactors:\n  pacs: {simulated: pacs, port: 11112}\n  ct: {simulated: modality, port: 11112}\n",
        4,
        ["pacs has the same port"],
    ),
    "host outside the allowlist": (real("dicom: dicom://A@10.1.2.3:104"), 5, ["10.1.2.3", "allow"]),
    "host name outside the allowlist": (real("dicom: dicom://A@pacs.clinic.example:104"), 5, ["allow"]),
    "every interface": (real("hl7: mllp://0.0.0.0:2575"), 5, ["every interface"]),
    "allow everybody": (real("hl7: mllp://127.0.0.1:1", "allow: [0.0.0.0/0]\n"), 6, ["list them"]),
    "allow nobody": (real("hl7: mllp://127.0.0.1:1", "allow: []\n"), 6, ["at least one network"]),
    "allow nonsense": (real("hl7: mllp://127.0.0.1:1", "allow: ['10.1.2.3/99']\n"), 6, ["10.1.2.0/24"]),
    "URL with credentials": (real("web: http://joe:hunter2@127.0.0.1:80/x"), 5, ["without credentials"]),
    "file URL": (real("web: file:///etc/passwd"), 5, ["http://HOST:PORT/PATH", "'file'"]),
    "javascript URL": (real("web: 'javascript:alert(1)'"), 5, ["http://HOST:PORT/PATH"]),
    "wrong scheme": (real("hl7: dicom://A@127.0.0.1:1"), 5, ["mllp://HOST:PORT"]),
    "address that is no text": (real("hl7: 2575"), 5, ["mllp://HOST:PORT"]),
    "secret inline": (
        "lab: x\nsut:\n  token: hunter2\nactors: {pacs: simulated}\n",
        3,
        ["no secret", "${NAME}"],
    ),
    "secret in a setting": (
        "lab: x\nactors:\n  pacs:\n    simulated: pacs\n    db_password: hunter2\n",
        5,
        ["no secret"],
    ),
    "missing variable": (
        real("hl7: 'mllp://127.0.0.1:${SW_NO_SUCH_VARIABLE}'"),
        5,
        ["SW_NO_SUCH_VARIABLE", "set"],
    ),
    "unclosed variable": (real("hl7: 'mllp://127.0.0.1:${SW'"), 5, ["closing brace"]),
    "unknown claim": (
        "lab: x\nsut:\n  claims:\n    - mwl\n    - mpp\nactors: {ris: simulated}\n",
        5,
        ["did you mean 'mpps'"],
    ),
    "claim nobody can keep": (
        "lab: x\nsut: {claims: [mwl]}\nactors: {pacs: simulated}\n",
        2,
        ["it needs a ris"],
    ),
    "claims as text": ("lab: x\nsut: {claims: mwl}\nactors: {ris: simulated}\n", 2, ["a list"]),
    "production": (
        "lab: x\nsut: {environment: production}\nactors: {ris: simulated}\n",
        2,
        ["never talks to a production"],
    ),
    "version as a number": ("lab: x\nsut: {version: 7.3}\nactors: {ris: simulated}\n", 2, ["a text", "7.3"]),
    "lanes 0": ("lab: x\nlanes: 0\nactors: {ris: simulated}\n", 2, ["greater than or equal to 1"]),
    "lanes as words": ("lab: x\nlanes: four\nactors: {ris: simulated}\n", 2, ["a whole number"]),
    "lanes beyond reason": (
        "lab: x\nlanes: 1000000000\nactors: {ris: simulated}\n",
        2,
        ["less than or equal to 64"],
    ),
    "patience 0": ("lab: x\npatience: {scale: 0}\nactors: {ris: simulated}\n", 2, ["above 0"]),
    "patience negative": ("lab: x\npatience: {scale: -1}\nactors: {ris: simulated}\n", 2, ["above 0"]),
    "patience not a number": ("lab: x\npatience: {scale: .nan}\nactors: {ris: simulated}\n", 2, ["a number"]),
    "patience infinite": ("lab: x\npatience: {scale: .inf}\nactors: {ris: simulated}\n", 2, ["a number"]),
    "patience huge": ("lab: x\npatience: {scale: 100000}\nactors: {ris: simulated}\n", 2, ["at most 1000"]),
    "identity prefix": ("lab: x\nidentity: {patients: '../'}\nactors: {ris: simulated}\n", 2, ["pattern"]),
    "trigger of nobody": (
        "lab: x\nactors: {ris: simulated}\ntriggers: {rsi.verify: operator}\n",
        3,
        ["did you mean 'ris'"],
    ),
    "trigger by nobody": (
        "lab: x\nactors: {ris: simulated}\ntriggers: {ris.verify: magic}\n",
        3,
        ["'automatic' or 'operator'"],
    ),
    "probe AE title": ("lab: x\nactors: {ris: simulated}\nprobe: {ae_title: ''}\n", 3, ["1 to 16"]),
    "start without a command": (
        real("hl7: mllp://127.0.0.1:1", "    start: {command: []}\n"),
        6,
        ["at least one entry"],
    ),
    "start with a typo": (
        real("hl7: mllp://127.0.0.1:1", "    start: {command: [x], raedy: dicom}\n"),
        6,
        ["did you mean 'ready'"],
    ),
    "tab": ("lab: x\nactors:\n\tpacs: simulated\n", 3, ["tab"]),
    "python tag": ("lab: !!python/object:os.system x\n", 1, ["tag"]),
    "anchor": ("lab: &a x\nactors: {pacs: simulated}\n", 1, ["anchor"]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_lab_file_is_refused_with_line_and_remedy(load, name):
    text, line, says = BAD[name]
    with pytest.raises(BadInput) as caught:
        load(text)
    said = str(caught.value)
    assert f"lab.yaml:{line}" in said, said
    for part in says:
        assert part in said, said


@pytest.mark.parametrize("name", ["URL with credentials", "secret inline", "secret in a setting"])
def test_a_secret_is_not_repeated(load, name):
    with pytest.raises(BadInput) as caught:
        load(BAD[name][0])
    assert "hunter2" not in str(caught.value)


def test_no_packet_leaves_for_a_host_that_is_not_allowed(load, monkeypatch):
    import socket

    def never(*_args, **_kwargs):
        pytest.fail("a socket or a name server was asked")

    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, never)
    with pytest.raises(BadInput, match="allow"):
        load(real("dicom: dicom://A@pacs.clinic.example:104"))


TAPPED = "lab: tapped\nactors: {ehr: simulated, ris: simulated, pacs: {real: {hl7: mllp://127.0.0.1:2576}}}\ntaps:\n"


def test_tls_may_end_in_a_tap(load):
    lab = load("tls: {}\n" + TAPPED + "  - {on: ris->pacs, tls: terminate}\n  - {on: ehr->ris}\n")
    assert [tap.tls for tap in lab.text.taps] == ["terminate", "pass"]


def test_taps_stand_between_two_actors(load):
    lab = load(TAPPED + "  - {on: ris->pacs, doors: [hl7]}\n  - {on: ehr->ris}\n")
    assert [tap.on for tap in lab.text.taps] == ["ris->pacs", "ehr->ris"]
    assert lab.text.taps[1].doors == ()


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("{on: ris->pacz}", "did you mean 'pacs'"),
        ("{on: ris->ris}", "a tap stands between two systems"),
        ("{on: ris}", "taps"),
        ("{on: pacs->ris}", "ports where the caller finds the tap"),
        ("{on: ehr->ris, doors: [hl8]}", "hl7"),
        ("{on: ehr->ris, ports: {hl7: 0}}", "65535"),
        ("{on: ehr->ris, tls: end}", "'pass' or 'terminate'"),
        ("{on: ehr->ris, tls: terminate}", "a lab with tls"),
    ],
)
def test_taps_that_cannot_be(load, line, text):
    with pytest.raises(BadInput) as told:
        load(TAPPED + f"  - {line}\n")
    assert text in str(told.value)
    assert "lab.yaml" in str(told.value)
