"""Web doors that ask for tokens, and systems that get theirs."""

from __future__ import annotations

import time

import httpx
import pytest

from stepwedge.actors.wallet import Wallet
from stepwedge.errors import BadInput, LinkLost
from stepwedge.sim.bearer import Wish
from stepwedge.sim.simulator import Case

TOKENS = {"issuer": "idp"}
LOCK = {"tokens": TOKENS}


def doors(**more):
    return {"idp": dict(LOCK), "pacs": {**LOCK, **more}, "reader": dict(LOCK)}


def get(host, token, *extra, path="/studies"):
    headers = [("Authorization", f"Bearer {token}")] if token else []
    with httpx.Client(trust_env=False) as client:
        return client.get(host.directory["pacs"].web + path, headers=[*headers, *extra])


def seen(host, actor, kind, count):
    """Return the exchanges of a kind once there are so many: an answer without a body is over when its head is."""
    deadline = time.monotonic() + 10
    while True:
        found = [one for one in host.journal.after(0) if (one.actor, one.kind) == (actor, kind)]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.005)


def find(host):
    return host.run(host.simulators["reader"].act("find_study", {"door": "qido-rs"}, Case("case", 1)))


def test_a_system_of_the_lab_gets_itself_a_token_and_keeps_it(town):
    with town(**doors()) as host:
        assert find(host)["count"] == find(host)["count"] == 0
        kinds = [(one.actor, one.kind) for one in host.journal.after(0) if one.direction == "out"]
        assert kinds.count(("reader", "POST /token")) == 1
        assert kinds.count(("reader", "GET /studies")) == 2
        assert kinds.count(("pacs", "POST /introspect")) == 2
        assert kinds.count(("pacs", "GET /jwks")) == 1


def test_a_token_that_was_revoked_is_replaced_once_without_anybody_noticing(town):
    with town(**doors()) as host:
        find(host)
        realm = host.simulators["idp"].state

        async def revoke():
            with host.simulators["idp"].bench.change(realm):
                for name in list(realm.grants):
                    realm.revoke(name)

        host.run(revoke())
        assert find(host)["count"] == 0
        assert [one.outcome for one in seen(host, "pacs", "GET /studies", 3)] == ["204", "401", "204"]


def test_the_journal_says_who_asked_and_never_with_what(town):
    with town(**doors()) as host:
        purse = Wallet("idp", host.directory["idp"].web, 7)
        token = purse.sign_in("reading", resource=host.directory["pacs"].web).access
        assert get(host, token).status_code == 204
        (asked,) = seen(host, "pacs", "GET /studies", 1)
        assert asked.facts["user"] == "reading"
        assert token not in host.journal.path.read_text()


def test_refusals_say_what_is_missing(town):
    with town(**doors()) as host:
        assert get(host, "").headers["www-authenticate"] == 'Bearer realm="pacs"'
        assert get(host, "x.y.z").status_code == 401
        twice = get(host, "x.y.z", ("Authorization", "Bearer y"))
        assert twice.status_code == 400
        assert 'error="invalid_request"' in twice.headers["www-authenticate"]
        query = get(host, "", path="/studies?access_token=x.y.z")
        assert query.status_code == 401  # tokens in URLs end in logs (RFC 9700 section 4.3.2)
        assert get(host, "x" * 9000).status_code in {401, 431, 400}
        assert (
            get(host, "", path="/nothing").status_code == 401
        )  # whether something is there is nobody's business


def test_nobody_is_let_in_while_nobody_can_judge(town):
    with town(**doors()) as host:
        purse = Wallet("idp", host.directory["idp"].web, 7)
        token = purse.bearer(host.directory["pacs"].web)
        assert get(host, token).status_code == 204
        host.run(host.simulators["idp"].doors[0].stop())
        answer = get(host, token)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        with pytest.raises(LinkLost):
            find(host)


def test_without_introspection_a_token_holds_until_it_ends(town):
    with town(**doors(tokens={**TOKENS, "introspect": False})) as host:
        purse = Wallet("idp", host.directory["idp"].web, 7)
        token = purse.fetch("system/*.rs", host.directory["pacs"].web).access
        with purse.oidc(purse.program()) as program:
            program.revoke(token)
        assert get(host, token).status_code == 204
        host.run(host.simulators["idp"].doors[0].stop())
        assert get(host, token).status_code == 204


def test_roles_are_as_the_lab_says(town):
    rights = {"referrer": "Patient.rs"}
    lab = doors(tokens={**TOKENS, "roles": rights})
    with town(**lab) as host:
        purse = Wallet("idp", host.directory["idp"].web, 7)
        token = purse.sign_in("referring", resource=host.directory["pacs"].web).access
        answer = get(host, token)
        assert answer.status_code == 403
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_a_lab_without_tokens_asks_nobody(town):
    with town(pacs={}, reader={}) as host:
        assert get(host, "").status_code == 204
        assert get(host, "x.y.z").status_code == 204
        assert find(host)["count"] == 0


@pytest.mark.parametrize("given", [7, "idp", {}, {"audience": "x"}, {"issuer": "idp", "strict": True}])
def test_settings_that_cannot_be_used_say_so(given):
    if not given:
        assert Wish.read(given, "pacs") is None
        return
    with pytest.raises(BadInput, match="issuer"):
        Wish.read(given, "pacs")
