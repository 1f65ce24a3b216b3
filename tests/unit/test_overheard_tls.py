"""What a third party reads of TLS, against what the standard library's own TLS says of itself."""

from __future__ import annotations

import random
import ssl

import pytest

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import pki
from stepwedge.wire.overheard_tls import CLIENT, OverheardTls


@pytest.fixture(scope="module")
def papers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("papers") / "pki"
    pki.make(folder, ["pacs"])
    return folder


def handshake(papers, version, trusted=True):
    """Shake hands in memory; return what was said, and what the client's TLS says of it."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(papers / "pacs.pem", papers / "pacs.key")
    client = ssl.create_default_context(cafile=papers / "ca.pem" if trusted else None)
    client.maximum_version = version
    client.set_alpn_protocols(["http/1.1", "dicom"])
    pipes = [ssl.MemoryBIO() for _ in range(4)]
    ends = (
        client.wrap_bio(pipes[0], pipes[1], server_hostname="localhost"),
        server.wrap_bio(pipes[2], pipes[3], server_side=True),
    )
    said = []
    for _ in range(6):
        for side, (end, out, to) in enumerate(((ends[0], pipes[1], pipes[2]), (ends[1], pipes[3], pipes[0]))):
            try:
                end.do_handshake()
                if side == CLIENT:
                    end.write(b"hello")
                else:
                    end.read(100)
                    end.write(b"well")
            except ssl.SSLError:
                pass
            if out.pending:
                data = out.read()
                said.append((side, data))
                to.write(data)
    return said, ends[0]


@pytest.mark.parametrize(
    ("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLS 1.2"), (ssl.TLSVersion.TLSv1_3, "TLS 1.3")]
)
@pytest.mark.parametrize("size", [1, 13, 100_000])
def test_the_hellos(papers, version, name, size):
    said, client = handshake(papers, version)
    heard = OverheardTls()
    for side, data in said:
        for at in range(0, len(data), size):
            heard.heard(side, data[at : at + size])
    assert heard.sealed
    assert not heard.refused
    facts = heard.facts
    assert facts["version"] == name == client.version().replace("v", " ")
    assert facts["sni"] == "localhost"
    assert facts["alpn"] == ["http/1.1", "dicom"]
    assert facts["offered"][0] == name
    assert facts["cipher"] in {
        f"{one['id'] & 0xFFFF:04X}"
        for one in client.context.get_ciphers()
        if one["name"] == client.cipher()[0]
    }
    assert ("certificate" in facts) == (name == "TLS 1.2")  # in 1.3 it is under keys already


def test_an_alert_in_the_clear(papers):
    said, _ = handshake(papers, ssl.TLSVersion.TLSv1_2, trusted=False)
    heard = OverheardTls()
    for side, data in said:
        heard.heard(side, data)
    assert heard.refused
    assert (heard.facts["alert"], heard.facts["alert_by"]) == ("unknown_ca", "client")


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff", b"\x16\x02\x01\x00\x01\x00"]
)
def test_what_is_no_tls(data):
    with pytest.raises(RemoteProtocolError, match="no TLS"):
        OverheardTls().heard(CLIENT, data)


def test_thousands_of_broken_handshakes_raise_nothing_else(papers):
    rng = random.Random(7)  # noqa: S311 - it must be repeatable, not secret
    said, _ = handshake(papers, ssl.TLSVersion.TLSv1_2)
    for _ in range(3000):
        heard = OverheardTls()
        try:
            for side, data in said:
                broken = bytearray(data)
                broken[rng.randrange(len(broken))] = rng.randrange(256)
                heard.heard(side, bytes(broken))
        except RemoteProtocolError:
            continue
