"""The OpenID Connect client against providers that answer wrongly: an error that says what it was, never a token."""

from __future__ import annotations

import http.server
import json
import threading
from urllib.parse import parse_qs

import pytest

from stepwedge.errors import LinkLost, RemoteProtocolError
from stepwedge.wire import oidc
from stepwedge.wire.oidc import Client, OAuthRefused, Oidc, Person

PERSON = Person("x", "y", "000000")
REDIRECT = "http://127.0.0.1:8/callback"


@pytest.fixture
def provider():
    """Serve metadata and, at every other place, one answer: ``provider(status, body, headers)``; forms posted are kept."""
    servers = []

    def start(status=200, body=b"{}", headers=(), **metadata):
        posted = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                root = f"http://127.0.0.1:{server.server_port}"
                length = int(self.headers.get("Content-Length") or 0)
                posted.append((self.path, parse_qs(self.rfile.read(length).decode())))
                if "openid-configuration" in self.path:
                    ends = {
                        f"{name}_endpoint": f"{root}/{name}"
                        for name in ("token", "authorization", "introspection")
                    }
                    told = {"issuer": root, "jwks_uri": f"{root}/jwks", **ends, **metadata}
                    self.answer(200, json.dumps(told).encode(), ())
                else:
                    self.answer(status, body, headers)

            do_POST = do_GET  # noqa: N815 - the name http.server looks for

            def answer(self, status, body, headers):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        client = Oidc(f"http://127.0.0.1:{server.server_port}", Client("app", "s:e cret"), timeout=5)
        client.posted = posted
        return client

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_token_response_is_read(provider):
    told = {"access_token": "a", "token_type": "bearer", "expires_in": 60, "scope": "s", "patient": "SW1"}
    got = provider(body=json.dumps(told).encode()).credentials("s", "http://door")
    assert (got.access, got.expires_in, got.scope, got.patient, got.refresh) == ("a", 60.0, "s", "SW1", "")
    assert "'a'" not in repr(got)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"x",
        b"[" * 100_000,
        b'{"access_token":"a"}',
        b'{"access_token":7,"token_type":"Bearer"}',
        b'{"access_token":"","token_type":"Bearer"}',
        b'{"access_token":"a","token_type":"mac"}',
    ],
)
def test_what_is_no_token_response_gives_no_token(provider, body):
    with pytest.raises(RemoteProtocolError):
        provider(body=body).credentials("s")


def test_an_endless_answer_is_not_read_to_its_end(provider):
    with pytest.raises(RemoteProtocolError, match="more than"):
        provider(body=b" " * (oidc.LARGEST + 1)).credentials("s")


@pytest.mark.parametrize(
    ("body", "error"),
    [(b'{"error":"invalid_client"}', "invalid_client"), (b"oops", ""), (b"[]", ""), (b'{"error":7}', "7")],
)
def test_a_no_is_a_refusal_with_its_code(provider, body, error):
    with pytest.raises(OAuthRefused) as caught:
        provider(401, body).credentials("s")
    assert (caught.value.status, caught.value.error) == (401, error)


@pytest.mark.parametrize(
    ("location", "said"),
    [
        (f"{REDIRECT}?code=x&state=wrong", "not ours"),
        (f"{REDIRECT}?code=x", "not ours"),
        ("http://elsewhere.invalid/?code=x", "elsewhere"),
        ("", "elsewhere"),
    ],
)
def test_a_code_that_was_not_asked_for_is_not_taken(provider, location, said):
    with pytest.raises(RemoteProtocolError, match=said):
        provider(303, headers=[("Location", location)]).authorize(PERSON, "openid", REDIRECT)


def test_an_answer_of_another_issuer_is_not_taken(provider):
    """RFC 9207: what a mix-up would look like."""
    answer = f"{REDIRECT}?code=x&state=fixed&iss=http://elsewhere.invalid"
    with pytest.raises(RemoteProtocolError, match="not ours"):
        provider(303, headers=[("Location", answer)]).authorize(PERSON, "openid", REDIRECT, state="fixed")


def test_metadata_of_somebody_else_is_not_believed(provider):
    with pytest.raises(RemoteProtocolError, match="the issuer is"):
        provider(issuer="http://elsewhere.invalid").credentials("s")
    with pytest.raises(RemoteProtocolError, match="of its own"):
        provider(token_endpoint="http://elsewhere.invalid/token").credentials("s")  # noqa: S106 - an address


def test_introspection_without_a_yes_or_no_is_an_error(provider):
    with pytest.raises(RemoteProtocolError, match="boolean"):
        provider(body=b'{"active":"true"}').introspect("x")


def test_nobody_there_is_a_lost_link():
    with pytest.raises(LinkLost):
        Oidc("http://127.0.0.1:1", Client("app"), timeout=2).credentials("s")


def test_a_challenge_is_as_the_standard_shows_it():
    """RFC 7636 appendix B."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert oidc.challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
