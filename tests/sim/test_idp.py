"""The identity provider over its real door: who is let in, what is taken back, and what bad input does to it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from stepwedge.actors.wallet import APP, PERSONAL_SCOPE, REDIRECT, Wallet
from stepwedge.errors import BadInput, Refused
from stepwedge.model import credentials
from stepwedge.sim.simulator import Case
from stepwedge.wire import oidc, tokens
from stepwedge.wire.oidc import Client, OAuthRefused, Oidc

ROOT = Path(__file__).parents[2]
SEED = 7
TOKENS = {"issuer": "idp"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def provider(town):
    with town(idp={"tokens": TOKENS, "lockout": {"failures": 3, "seconds": 900}}) as host:
        yield host


def wallet(host):
    return Wallet("idp", host.directory["idp"].web, SEED)


def refused(error, call, *args, **more):
    with pytest.raises(OAuthRefused) as caught:
        call(*args, **more)
    assert caught.value.error == error
    return caught.value


def ask(host, name):
    return host.simulators["idp"].ask("user", {"user": name})


def test_a_person_signs_in_and_every_token_says_who_it_is(provider):
    purse = wallet(provider)
    with purse.oidc(Client(APP)) as app:
        got = app.redeem(purse.code(app, "reading", f"{PERSONAL_SCOPE} profile"))
        policy = tokens.Policy(purse.url, (purse.url,))
        claims = tokens.verify(got.access, app.keys(), policy, time.time())
        assert (claims.subject, claims.roles, claims.client) == ("reading", ("radiologist",), APP)
        told = tokens.verify(got.identity, app.keys(), tokens.Policy(purse.url, (APP,)), time.time())
        assert told.all["amr"] == ["pwd", "otp", "mfa"]
        assert told.all["nonce"]
        assert tokens.open_token(got.identity)[0]["alg"] == "RS256"
        assert app.userinfo(got.access) == {"sub": "reading", "name": "reading", "roles": ["radiologist"]}
        refused("", app.userinfo, got.identity)
    with purse.oidc(purse.program()) as program:
        told = program.introspect(got.access)
        assert told["active"]
        assert (told["username"], told["roles"]) == ("reading", ["radiologist"])
        assert program.introspect(got.refresh)["active"]
        assert program.introspect("never heard of") == {"active": False}


def test_no_secret_is_in_the_journal(provider):
    purse = wallet(provider)
    got = purse.sign_in("reading")
    with purse.oidc(purse.program()) as program:
        own = program.credentials("system/*.rs")
        program.introspect(own.access)
        program.revoke(own.access)
    written = b"".join(
        path.read_bytes()
        for path in (provider.journal.path, *provider.journal.path.parent.rglob("blobs/*/*"))
        if path.is_file()
    )
    assert b"/token" in written
    secrets = (got.access, got.refresh, got.identity, own.access, credentials.password(SEED, "reading"))
    assert not [secret for secret in secrets if secret.encode() in written]


def test_the_session_spares_a_second_sign_in_and_prompt_login_does_not(provider):
    purse = wallet(provider)
    with purse.oidc(Client(APP)) as app:
        purse.code(app, "reading")
        query = {
            "response_type": "code",
            "client_id": APP,
            "redirect_uri": REDIRECT,
            "scope": "openid",
            "code_challenge": oidc.challenge("x"),
            "code_challenge_method": "S256",
        }
        where = app.endpoint("authorization")
        assert app._http.get(where, params=query).status_code == 303
        assert app._http.get(where, params=query | {"prompt": "login"}).status_code == 200
        app.end_session()
        assert app._http.get(where, params=query).status_code == 200
        silent = app._http.get(where, params=query | {"prompt": "none"})
        assert "error=login_required" in silent.headers["location"]


def test_a_session_prepared_by_somebody_else_is_not_taken_over(provider):
    purse = wallet(provider)
    with purse.oidc(Client(APP)) as app:
        app._http.cookies.set("stepwedge_session", "prepared", domain="127.0.0.1")
        purse.code(app, "reading")
        values = {cookie.value for cookie in app._http.cookies.jar if cookie.name == "stepwedge_session"}
        assert values - {"prepared"}
    with httpx.Client(cookies={"stepwedge_session": "prepared"}, trust_env=False) as thief:
        page = thief.get(f"{purse.url}/authorize", params={"client_id": APP, "redirect_uri": REDIRECT})
        assert page.status_code != 200 or "Password" in page.text


def test_the_account_locks_and_unlocks(provider):
    purse = wallet(provider)
    with purse.oidc(Client(APP)) as app:
        for _ in range(3):
            refused("", app.authorize, purse.person("scanning", "000000", "wrong"), "openid", REDIRECT)
        assert provider.run(ask(provider, "scanning"))["locked"]
        refused("", app.authorize, purse.person("scanning"), "openid", REDIRECT)
        provider.run(provider.simulators["idp"].act("unlock", {"user": "scanning"}, Case()))
        assert app.authorize(purse.person("scanning"), "openid", REDIRECT).code


def test_success_forgets_failures(provider):
    purse = wallet(provider)
    with purse.oidc(Client(APP)) as app:
        for _ in range(2):
            for _ in range(2):
                refused("", app.authorize, purse.person("scanning", "000000", "wrong"), "openid", REDIRECT)
            app.authorize(purse.person("scanning"), "openid", REDIRECT)
    assert provider.run(ask(provider, "scanning"))["failures"] == 0


def test_names_that_exist_and_names_that_do_not_get_the_same_page(provider):
    purse = wallet(provider)
    where = f"{purse.url}/authorize"
    query = {
        "response_type": "code",
        "client_id": APP,
        "redirect_uri": REDIRECT,
        "scope": "openid",
        "code_challenge": oidc.challenge("x"),
        "code_challenge_method": "S256",
    }
    pages = {
        httpx.post(where, params=query, data={"username": name, "password": "x", "otp": "000000"}).text
        for name in ("reading", "nobody", "<script>alert(1)</script>")
    }
    assert len(pages) == 1
    assert "<script" not in pages.pop()


def test_what_a_role_may_not_is_not_granted(provider):
    purse = wallet(provider)
    assert purse.sign_in("managing").scope.split() == ["openid", "offline_access", "user/AuditEvent.rs"]
    assert "user/*.rs" in purse.sign_in("reading").scope.split()
    with purse.oidc(purse.program()) as program:
        refused("invalid_scope", program.credentials, "user/*.rs")
        refused("invalid_target", program.credentials, "system/*.rs", "https://elsewhere.invalid")


def test_a_revoked_access_token_goes_alone_and_a_refresh_token_takes_its_family(provider):
    purse = wallet(provider)
    with purse.oidc(Client(APP)) as app, purse.oidc(purse.program()) as program:
        first = purse.sign_in("reading")
        app.revoke(first.access)
        assert not program.introspect(first.access)["active"]
        second = app.refresh(first.refresh)
        app.revoke(second.refresh)
        assert not program.introspect(second.access)["active"]
        refused("invalid_grant", app.refresh, second.refresh)
        app.revoke("never heard of")
        third = purse.sign_in("reading")
        refused("invalid_grant", program.revoke, third.access)


def test_a_refresh_may_narrow_and_not_widen(provider):
    purse = wallet(provider)
    got = purse.sign_in("reading", "openid offline_access user/Patient.rs")
    with purse.oidc(Client(APP)) as app:
        refused("invalid_scope", app.refresh, got.refresh, scope="user/*.rs")
        assert app.refresh(got.refresh, scope="openid").scope == "openid"


def test_a_launch_brings_its_patient_and_only_a_synthetic_one(provider):
    act = provider.simulators["idp"].act
    launch = provider.run(act("launch", {"patient": "SW12345678"}, Case()))["launch"]
    purse = wallet(provider)
    scope = "launch openid patient/*.rs"
    assert purse.sign_in("referring", scope, launch=launch).patient == "SW12345678"
    refused("invalid_request", purse.sign_in, "referring", scope, launch="made up")
    refused("invalid_request", purse.sign_in, "referring", "openid patient/*.rs")
    with pytest.raises(BadInput, match="synthetic"):
        provider.run(act("launch", {"patient": "4711"}, Case()))


def test_a_signature_from_before_a_rotation_holds_and_new_ones_have_a_new_key(provider):
    purse = wallet(provider)
    with purse.oidc(purse.program()) as program:
        before = program.credentials("system/*.rs").access
        told = provider.run(provider.simulators["idp"].act("rotate_keys", {}, Case()))
        after = program.credentials("system/*.rs").access
        keys = program.keys()
        assert told["published"] == len(keys) == 4
        assert tokens.key_named(after) in told["keys"]
        assert tokens.key_named(before) not in told["keys"]
        policy = tokens.Policy(purse.url, (purse.url,))
        assert all(tokens.verify(one, keys, policy, time.time()) for one in (before, after))


BAD = [
    ("GET", "/token", {}, b"", 405),
    ("POST", "/token", {}, b"", 400),
    ("POST", "/token", {"Content-Type": "application/json"}, b"{}", 400),
    ("POST", "/token", FORM, b"grant_type=password", 401),
    ("POST", "/token", FORM, b"client_id=viewer&grant_type=password", 400),
    ("POST", "/token", FORM, b"client_id=viewer", 400),
    ("POST", "/token", FORM, b"client_id=viewer&client_id=portal&grant_type=x", 400),
    ("POST", "/token", FORM, b"client_id=portal&client_secret=wrong&grant_type=client_credentials", 401),
    ("POST", "/token", FORM | {"Authorization": "Basic ////"}, b"grant_type=client_credentials", 401),
    ("POST", "/token", FORM | {"Authorization": "Basic !"}, b"grant_type=client_credentials", 401),
    ("POST", "/token", FORM | {"Authorization": "Bearer x"}, b"grant_type=client_credentials", 401),
    ("POST", "/token", FORM, b"a=%ff%fe&client_id=viewer", 400),
    ("POST", "/token", FORM, b"\xff\xfe", 400),
    ("POST", "/token", FORM, b"&".join(b"a%d=1" % number for number in range(60)), 400),
    ("POST", "/token", FORM, b"a=" + b"x" * 70_000, 413),
    ("POST", "/token", FORM, b"client_assertion=a.b.c&client_assertion_type=x", 400),
    ("POST", "/introspect", FORM, b"client_id=viewer&token=x", 401),
    ("POST", "/introspect", FORM, b"token=x", 401),
    ("POST", "/revoke", FORM, b"client_id=viewer", 400),
    ("GET", "/authorize", {}, b"", 400),
    ("GET", "/authorize?client_id=viewer&redirect_uri=http://127.0.0.1:9/other", {}, b"", 400),
    ("GET", "/authorize?client_id=viewer&redirect_uri=http://127.0.0.1:9x/callback", {}, b"", 400),
    ("GET", "/authorize?client_id=pacs&redirect_uri=", {}, b"", 400),
    (
        "GET",
        "/authorize?client_id=viewer&redirect_uri=http://127.0.0.1/callback&client_id=portal",
        {},
        b"",
        400,
    ),
    ("GET", "/userinfo", {}, b"", 401),
    ("GET", "/userinfo", {"Authorization": "Bearer x.y.z"}, b"", 401),
    ("GET", "/nothing", {}, b"", 404),
]


def test_bad_requests_are_refused_in_the_protocols_words_and_the_door_stays_open(provider):
    root = provider.directory["idp"].web
    with httpx.Client(trust_env=False) as client:
        for method, path, headers, body, status in BAD:
            answer = client.request(method, root + path, headers=headers, content=body)
            assert answer.status_code == status, (method, path, body[:60], answer.text)
            if path.startswith(("/token", "/revoke", "/introspect")) and method == "POST":
                assert re.fullmatch(r"[a-z_]+", answer.json()["error"])
                assert answer.headers["cache-control"] == "no-store"
    assert wallet(provider).fetch("system/*.rs", "").access


def test_nothing_that_proves_nothing_is_kept(provider):
    realm = provider.simulators["idp"].state
    root = provider.directory["idp"].web
    before = {name: len(table) for name, table in realm.tables.items()}
    with httpx.Client(trust_env=False) as client:
        for number in range(30):
            client.get(
                f"{root}/authorize", params={"client_id": APP, "redirect_uri": REDIRECT, "state": number}
            )
            client.post(
                f"{root}/token",
                data={"client_id": APP, "grant_type": "refresh_token", "refresh_token": number},
            )
    assert {name: len(table) for name, table in realm.tables.items()} == before


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"users": {"x": "surgeon"}}, "a role"),
        ({"users": ["x"]}, "a mapping"),
        ({"lockout": {"failures": 0}}, "numbers above 0"),
        ({"lifetimes": {"cookies": 7}}, "numbers above 0"),
        ({"signs": "HS256"}, "ES256 or RS256"),
        ({"clients": {"x": {"redirects": "http://127.0.0.1"}}}, "redirects"),
        ({"clients": {"x": {"grants": ["password"]}}}, "grants out of"),
        ({"clients": 7}, "a mapping"),
    ],
)
def test_settings_that_cannot_be_used_say_why(town, settings, said):
    with pytest.raises(BadInput, match=said), town(idp=settings):
        pass


@pytest.fixture
def process(tmp_path):
    """Start the provider as a process of its own on one state folder."""
    started = []

    def start():
        actors, state = tmp_path / "actors.json", tmp_path / "state"
        actors.write_text(json.dumps({"actors": {"idp": {"role": "idp", "settings": {"tokens": TOKENS}}}}))
        (state / "hospital.json").unlink(missing_ok=True)
        options = ["--hospital", "--actors", str(actors), "--state", str(state), "--seed", str(SEED)]
        one = subprocess.Popen([sys.executable, "-m", "stepwedge", "sim", *options], cwd=ROOT)
        started.append(one)
        deadline = time.monotonic() + 30
        while not (state / "hospital.json").exists():
            assert one.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        ready = json.loads((state / "hospital.json").read_text())
        return one, Wallet("idp", ready["actors"]["idp"]["address"]["web"], SEED)

    yield start
    for one in started:
        one.kill()
        one.wait()


def test_a_killed_provider_remembers_what_it_gave_and_took_back(process):
    """SIGKILL at once after the answer: tokens, revocations, spent codes, failures and keys are all there afterwards."""
    first, purse = process()
    held, spent = purse.sign_in("reading"), None
    with purse.oidc(Client(APP)) as app:
        code = purse.code(app, "scanning")
        app.redeem(code)
        spent = purse.sign_in("referring")
        app.refresh(spent.refresh)
    with purse.oidc(purse.program()) as program:
        own = program.credentials("system/*.rs")
        program.revoke(own.access)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    _, again = process()
    assert again.url == purse.url
    with again.oidc(again.program()) as program:
        assert program.introspect(held.access)["active"]
        assert not program.introspect(own.access)["active"]
    with again.oidc(Client(APP)) as app:
        assert app.refresh(held.refresh).access
        refused("invalid_grant", app.redeem, code)
        refused("invalid_grant", app.refresh, spent.refresh)
        replayed = oidc.Person("reading", credentials.password(SEED, "reading"), purse.last_otp("reading"))
        refused("", app.authorize, replayed, "openid", REDIRECT)


def test_the_wallet_says_who_has_not_signed_in(provider):
    with pytest.raises(Refused, match="has not signed in"):
        wallet(provider).tokens("reading")
    assert isinstance(Oidc(wallet(provider).url, Client(APP)).metadata(), dict)
