"""Compiled studies received by DCMTK's storescp: its files hold, byte for byte, what our encoder writes for each image."""

import contextlib
import os
import subprocess
import time

import pytest

from stepwedge.model.identifiers import uid
from stepwedge.wire import part10
from stepwedge.wire.compiled import OF_AN_EXAM, OF_AN_IMAGE, CompiledStudy
from stepwedge.wire.dimse_blocking import Association
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE, decode, encode
from stepwedge.wire.lane import Lane
from stepwedge.wire.results import Instance
from stepwedge.wire.tls import Credentials

pytestmark = pytest.mark.peer

CT = "1.2.840.10008.5.1.4.1.1.2"
SYNTAXES = {"explicit": ("+xe", EXPLICIT_LE), "implicit": ("+xi", IMPLICIT_LE)}


@contextlib.contextmanager
def storescp(binary, port, folder, *options):
    """Run DCMTK's receiver, which writes every data set as it comes, until the block ends."""
    folder.mkdir()
    process = subprocess.Popen(
        [binary, "+B", *map(str, options), "-od", str(folder), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TCP_NODELAY": "1"},
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def opened(port, **more):
    """Associate as soon as the receiver listens."""
    from stepwedge.errors import LinkLost

    deadline = time.monotonic() + 10
    while True:
        try:
            return Association.open("127.0.0.1", port, calling="SW_CT1", called="PEER", timeout=20, **more)
        except LinkLost:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def identifiers(number):
    values = {
        "SOPInstanceUID": uid("dcmtk", "sop", number),
        "StudyInstanceUID": uid("dcmtk", "study", number),
        "SeriesInstanceUID": uid("dcmtk", "series", number),
        "InstanceNumber": str(10**number),
        "PatientID": f"SW{number:08}",
        "PatientName": "Müller^Jörg"[: 8 + number],
        "PatientBirthDate": "19700131",
        "PatientSex": "O",
        "AccessionNumber": f"SW{number}",
        "StudyDate": "20261124",
        "StudyTime": f"09300{number}",
    }
    assert set(values) == {*OF_AN_IMAGE, *OF_AN_EXAM}
    return values


@pytest.mark.parametrize("max_pdu", [4096, 16384, 131072])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_storescp_writes_what_was_meant(program, free_port, tmp_path, ct_image, syntax, max_pdu):
    option, transfer = SYNTAXES[syntax]
    port, made = free_port(), ct_image(1)
    instance = Instance(CT, made["SOPInstanceUID"], transfer, encode(made, explicit=transfer == EXPLICIT_LE))
    study = CompiledStudy([instance])
    with storescp(program("storescp"), port, tmp_path / "held", option, "-pdu", max_pdu):
        with opened(port, contexts=[(CT, [transfer])]) as association:
            lane = Lane(association)
            for number in range(1, 5):
                assert lane.store(study, identifiers(number), number).status == 0
        files = {file.sop_instance: file for file in map(part10.read, read_all(tmp_path / "held"))}
    assert len(files) == 4
    for number in range(1, 5):
        values = identifiers(number)
        wanted = encode({**made, **values}, explicit=transfer == EXPLICIT_LE)
        assert files[values["SOPInstanceUID"]].data == wanted


def test_storescp_takes_it_over_tls(program, free_port, tmp_path, ct_image, papers):
    port, made = free_port(), ct_image(1)
    study = CompiledStudy([Instance(CT, made["SOPInstanceUID"], EXPLICIT_LE, encode(made, explicit=True))])
    tls = ("+tls", papers / "pacs.key", papers / "pacs.pem", "+cf", papers / "ca.pem")
    with storescp(program("storescp"), port, tmp_path / "held", *tls):
        client = Credentials.of_folder(papers, "probe").client()
        with opened(port, contexts=[CT], context=client) as association:
            assert Lane(association).store(study, identifiers(1)).status == 0
        (raw,) = read_all(tmp_path / "held")
    assert decode(part10.read(raw).data, explicit=True) == {**made, **identifiers(1)}


def read_all(folder):
    return [path.read_bytes() for path in folder.iterdir()]
