"""The identity provider and the doors behind it with clients that others wrote: Authlib, oathtool, OpenSSL, curl."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import OAuth2Client, OAuthError
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oidc.core import CodeIDToken
from authlib.oidc.discovery import OpenIDProviderMetadata
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwk, jwt

from stepwedge.model import credentials
from stepwedge.sim.simulator import Case

pytestmark = pytest.mark.peer
SEED = 7
TOKENS = {"issuer": "idp"}
REDIRECT = "http://127.0.0.1:49152/callback"
SCOPE = "openid profile offline_access user/*.rs"
needs = {
    name: pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed")
    for name in ("oathtool", "openssl", "curl")
}


@pytest.fixture
def town_with_tokens(town):
    with town(idp={"tokens": TOKENS}, pacs={"tokens": TOKENS}) as host:
        yield host


@pytest.fixture
def hospital(town_with_tokens):
    directory = town_with_tokens.directory
    return directory["idp"].web, directory["pacs"].web


def oathtool(user):
    command = ["oathtool", "--totp", "--base32", credentials.totp_secret(SEED, user)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def signed_in(where, user, otp):
    """Type a person's credentials into the provider's form and return where the browser is sent."""
    form = {"username": user, "password": credentials.password(SEED, user), "otp": otp}
    with httpx.Client(trust_env=False) as browser:
        assert 'type="password"' in browser.get(where).text
        answer = browser.post(where, data=form)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]


def app(issuer, name="viewer", way="none", **more):
    metadata = httpx.get(f"{issuer}/.well-known/openid-configuration").json()
    OpenIDProviderMetadata(metadata).validate()
    client = OAuth2Client(
        name,
        scope=SCOPE,
        redirect_uri=REDIRECT,
        token_endpoint=metadata["token_endpoint"],
        revocation_endpoint=metadata["revocation_endpoint"],
        code_challenge_method="S256",
        token_endpoint_auth_method=way,
        trust_env=False,
        **more,
    )
    return client, metadata


@needs["oathtool"]
def test_authlib_signs_a_person_in_reads_refreshes_and_revokes(hospital):
    issuer, pacs = hospital
    client, metadata = app(issuer)
    verifier, nonce = generate_token(48), generate_token(16)
    where, state = client.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce, resource=pacs
    )
    back = signed_in(where, "reading", oathtool("reading"))
    assert dict(parse_qsl(urlsplit(back).query))["iss"] == issuer
    token = client.fetch_token(authorization_response=back, state=state, code_verifier=verifier)
    assert token["scope"].split() == ["openid", "profile", "offline_access", "user/*.rs"]

    keys = jwk.KeySet.import_key_set(httpx.get(metadata["jwks_uri"]).json())
    options = {
        "iss": {"value": issuer},
        "aud": {"value": "viewer"},
        "nonce": {"value": nonce},
    }
    signed = jwt.decode(token["id_token"], keys, ["RS256"])
    told = CodeIDToken(signed.claims, signed.header, options, {"nonce": nonce, "client_id": "viewer"})
    told.validate(leeway=5)
    assert (told["sub"], told["roles"]) == ("reading", ["radiologist"])
    claims = jwt.decode(token["access_token"], keys, ["ES256"]).claims
    assert (claims["iss"], claims["aud"], claims["sub"]) == (issuer, pacs, "reading")

    assert client.get(metadata["userinfo_endpoint"]).json()["sub"] == "reading"
    assert client.get(f"{pacs}/studies").status_code == 204
    before = client.token
    fresh = client.refresh_token(metadata["token_endpoint"], refresh_token=before["refresh_token"])
    assert fresh["access_token"] != before["access_token"]
    assert client.get(f"{pacs}/studies").status_code == 204
    assert client.revoke_token(metadata["revocation_endpoint"], fresh["refresh_token"]).status_code == 200
    with pytest.raises(OAuthError, match="invalid_grant"):
        client.refresh_token(metadata["token_endpoint"], refresh_token=fresh["refresh_token"])
    gone = httpx.get(f"{pacs}/studies", headers={"Authorization": f"Bearer {fresh['access_token']}"})
    assert gone.status_code == 401
    assert 'error="invalid_token"' in gone.headers["www-authenticate"]


@needs["oathtool"]
def test_authlib_with_a_secret_redeems_a_code_and_introspects(hospital):
    issuer, _ = hospital
    secret = credentials.client_secret(SEED, "portal")
    for method in ("client_secret_basic", "client_secret_post"):
        client, metadata = app(issuer, "portal", way=method, client_secret=secret)
        user = "scanning" if method.endswith("basic") else "referring"
        where, state = client.create_authorization_url(metadata["authorization_endpoint"])
        back = signed_in(where, user, oathtool(user))
        token = client.fetch_token(authorization_response=back, state=state)
        answer = client.introspect_token(metadata["introspection_endpoint"], token["access_token"])
        assert answer.json()["active"] is True
        assert answer.json()["username"] == user


@needs["oathtool"]
def test_authlib_is_launched_from_a_record_and_learns_who_signed_in(hospital, town_with_tokens):
    """SMART App Launch: the launch context beside the tokens, ``fhirUser`` in the ID token, and a Practitioner behind it."""
    from fhir.resources.R4B.practitioner import Practitioner

    issuer, pacs = hospital
    given = {"patient": {"id": "SW90000001"}, "encounter": "E7", "intent": "review"}
    launched = town_with_tokens.run(
        town_with_tokens.simulators["idp"].act("launch", given, Case("launch", 1))
    )
    client, metadata = app(issuer)
    client.scope = "launch openid fhirUser user/*.rs"
    verifier = generate_token(48)
    where, state = client.create_authorization_url(
        metadata["authorization_endpoint"], code_verifier=verifier, aud=pacs, launch=launched["launch"]
    )
    back = signed_in(where, "reading", oathtool("reading"))
    token = client.fetch_token(authorization_response=back, state=state, code_verifier=verifier)
    assert (token["patient"], token["encounter"], token["intent"]) == ("SW90000001", "E7", "review")
    keys = jwk.KeySet.import_key_set(httpx.get(metadata["jwks_uri"]).json())
    claims = jwt.decode(token["id_token"], keys, ["RS256"]).claims
    assert claims["fhirUser"] == f"{issuer}/fhir/Practitioner/reading"
    assert client.get(metadata["userinfo_endpoint"]).json()["fhirUser"] == claims["fhirUser"]
    told = client.get(claims["fhirUser"])
    assert told.headers["content-type"] == "application/fhir+json"
    person = Practitioner.model_validate(told.json())
    assert (person.identifier[0].value, person.qualification[0].code.text) == ("reading", "radiologist")
    assert client.get(f"{issuer}/fhir/Practitioner/nobody").status_code == 404
    assert httpx.get(claims["fhirUser"]).status_code == 401
    smart = httpx.get(f"{issuer}/.well-known/smart-configuration").json()
    assert {"sso-openid-connect", "context-ehr-encounter"} <= set(smart["capabilities"])


def test_authlib_without_a_challenge_is_turned_away(hospital):
    issuer, _ = hospital
    client, metadata = app(issuer)
    where, state = client.create_authorization_url(metadata["authorization_endpoint"])
    answer = httpx.get(where)
    told = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    assert (answer.status_code, told["error"], told["state"]) == (303, "invalid_request", state)


@pytest.mark.parametrize("way", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_authlib_as_a_program(hospital, way):
    issuer, pacs = hospital
    metadata = httpx.get(f"{issuer}/.well-known/smart-configuration").json()
    secret = credentials.client_secret(SEED, "probe")
    if way == "private_key_jwt":
        key = credentials.client_key(SEED, "probe")
        secret = jwk.ECKey.import_key(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    endpoint = metadata["token_endpoint"]
    client = OAuth2Client("probe", secret, token_endpoint_auth_method=way, trust_env=False)
    if way == "private_key_jwt":
        soon = {"exp": int(time.time()) + 240}  # SMART allows five minutes; Authlib's own hour is refused
        client.register_client_auth_method(PrivateKeyJWT(endpoint, soon, alg="ES256"))
    token = client.fetch_token(
        endpoint, grant_type="client_credentials", scope="system/*.read", resource=pacs
    )
    assert token["scope"] == "system/*.rs"
    assert client.get(f"{pacs}/studies").status_code == 204
    assert client.post(f"{pacs}/studies").status_code == 403


@needs["oathtool"]
def test_oathtool_and_the_wallet_agree_on_every_code():
    from stepwedge.actors.wallet import Wallet

    step = int(time.time()) // 30
    command = [
        "oathtool",
        "--totp",
        "--base32",
        "--now",
        f"@{step * 30}",
        "--window",
        "9",
        credentials.totp_secret(SEED, "x"),
    ]
    codes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert codes == [Wallet("idp", "", SEED).otp("x", step + ahead) for ahead in range(10)]


@needs["openssl"]
@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
def test_openssl_checks_signatures_with_the_published_keys(town, tmp_path, algorithm):
    with town(idp={"tokens": TOKENS, "signs": algorithm}) as host:
        issuer = host.directory["idp"].web
        auth = ("probe", credentials.client_secret(SEED, "probe"))
        form = {"grant_type": "client_credentials", "scope": "system/*.rs"}
        token = httpx.post(f"{issuer}/token", data=form, auth=auth).json()["access_token"]
        published = httpx.get(f"{issuer}/jwks").json()["keys"]
    head, payload, signature = token.split(".")
    name = json.loads(base64.urlsafe_b64decode(head + "=="))["kid"]
    (key,) = [one for one in published if one["kid"] == name]
    assert "d" not in key
    raw = base64.urlsafe_b64decode(signature + "==")
    if algorithm == "ES256":  # RFC 7518 section 3.4: two numbers of 32 octets; OpenSSL wants them in DER
        from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

        raw = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    (tmp_path / "key.pem").write_bytes(jwk.import_key(key).as_pem(private=False))
    (tmp_path / "signature").write_bytes(raw)
    for text, good in ((f"{head}.{payload}", True), (f"{head}.{payload}x", False)):
        (tmp_path / "signed").write_text(text)
        command = ["openssl", "dgst", "-sha256", "-verify", "key.pem", "-signature", "signature", "signed"]
        said = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path).stdout
        assert ("Verified OK" in said) is good


@needs["curl"]
def test_curl_shows_a_token_and_is_asked_for_one(hospital):
    issuer, pacs = hospital

    def curl(*more):
        command = ["curl", "--silent", "--noproxy", "*", "--include", *more]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    asked = curl(f"{pacs}/studies")
    assert asked.startswith("HTTP/1.1 401")
    assert 'www-authenticate: Bearer realm="pacs"' in asked
    secret = credentials.client_secret(SEED, "probe")
    form = ["--data", "grant_type=client_credentials", "--data-urlencode", "scope=system/*.rs"]
    given = curl(
        "--user", f"probe:{secret}", *form, "--data-urlencode", f"resource={pacs}", f"{issuer}/token"
    )
    token = json.loads(given.partition("\n\n")[2] or given.rpartition("\r\n\r\n")[2])["access_token"]
    assert curl("--oauth2-bearer", token, f"{pacs}/studies").startswith("HTTP/1.1 204")
    assert curl("--oauth2-bearer", token, "--request", "POST", f"{pacs}/studies").startswith("HTTP/1.1 403")
