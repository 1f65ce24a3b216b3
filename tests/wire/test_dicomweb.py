"""The DICOMweb client: nothing short, cut, silent or redirected is ever taken for an answer."""

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stepwedge.errors import LinkLost, NoAnswer, RemoteProtocolError
from stepwedge.wire import dicomjson, multipart
from stepwedge.wire.dicomweb import DicomWeb, Outcome
from stepwedge.wire.http_blocking import HttpRefused
from stepwedge.wire.part10 import write
from stepwedge.wire.results import Instance

FILES = [
    write(Instance("1.2.840.10008.5.1.4.1.1.2", f"1.2.{number}", "1.2.840.10008.1.2.1", b""))
    for number in (1, 2)
]


@contextlib.contextmanager
def service(answer):
    """Serve ``answer(handler) -> (status, headers, body)`` on loopback; ``handler.sent`` is the request's body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, headers, body = answer(self)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()
            if "Content-Length" in headers:  # the length was a lie: nothing more will come
                self.close_connection = True

        do_POST = do_GET  # noqa: N815 - the name http.server looks for

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/dicom-web"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def always(status, body=b"", **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _handler: (status, named, body)


JSON = {"Content_Type": "application/dicom+json"}
ONE = dicomjson.dumps([{"StudyInstanceUID": "1.2"}])


def search(answer, **options):
    with service(answer) as root, DicomWeb(root, **{"timeout": 5.0, **options}) as web:
        return web.qido("studies", {"PatientID": "SW 1&x"})


def test_search():
    seen, exchanges = [], []

    def answer(handler):
        seen.append((handler.path, handler.headers["Accept"]))
        return 200, {"Content-Type": "application/dicom+json; charset=utf-8"}, ONE

    assert search(answer, observe=exchanges.append) == [{"StudyInstanceUID": "1.2"}]
    assert seen == [("/dicom-web/studies?PatientID=SW%201%26x", "application/dicom+json")]
    (exchange,) = exchanges
    assert (exchange.method, exchange.path, exchange.status, exchange.response) == (
        "GET",
        "/dicom-web/studies",
        200,
        ONE,
    )


def test_search_below_a_study_with_everything():
    seen = []

    def answer(handler):
        seen.append(handler.path)
        return 204, {}, b""

    with service(answer) as root, DicomWeb(root) as web:
        web.qido("series", study="1.2", fields=["Modality", "all"], fuzzy=True)
        web.qido("instances", study="1.2", series="1.3", limit=5, offset=10)
    assert seen == [
        "/dicom-web/studies/1.2/series?includefield=Modality&includefield=all&fuzzymatching=true",
        "/dicom-web/studies/1.2/series/1.3/instances?limit=5&offset=10",
    ]


def test_nothing_found():
    assert search(always(204)) == []
    assert search(always(200, b"[]", **JSON)) == []


def pages(*sizes, overlap=0):
    def answer(handler):
        offset = int(handler.path.partition("offset=")[2] or 0)
        done, size = 0, sizes[-1]
        for each in sizes:
            if done == offset:
                size = each
                break
            done += each
        more = (
            {"Warning": '299 service: "There are additional results that can be requested"'}
            if offset + size < sum(sizes)
            else {}
        )
        found = [
            {"StudyInstanceUID": f"1.{number - overlap * bool(offset)}"}
            for number in range(offset, offset + size)
        ]
        return 200, {"Content-Type": "application/dicom+json", **more}, dicomjson.dumps(found)

    return answer


def test_every_page_is_read():
    assert len(search(pages(3, 3, 2))) == 8


def test_pages_that_move_are_no_answer():
    with pytest.raises(RemoteProtocolError, match="pages moved"):
        search(pages(3, 3, overlap=1))
    with pytest.raises(RemoteProtocolError, match="an empty page at offset 3"):
        search(pages(3, 0, 2))


@pytest.mark.parametrize(
    ("answer", "error", "match"),
    [
        (always(200, ONE, Content_Type="text/html"), RemoteProtocolError, "found text/html"),
        (always(200, ONE), RemoteProtocolError, "found no type"),
        (always(200, b"", **JSON), RemoteProtocolError, "no JSON"),
        (always(200, ONE[:-3], **JSON), RemoteProtocolError, "no JSON"),
        (always(200, ONE, Content_Length="500", **JSON), LinkLost, "cut"),
        (
            always(200, ONE, Content_Encoding="gzip", **JSON),
            RemoteProtocolError,
            "Content-Encoding gzip unasked",
        ),
        (
            always(302, b"", Location="http://example.org/"),
            HttpRefused,
            "to http://example.org/; redirects are not followed",
        ),
        (always(400, b"bad key"), HttpRefused, "HTTP 400: bad key"),
        (always(401), HttpRefused, "HTTP 401"),
        (always(404), HttpRefused, "HTTP 404"),
        (always(503, b"", Retry_After="7"), HttpRefused, "HTTP 503"),
    ],
)
def test_what_is_no_answer(answer, error, match):
    with pytest.raises(error, match=match):
        search(answer)


def test_what_a_refusal_carries():
    with pytest.raises(HttpRefused) as caught:
        search(always(429, b"slow down", Retry_After="7"))
    assert (caught.value.status, caught.value.retry_after) == (429, "7")


def test_no_server_and_a_mute_one():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        with (
            DicomWeb(f"http://127.0.0.1:{port}", timeout=0.1) as web,
            pytest.raises(NoAnswer, match=r"no answer within 0\.1 s"),
        ):
            web.qido("studies")
    exchanges = []
    with DicomWeb(f"http://127.0.0.1:{port}", observe=exchanges.append) as web, pytest.raises(LinkLost):
        web.qido("studies")
    assert exchanges[0].status == 0
    assert exchanges[0].error


def test_a_body_beyond_the_limit():
    with pytest.raises(RemoteProtocolError, match="more than 10 bytes"):
        search(always(200, ONE, **JSON), body_limit=10)


def retrieve(status, body, content_type):
    with service(always(status, body, Content_Type=content_type)) as root, DicomWeb(root, timeout=5.0) as web:
        return web.wado("1.2", "1.3", "1.4")


def test_retrieve():
    seen = []
    body, content_type = multipart.encode(FILES, "application/dicom")

    def answer(handler):
        seen.append((handler.path, handler.headers["Accept"]))
        return 200, {"Content-Type": content_type}, body

    with service(answer) as root, DicomWeb(root) as web:
        assert web.wado("1.2") == FILES
        assert web.wado("1.2", "1.3") == FILES
        assert web.wado("1.2", "1.3", "1.4", transfer_syntax="1.2.840.10008.1.2.1") == FILES
    assert seen == [
        ("/dicom-web/studies/1.2", 'multipart/related; type="application/dicom"; transfer-syntax=*'),
        (
            "/dicom-web/studies/1.2/series/1.3",
            'multipart/related; type="application/dicom"; transfer-syntax=*',
        ),
        (
            "/dicom-web/studies/1.2/series/1.3/instances/1.4",
            'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1',
        ),
    ]


def test_retrieve_of_less_than_everything():
    body, content_type = multipart.encode(FILES, "application/dicom", boundary="B")
    for cut in (0, 10, len(body) // 2, len(body) - 4):
        with pytest.raises(RemoteProtocolError, match="without the closing boundary"):
            retrieve(200, body[:cut], content_type)
    with pytest.raises(RemoteProtocolError, match="HTTP 206 instead"):
        retrieve(206, body, content_type)
    with pytest.raises(RemoteProtocolError, match="HTTP 204 instead"):
        retrieve(204, b"", content_type)
    with pytest.raises(RemoteProtocolError, match="expected multipart/related"):
        retrieve(200, FILES[0], "application/dicom")
    other, kind = multipart.encode([b"\xff\xd8"], "image/jpeg")
    with pytest.raises(RemoteProtocolError, match="part 1 is image/jpeg"):
        retrieve(200, other, kind)


def test_metadata():
    with service(always(200, dicomjson.dumps([{"Rows": 4}]), **JSON)) as root, DicomWeb(root) as web:
        assert web.metadata("1.2") == [{"Rows": 4}]
    with (
        service(always(204)) as root,
        DicomWeb(root) as web,
        pytest.raises(RemoteProtocolError, match="instead of the whole"),
    ):
        web.metadata("1.2")


def told(stored=(), failed=()):
    sop = "ReferencedSOPInstanceUID"
    return dicomjson.dumps(
        [
            {
                "ReferencedSOPSequence": [
                    {sop: uid, "ReferencedSOPClassUID": "1.9", "RetrieveURL": "http://h/1"} for uid in stored
                ],
                "FailedSOPSequence": [
                    {sop: uid, "ReferencedSOPClassUID": "1.9", "FailureReason": 0x0110} for uid in failed
                ],
            }
        ]
    )


def store(status, body, files=FILES, study="", kind="application/dicom+json"):
    seen = []

    def answer(handler):
        parts = multipart.decode(handler.sent, handler.headers["Content-Type"])
        seen.append((handler.path, [part.body for part in parts]))
        return status, {"Content-Type": kind}, body

    with service(answer) as root, DicomWeb(root, timeout=5.0) as web:
        result = web.stow(files, study=study)
    assert seen == [(f"/dicom-web/studies{'/' + study if study else ''}", files)]
    return result


def test_store():
    result = store(200, told(["1.2.1", "1.2.2"]), study="1.2")
    assert [outcome.sop_instance for outcome in result.stored] == ["1.2.1", "1.2.2"]
    assert result.stored[0].uri == "http://h/1"
    assert (result.status, result.failed) == (200, ())


@pytest.mark.parametrize("status", [202, 400, 409])
def test_store_of_some_or_none(status):
    result = store(status, told(["1.2.1"], ["1.2.2"]))
    assert result.failed == (Outcome("1.9", "1.2.2", 0x0110),)
    assert result.status == status


@pytest.mark.parametrize(
    ("status", "body", "match"),
    [
        (200, told(["1.2.1"]), "says nothing about 1 of 2 instances, first 1.2.2"),
        (200, b"[{}]", "says nothing about 2 of 2"),
        (200, b"[]", "expected one response data set, found 0"),
        (202, told(["1.2.1", "1.2.2"], ["1.2.2"]), "1.2.2 is named as stored and as failed"),
        (409, b"nope", "no JSON"),
    ],
)
def test_store_with_an_answer_that_leaves_something_open(status, body, match):
    with pytest.raises(RemoteProtocolError, match=match):
        store(status, body)


@pytest.mark.parametrize("status", [400, 409, 413, 415, 500, 503])
def test_store_refused(status):
    with pytest.raises(HttpRefused, match=f"HTTP {status}: no"):
        store(status, b"no", kind="text/plain")


def test_the_same_instance_twice_may_be_stored_and_refused():
    result = store(202, told(["1.2.1"], ["1.2.1"]), [FILES[0], FILES[0] + b""])
    assert (len(result.stored), len(result.failed)) == (1, 1)


def test_what_is_no_file_is_sent_as_it_is():
    assert store(409, told(failed=["9"]), [b"not DICOM"]).failed[0].reason == 0x0110
