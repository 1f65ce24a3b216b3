"""HTTPS and HL7 over TLS with curl, dicomweb-client and python-hl7 at our doors."""

from __future__ import annotations

import asyncio
import ssl

import hl7 as python_hl7
import pydicom
import pytest
import requests
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session
from hl7.client import MLLPClient
from hl7.mllp import start_hl7_server

from stepwedge.errors import WireError
from stepwedge.wire import part10
from stepwedge.wire.elements import EXPLICIT_LE, encode
from stepwedge.wire.hl7 import parse
from stepwedge.wire.mllp_blocking import Link
from stepwedge.wire.results import Instance
from stepwedge.wire.tls import Credentials

pytestmark = pytest.mark.peer

ADMISSION = (
    "MSH|^~\\&|THEIRS|SITE|SW_PACS|STEPWEDGE|20261124093000||ADT^A04^ADT_A01|T{0}|P|2.5.1||||||UNICODE UTF-8\r"
    "EVN||20261124093000\rPID|||SW90000{0}^^^STEPWEDGE||Müller^Jörg||19700101|M\rPV1||O\r"
)
CURL_REFUSED = frozenset({35, 56, 60})
"""Exit codes of curl: the handshake failed; receiving failed, as in TLS 1.3; the peer spoke of a certificate."""


def pair(papers, name="probe"):
    return str(papers / f"{name}.pem"), str(papers / f"{name}.key")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl_is_served_with_a_certificate_alone(program, call, archive, papers, version):
    curl = program("curl")

    async def main():
        async with archive(tls={"folder": str(papers)}) as (_, _, root):
            url = root.replace("127.0.0.1", "localhost") + "/studies?PatientID=SW1"
            common = (curl, "-sS", f"--tlsv{version}", "--tls-max", version, "--cacert", papers / "ca.pem")

            def shown(name):
                certificate, key = pair(papers, name)
                return ("--cert", certificate, "--key", key)

            code, said = await call(*common, *shown("probe"), "-o", "/dev/null", "-w", "%{http_code}", url)
            assert (code, said) == (0, "204")
            assert (await call(*common, url))[0] in CURL_REFUSED
            for kind in ("expired", "revoked", "unknown-ca", "wrong-usage", "missing-intermediate"):
                code, said = await call(*common, *shown(f"bad/{kind}"), url)
                assert code in CURL_REFUSED, (kind, said)
            plain, said = await call(curl, "-sS", url.replace("https:", "http:"))
            assert plain != 0, said
            code, said = await call(*common, *shown("probe"), "-o", "/dev/null", "-w", "%{http_code}", url)
            assert (code, said) == (0, "204")

    asyncio.run(main())


def test_dicomweb_client_stores_and_searches_over_https(archive, papers, ct_image, tmp_path):
    image = ct_image(1)
    data = part10.write(
        Instance(image["SOPClassUID"], image["SOPInstanceUID"], EXPLICIT_LE, encode(image, explicit=True))
    )
    path = tmp_path / "image.dcm"
    path.write_bytes(data)

    def talk(root):
        session = create_session()
        session.trust_env = False  # or a list named by the environment goes before ours
        session.verify, session.cert = str(papers / "ca.pem"), pair(papers)
        client = DICOMwebClient(root.replace("127.0.0.1", "localhost"), session=session)
        client.store_instances([pydicom.dcmread(path)])
        (found,) = client.search_for_studies(search_filters={"PatientID": image["PatientID"]})
        (read,) = client.retrieve_study(found["0020000D"]["Value"][0])
        assert read.PixelData == image["PixelData"]
        bare = create_session()
        bare.trust_env, bare.verify = False, str(papers / "ca.pem")
        stranger = DICOMwebClient(root.replace("127.0.0.1", "localhost"), session=bare)
        stranger.set_http_retry_params(retry=False)
        with pytest.raises(requests.exceptions.ConnectionError):
            stranger.search_for_studies()

    async def main():
        async with archive(tls={"folder": str(papers)}) as (_, _, root):
            await asyncio.to_thread(talk, root)

    asyncio.run(main())


class SealedClient(MLLPClient):
    """python-hl7's client, on a socket in TLS."""

    def __init__(self, host, port, context):
        super().__init__(host, port, encoding="utf-8")
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")


def test_python_hl7_asks_over_tls(archive, papers):
    context = ssl.create_default_context(cafile=papers / "ca.pem")
    context.load_cert_chain(*pair(papers))

    def talk(endpoint):
        with SealedClient(endpoint.host, endpoint.port, context) as client:
            for number in range(3):
                answer = python_hl7.parse(client.send_message(ADMISSION.format(number)).decode())
                assert str(answer.segment("MSA")[1]) == "AA", str(answer)
        bare = ssl.create_default_context(cafile=papers / "ca.pem")
        try:
            with SealedClient(endpoint.host, endpoint.port, bare) as client:
                answer = client.send_message(ADMISSION.format(9))
        except OSError:  # in TLS 1.3 the refusal comes after connecting
            answer = b""
        assert not answer

    async def main():
        async with archive(tls={"folder": str(papers)}) as (host, _, _):
            await asyncio.to_thread(talk, host.directory["pacs"].hl7)

    asyncio.run(main())


def test_we_ask_a_server_of_python_hl7_over_tls(papers):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=papers / "ca.pem")
    context.load_cert_chain(*pair(papers, "pacs"))
    context.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader, writer):
        while not writer.is_closing():
            try:
                message = await reader.readmessage()
            except asyncio.IncompleteReadError:
                break
            writer.writemessage(message.create_ack())
            await writer.drain()

    def ask(port, credentials):
        with Link.open("127.0.0.1", port, 10, context=credentials.client()) as link:
            return parse(link.ask(ADMISSION.format(1).encode("utf-8")))["MSA-1"]

    async def main():
        async with await start_hl7_server(serve, "127.0.0.1", 0, encoding="utf-8", ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            assert await asyncio.to_thread(ask, port, Credentials.of_folder(papers, "probe")) == "AA"
            with pytest.raises(WireError):
                await asyncio.to_thread(ask, port, Credentials(papers / "ca.pem"))

    asyncio.run(main())
