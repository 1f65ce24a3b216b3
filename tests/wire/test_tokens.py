"""Access tokens: what holds, what does not and why, and ten thousand that nobody should have made."""

import base64
import hmac
import json
import random
import time

import pytest
from joserfc import jwk, jwt

from stepwedge.errors import RemoteProtocolError
from stepwedge.wire import smart, tokens
from stepwedge.wire.tokens import Policy, TokenRefused, verify

NOW = 1_795_000_000.0
POLICY = Policy("https://idp.invalid", ("https://pacs.invalid/dicom-web",))
EC = jwk.ECKey.generate_key("P-256", {"kid": "ec", "use": "sig", "alg": "ES256"}, private=True)
RSA = jwk.RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig", "alg": "RS256"}, private=True)
KEYS = tokens.read_keys(
    json.dumps({"keys": [EC.as_dict(private=False), RSA.as_dict(private=False)]}).encode()
)
GOOD = {
    "iss": POLICY.issuer,
    "sub": "reading",
    "aud": POLICY.audience[0],
    "client_id": "viewer",
    "scope": "user/*.rs",
    "exp": int(NOW) + 300,
    "roles": ["radiologist"],
}


def signed(claims=GOOD, key=EC, **header):
    algorithm = "ES256" if key is EC else "RS256"
    return jwt.encode(
        {"alg": algorithm, "typ": "at+jwt", "kid": key.kid, **header}, dict(claims), key, [algorithm]
    )


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def refused(token, now=NOW, policy=POLICY):
    with pytest.raises(TokenRefused) as caught:
        verify(token, KEYS, policy, now)
    return caught.value.reason


@pytest.mark.parametrize("key", [EC, RSA], ids=["ES256", "RS256"])
def test_a_good_token_says_who_it_is(key):
    claims = verify(signed(key=key), KEYS, POLICY, NOW)
    assert (claims.subject, claims.client, claims.scope, claims.roles) == (
        "reading",
        "viewer",
        "user/*.rs",
        ("radiologist",),
    )
    assert claims.expires == GOOD["exp"]


def test_one_of_several_audiences_is_enough():
    assert verify(signed(GOOD | {"aud": ["x", POLICY.audience[0]]}), KEYS, POLICY, NOW).subject == "reading"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"exp": int(NOW) - 6}, "expired"),
        ({"nbf": int(NOW) + 6}, "not-yet-valid"),
        ({"aud": "https://ris.invalid"}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": {"https://pacs.invalid/dicom-web": 1}}, "audience"),
        ({"iss": "https://elsewhere.invalid"}, "issuer"),
        ({"exp": "never"}, "malformed"),
        ({"exp": True}, "malformed"),
        ({"exp": None}, "malformed"),
        ({"nbf": "x"}, "malformed"),
    ],
)
def test_claims_that_do_not_hold(change, reason):
    assert refused(signed(GOOD | change)) == reason


def test_clocks_may_differ_by_the_leeway_and_no_more():
    token = signed(GOOD | {"exp": int(NOW)})
    assert verify(token, KEYS, POLICY, NOW + POLICY.leeway - 0.1)
    assert refused(token, NOW + POLICY.leeway) == "expired"


def test_what_signs_must_be_published_and_asymmetric():
    header, payload, signature = signed().split(".")
    assert refused(f"{part({'alg': 'none', 'typ': 'at+jwt'})}.{payload}.") == "algorithm"
    assert refused(f"{part({'alg': 'None', 'typ': 'at+jwt'})}.{payload}.{signature}") == "algorithm"
    confused = f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'ec'})}.{payload}"
    mac = hmac.digest(EC.as_pem(private=False), confused.encode(), "sha256")
    assert refused(f"{confused}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}") == "algorithm"
    assert refused(signed(kid="nobody")) == "key"
    assert refused(signed(kid="rsa")) == "key"  # a name of a key of another kind
    assert refused(f"{header}.{part(GOOD | {'scope': 'user/*.cruds'})}.{signature}") == "signature"
    assert refused(f"{header}.{payload}.") == "signature"
    assert refused(signed(typ="dpop+jwt")) == "type"


def test_a_critical_header_that_nobody_understands_is_refused():
    _, payload, signature = signed().split(".")
    head = {"alg": "ES256", "typ": "at+jwt", "kid": "ec", "crit": ["exp"], "exp": 1}
    assert refused(f"{part(head)}.{payload}.{signature}") == "malformed"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "x",
        "a.b",
        "a.b.c.d.e",
        "....",
        "!!!.???.***",
        f"{part([])}.{part({})}.",
        f"{part({})}.{part('x')}.",
        "e30.e30.",
        "x" * (tokens.LONGEST + 1),
        "äöü.e30.e30",
        "[" * 4000 + ".e30.e30",
        base64.urlsafe_b64encode(b"[" * 4000).decode() + ".e30.e30",
        base64.urlsafe_b64encode(b'{"a":' + b"9" * 5000 + b"}").decode().rstrip("=") + ".e30.",
    ],
)
def test_what_is_no_token_is_malformed_or_unsigned(token):
    assert refused(token) in {"malformed", "algorithm"}


def test_forgiving_one_thing_forgives_nothing_else():
    asked = []

    def forgives(reason):
        asked.append(reason)
        return reason == "expired"

    old = signed(GOOD | {"exp": int(NOW) - 600, "aud": "x"})
    with pytest.raises(TokenRefused, match="somebody else"):
        verify(old, KEYS, POLICY, NOW, forgives)
    assert verify(signed(GOOD | {"exp": int(NOW) - 600}), KEYS, POLICY, NOW, forgives).subject == "reading"
    assert asked == ["audience", "expired"]


