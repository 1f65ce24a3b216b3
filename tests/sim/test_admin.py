"""The admin API: acts, asks, quirks, reset, journal, and what it refuses."""

import asyncio
import json

import httpx
import pytest

JSON = {"content-type": "application/json"}


@pytest.fixture
def talk(hospital, run):
    """Run ``script(host, client)`` against two echo systems."""

    def play(script, **more):
        async def session():
            async with hospital(a={}, b={}, **more) as host:
                base = json.loads((host._state / "hospital.json").read_text())["admin"]
                async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
                    return await script(host, client)

        return run(session())

    return play


def test_an_act_returns_its_result_and_stands_in_the_journal(talk):
    async def script(host, client):
        body = {"word": "register_patient", "args": {"to": "b"}, "case": {"id": "c[1]", "seed": 5}}
        answer = (await client.post("/a/act", json=body)).json()
        kept = (
            await client.post("/b/ask", json={"what": "patient", "args": {"id": answer["result"]["id"]}})
        ).json()
        return answer["result"], kept["result"], (await client.get("/journal")).json()["exchanges"]

    result, kept, exchanges = talk(script)
    assert kept["id"] == result["id"]
    by = {(each["actor"], each["direction"], each["protocol"]): each for each in exchanges}
    assert set(by) == {("a", "out", "hl7"), ("b", "in", "hl7"), ("a", "out", "act")}
    assert by["a", "out", "act"]["case"] == by["a", "out", "hl7"]["case"] == "c[1]"
    assert by["b", "in", "hl7"]["peer"] == "a"
    for each in exchanges:
        assert each["keys"]["patient"] == [result["id"]]


def test_the_same_seed_and_case_give_the_same_patient(talk, tmp_path):
    async def script(host, client):
        body = {"word": "register_patient", "args": {"to": "b"}, "case": {"id": "c", "seed": 5}}
        return (await client.post("/a/act", json=body)).json()["result"]["id"]

    assert talk(script, state=tmp_path / "1") == talk(script, state=tmp_path / "2", seed=9)


@pytest.mark.parametrize(
    ("path", "body", "kind", "text"),
    [
        (
            "/a/act",
            {"word": "fly"},
            "broken",
            "a cannot 'fly'; it can close_doors, open_doors, register_patient",
        ),
        ("/a/act", {}, "bad input", "word: expected a text"),
        ("/a/act", {"word": "register_patient", "args": []}, "bad input", "args: expected an object"),
        ("/nobody/act", {"word": "x"}, "broken", "no simulated actor is called 'nobody'"),
        ("/a/ask", {"what": "weather"}, "broken", "a cannot be asked 'weather'"),
        ("/a/ask", {"what": "patient", "args": {"id": "?"}}, "broken", "KeyError"),
        ("/a/act", {"word": "register_patient", "args": {"to": "?"}}, "broken", "no actor is called '?'"),
        ("/a/quirks", {"active": ["desk.shout"]}, "bad input", "did you mean 'desk.shouts'"),
    ],
)
def test_trouble_has_its_word_and_a_text(talk, path, body, kind, text):
    async def script(host, client):
        return (await client.post(path, json=body)).json()["error"]

    error = talk(script)
    assert error["kind"] == kind
    assert text in error["message"]


def test_quirks_can_be_changed_while_it_runs_and_tell_how_often_they_acted(talk, admission, ask):
    async def script(host, client):
        answer = (await client.post("/a/quirks", json={"active": ["desk.shouts"]})).json()["result"]
        await ask(host, "a", admission("1", name="doe"))
        return (
            answer,
            (await client.get("/a/quirks")).json()["result"],
            host.simulators["a"].state.patients["SW1"].name,
        )

    before, after, name = talk(script)
    assert before["acted"] == {"desk.shouts": 0}
    assert after["acted"] == {"desk.shouts": 1}
    assert after["known"]["desk.shouts"]["defect"] == "DEF-000"
    assert name == "DOE"


def test_reset_forgets_everything(talk, admission, ask):
    async def script(host, client):
        await ask(host, "a", admission("1"))
        await client.post("/a/reset", json={})
        (again,) = await ask(host, "a", admission("1"))
        return (await client.post("/a/ask", json={"what": "patient", "args": {"id": "SW1"}})).json()[
            "result"
        ], again

    patient, again = talk(script)
    assert patient["heard"] == 1
    assert b"MSA|AA" in again


def test_the_journal_can_be_waited_for(talk, admission, ask):
    async def script(host, client):
        waiting = asyncio.create_task(client.get("/a/journal", params={"after": 0, "wait": 30}))
        await ask(host, "b", admission("1"))
        await ask(host, "a", admission("2"))
        (exchange,) = (await waiting).json()["exchanges"]
        none = (await client.get("/journal", params={"after": 2, "wait": 0.01})).json()
        return exchange, none

    exchange, none = talk(script)
    assert (exchange["number"], exchange["actor"]) == (2, "a")
    assert none == {"exchanges": [], "last": 2}


def test_health_and_metrics(talk):
    async def script(host, client):
        return (
            (await client.get("/health")).json(),
            (await client.get("/a/health")).json(),
            (await client.get("/metrics")).text,
        )

    health, one, metrics = talk(script)
    assert health["actors"].keys() == {"a", "b"}
    assert one["result"]["waiting"] == 0
    assert 'stepwedge_outbox_waiting{actor="a"} 0' in metrics


def test_metrics_count_what_each_system_saw(talk):
    async def script(host, client):
        await client.post(
            "/a/act", json={"word": "register_patient", "args": {"to": "b"}, "case": {"id": "c"}}
        )
        return (await client.get("/metrics")).text

    told = talk(script)
    seen = 'actor="b",protocol="hl7",direction="in",kind="ADT^A04",result="ok"'
    assert f"stepwedge_exchange_seconds_count{{{seen}}} 1" in told
    assert "process_resident_memory_bytes" in told


def test_a_foreign_page_can_neither_read_nor_command(talk):
    async def script(host, client):
        rebound = await client.get("/journal", headers={"host": "evil.example:80"})
        form = await client.post("/a/reset", content=b"{}", headers={"content-type": "text/plain"})
        broken = await client.post("/a/ask", content=b"{", headers=JSON)
        nonsense = await client.get("/journal", params={"after": "x"})
        return rebound, form, broken, nonsense

    rebound, form, broken, nonsense = talk(script)
    assert (rebound.status_code, form.status_code, nonsense.status_code) == (403, 403, 400)
    assert broken.json()["error"]["kind"] == "bad input"
