"""Checks of tokens and sign-in against doors that lie: nothing but a proper no is a no, and nothing lost is a pass."""

from __future__ import annotations

import http.server
import threading

import pytest

from stepwedge.actors.cast import Cast, Player
from stepwedge.actors.wallet import Wallet
from stepwedge.checks.check import Question, find
from stepwedge.errors import BadInput, Skipped
from stepwedge.sim.address import Address

INVALID = 'Bearer realm="x", error="invalid_token"'
GOOD = "good"


@pytest.fixture
def liar():
    """Serve HTTP as told: ``liar(answer)`` with ``answer(handler) -> (status, challenge)``, None hangs up."""
    servers = []

    def start(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.protocol_version = "HTTP/1.1"
                told = answer(self)
                if told is None:
                    self.close_connection = True
                    return
                status, challenge = told
                self.send_response(status)
                if challenge:
                    self.send_header("WWW-Authenticate", challenge)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_GET  # noqa: N815 - the name http.server looks for

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/dicom-web"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class Purse(Wallet):
    """A wallet that holds one good token, wherever it came from."""

    def bearer(self, resource):
        return GOOD


def cast(url, purse=True):
    players = {"pacs": Player("pacs", "pacs", simulated=True, address=Address(web=url))}
    return Cast(players, tokens=Purse("idp", "http://127.0.0.1:1", 7) if purse else None)


def look(url, check="access.refused", **where):
    question = Question(cast(url), None, from_="pacs", where=where or {"bearer": "malformed"})
    return find(check).look(question)


def honest(no):
    return lambda handler: (200, "") if handler.headers["Authorization"] == f"Bearer {GOOD}" else no


def test_a_proper_no_between_two_yes_is_a_no(liar):
    found = look(liar(honest((401, INVALID))))
    assert found.holds
    assert not found.differences


@pytest.mark.parametrize(
    ("no", "said"),
    [
        ((200, ""), "served"),
        ((404, ""), "served"),
        ((401, ""), "without WWW-Authenticate"),
        ((401, 'Basic realm="x"'), "without WWW-Authenticate"),
        ((401, 'Bearer realm="x"'), "error code"),
        ((403, INVALID), "not 401"),
    ],
)
def test_a_wrong_no_is_a_finding(liar, no, said):
    found = look(liar(honest(no)))
    assert not found.holds
    assert said in found.differences[0].found


def test_who_sends_no_token_must_not_be_told_that_it_is_invalid(liar):
    assert look(liar(honest((401, 'Bearer realm="x"'))), bearer="none").holds
    assert "left out" in look(liar(honest((401, INVALID))), bearer="none").differences[0].found


def test_a_door_that_serves_nobody_proves_nothing(liar):
    found = look(liar(lambda _: (401, INVALID)))
    assert "a good token is not served" in found.unsure
    assert not found.matched
    assert not found.peer_fault


@pytest.mark.parametrize("no", [None, (500, ""), (503, "")])
def test_no_answer_is_no_refusal(liar, no):
    found = look(liar(honest(no)))
    assert found.unsure
    assert not found.matched


def test_a_door_that_is_not_there_proves_nothing():
    found = look("http://127.0.0.1:1/dicom-web")
    assert found.unsure
    assert not found.holds


def test_a_door_that_refuses_a_good_token_does_not_grant(liar):
    found = look(liar(lambda _: (403, 'Bearer error="insufficient_scope"')), "access.granted", status=200)
    assert not found.holds
    assert "insufficient_scope" in found.differences[0].found


def test_without_tokens_nobody_was_to_be_kept_out(liar):
    question = Question(
        cast(liar(honest((401, INVALID))), purse=False), None, from_="pacs", where={"bearer": "none"}
    )
    with pytest.raises(Skipped, match="no tokens"):
        find("access.refused").look(question)


def test_what_nobody_knows_is_answered_with_the_nearest(liar):
    with pytest.raises(BadInput, match="did you mean 'expired'"):
        look(liar(honest((401, INVALID))), bearer="expird")
    with pytest.raises(BadInput, match="did you mean 'lockout'"):
        look(liar(honest((401, INVALID))), "sign_in.refused", attempt="lockuot")
    with pytest.raises(BadInput, match="who tries"):
        look(liar(honest((401, INVALID))), "sign_in.refused", attempt="lockout")


@pytest.mark.parametrize("check", ["sign_in.granted", "sign_in.refused", "token.introspected"])
def test_a_provider_that_is_not_there_has_refused_nobody(check):
    question = Question(
        cast("http://127.0.0.1:1"),
        None,
        from_="idp",
        where={"user": "reading"} | ({"attempt": "wrong-totp"} if check == "sign_in.refused" else {}),
    )
    found = find(check).look(question)
    assert found.unsure
    assert not found.holds
