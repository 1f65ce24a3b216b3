"""The FHIR client: nothing short, cut, foreign, silent or repeated is ever taken for an answer."""

import json
import socket
import sys
from pathlib import Path

import pytest

from stepwedge.errors import LinkLost, NoAnswer, RemoteProtocolError
from stepwedge.wire.fhir_client import Fhir
from stepwedge.wire.http_blocking import HttpRefused

sys.path.insert(0, str(Path(__file__).parent))
from test_dicomweb import always, service

JSON = {"Content_Type": "application/fhir+json"}


def bundle(*patients, onward="", **more):
    links = [{"relation": "next", "url": onward}] if onward else []
    found = [{"resource": {"resourceType": "Patient", "id": one}} for one in patients]
    told = {"resourceType": "Bundle", "type": "searchset", "link": links, "entry": found}
    return json.dumps(told | more).encode()


def search(answer, **options):
    with service(answer) as root, Fhir(root, **{"timeout": 5.0, **options}) as client:
        return client.search("Patient", {"identifier": "SW1"})


def test_every_page_is_read_and_every_exchange_is_heard():
    heard, seen = [], []

    def answer(handler):
        seen.append((handler.path, handler.headers["Accept"], handler.headers["Authorization"]))
        last = "page=2" in handler.path
        onward = f"http://{handler.headers['Host']}/dicom-web/Patient?page=2"
        return (
            200,
            {"Content-Type": "application/fhir+json"},
            bundle("b") if last else bundle("a", onward=onward),
        )

    found = search(answer, observe=heard.append, bearer=lambda: "shown")
    assert [one["id"] for one in found] == ["a", "b"]
    assert [path for path, _, _ in seen] == ["/dicom-web/Patient?identifier=SW1", "/dicom-web/Patient?page=2"]
    assert {(accept, token) for _, accept, token in seen} == {("application/fhir+json", "Bearer shown")}
    assert [(one.status, one.response) for one in heard][1] == (200, bundle("b"))


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (always(404, b"<html>", Content_Type="text/html"), HttpRefused, "HTTP 404"),
        (always(302, Location="http://127.0.0.1:1/"), HttpRefused, "HTTP 302"),
        (always(200, b"no json", **JSON), RemoteProtocolError, "no JSON that can be taken"),
        (always(200, b"", **JSON), RemoteProtocolError, "an empty answer"),
        (always(200, bundle("a"), Content_Encoding="gzip", **JSON), RemoteProtocolError, "gzip unasked"),
        (always(200, bundle("a"), Content_Length="9999", **JSON), LinkLost, "cut"),
        (always(200, bundle("a", "a"), **JSON), RemoteProtocolError, "the same resource twice"),
        (always(200, bundle("a", onward="http://192.0.2.1/x"), **JSON), RemoteProtocolError, "192.0.2.1"),
        (always(200, bundle(resourceType="Patient"), **JSON), RemoteProtocolError, "a Bundle is expected"),
    ],
)
def test_what_is_no_whole_answer_is_said(answer, error, said):
    heard = []
    with pytest.raises(error, match=said):
        search(answer, observe=heard.append)
    assert heard


def test_nobody_there_is_a_lost_link_and_silence_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(LinkLost), Fhir(f"http://127.0.0.1:{port}/fhir", timeout=2.0) as client:
        client.capabilities()

    def silent(handler):
        handler.connection.recv(1)
        return 200, {}, b""

    with pytest.raises(NoAnswer, match="no answer within"):
        search(silent, timeout=0.2)