def held(token):
    """Tell whether a token holds; base64url has spare bits at its end, so what holds must say what was signed."""
    try:
        return verify(token, KEYS, POLICY, NOW).all == GOOD
    except TokenRefused as trouble:
        return trouble.reason not in tokens.REASONS


def test_ten_thousand_changed_tokens_are_refused_and_none_takes_long():
    """Bits flipped, pieces cut, doubled and swapped: nothing but the original holds, and nothing but a refusal comes out."""
    generator = random.Random(20261124)  # noqa: S311 - the same tokens each time
    good = [signed(), signed(key=RSA)]
    alphabet = "ABCabc019-_.=+/ \x00é"
    began, refusals = time.monotonic(), 0
    for _ in range(10_000):
        token = generator.choice(good)
        for _ in range(generator.randint(1, 3)):
            at = generator.randrange(len(token))
            token = (
                generator.choice(
                    (
                        token[:at] + generator.choice(alphabet) + token[at + 1 :],
                        token[:at] + token[at + generator.randint(1, 40) :],
                        token[:at] + token[at : at + 30] * 2 + token[at + 30 :],
                        token[at:] + token[:at],
                    )
                )
                or "."
            )
        refusals += not held(token)
    assert refusals > 9_900
    assert time.monotonic() - began < 30


def test_keys_that_must_not_be_used_are_left_out():
    private, octets = EC.as_dict(private=True), {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"}
    encrypting = EC.as_dict(private=False) | {"use": "enc", "kid": "enc"}
    broken = {"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"}
    members = [private, octets, encrypting, broken, {"kty": "RSA"}, 7, EC.as_dict(private=False)]
    assert list(tokens.read_keys(json.dumps({"keys": members}).encode())) == ["ec"]


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys":{}}', b"[" * 100_000, b'{"keys":[' + b"{}," * 40 + b"{}]}"]
)
def test_what_is_no_key_set_is_said_to_be_none(document):
    with pytest.raises(RemoteProtocolError):
        tokens.read_keys(document)


def test_a_key_set_has_a_limit():
    with pytest.raises(RemoteProtocolError, match="more than"):
        tokens.read_keys(b" " * (tokens.LARGEST_SET + 1))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("patient/*.read", "patient/*.rs"),
        ("user/Observation.write", "user/Observation.cud"),
        ("system/*.*", "system/*.cruds"),
        ("user/ImagingStudy.rs", "user/ImagingStudy.rs"),
        ("user/ImagingStudy.sr", None),
        ("user/ImagingStudy.", None),
        ("user/imagingStudy.rs", None),
        ("user/Observation.rs?category=laboratory", None),
        ("openid", None),
        ("root/*.rs", None),
        ("user/*.rs user/*.c", None),
    ],
)
def test_scopes_of_both_versions(text, what):
    read = smart.Scope.parse(text)
    assert (str(read) if read else None) == what


@pytest.mark.parametrize(
    ("asked", "allowed", "granted"),
    [
        ("openid user/*.cruds", "openid user/*.rs", "openid user/*.rs"),
        ("user/*.cruds", "user/*.rs user/DiagnosticReport.cruds", "user/*.rs user/DiagnosticReport.cruds"),
        ("user/*.rs", "user/*.rs user/DiagnosticReport.cruds", "user/*.rs"),
        ("user/Patient.read", "user/*.cruds", "user/Patient.rs"),
        ("user/*.rs", "user/Patient.r user/ImagingStudy.rs", "user/ImagingStudy.rs user/Patient.r"),
        ("system/*.rs", "user/*.rs", ""),
        ("user/Patient.d", "user/Patient.rs", ""),
        ("profile", "openid", ""),
    ],
)
def test_no_more_is_granted_than_asked_for_and_allowed(asked, allowed, granted):
    assert " ".join(smart.narrow(asked.split(), allowed.split())) == granted


@pytest.mark.parametrize(
    ("root", "method", "path", "need"),
    [
        ("/dicom-web", "GET", "/studies", "ImagingStudy s"),
        ("/dicom-web", "GET", "/studies/1.2/series", "ImagingStudy s"),
        ("/dicom-web", "GET", "/studies/1.2", "ImagingStudy r"),
        ("/dicom-web", "GET", "/studies/1.2/metadata", "ImagingStudy r"),
        ("/dicom-web", "POST", "/studies", "ImagingStudy c"),
        ("/dicom-web", "DELETE", "/studies/1.2", "ImagingStudy d"),
        ("/fhir", "GET", "/Patient", "Patient s"),
        ("/fhir", "GET", "/Patient/1", "Patient r"),
        ("/fhir", "POST", "/Patient", "Patient c"),
        ("/fhir", "POST", "/Patient/_search", "Patient s"),
        ("/fhir", "PUT", "/Patient/1", "Patient u"),
        ("/fhir", "PATCH", "/Patient/1", "Patient u"),
        ("/fhir", "DELETE", "/Patient/1", "Patient d"),
        ("/fhir", "POST", "/", "* c"),
        ("/fhir", "GET", "/metadata", None),
        ("/fhir", "GET", "/.well-known/smart-configuration", None),
    ],
)
def test_what_a_request_needs(root, method, path, need):
    found = smart.need_at(root, method, path)
    assert (f"{found.what} {found.does}" if found else None) == need
