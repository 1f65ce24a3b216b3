import io
import json
from types import SimpleNamespace

import pytest

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.lab import hospital, labfile, places, quirks
from stepwedge.lab import prove as trials
from stepwedge.report import matrix, proving
from stepwedge.sim.quirks import Quirk

KNOWN, LABS = quirks.known(), places.shipped()


def lab(tmp_path, text, name="mine"):
    path = tmp_path / f"{name}.yaml"
    path.write_text(f"lab: {name}\n{text}")
    return labfile.load(path)


def quirk(needs=""):
    return Quirk("a.b", "not listed", "S1", "Habits.one", "it is seen", lambda _: True, needs)


@pytest.mark.parametrize("name", KNOWN)
def test_every_quirk_can_act_in_a_lab_that_ships(name):
    assert places.of(*KNOWN[name], LABS)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("tls.expired", "secure"),
        ("ae.accept_unknown", "secure"),
        ("queue.poison_blocks", "with-engine"),
        ("audit.no_user", "department"),
        ("mwl.keep_cancelled", "department"),
        ("log.phi", "department"),
    ],
)
def test_a_quirk_is_tried_first_where_it_can_act(name, first):
    assert places.of(*KNOWN[name], LABS)[0].file.stem == first


def test_labs_to_try_are_all_ours_and_each_offers_something_of_its_own():
    labs = LABS
    assert labs[0].file == kit.shipped() / places.FIRST
    assert not any(one.real for one in labs)
    for one in labs[1:]:
        assert places.offers(one) - places.offers(labs[0])
    assert [len(one.actors) for one in labs[1:]] == sorted(len(one.actors) for one in labs[1:])


@pytest.mark.parametrize(
    ("text", "role", "needs", "can"),
    [
        ("actors: {pacs: simulated}", "pacs", "", True),
        ("actors: {pacs: simulated}", "ris", "", False),
        ("actors: {pacs: simulated}", "any", "", True),
        ("actors: {pacs: simulated}", "any", "tls", False),
        ("actors: {pacs: simulated}\ntls: {mutual: true}", "any", "tls", True),
        ("actors: {pacs: {simulated: pacs, nodes: {hosts: [127.0.0.1]}}}", "any", "nodes", True),
        ("actors: {pacs: {simulated: pacs, audit: false}}", "any", "audit", False),
        ("actors: {pacs: simulated, log: {simulated: auditor}}", "any", "auditor", True),
        ("actors: {pacs: simulated, log: {simulated: auditor}}", "any", "log", True),
        ("actors: {pacs: {real: {dicom: dicom://PACS@127.0.0.1:11112}}}", "pacs", "", False),
        ("actors: {pacs: {real: {dicom: dicom://PACS@127.0.0.1:11112}}}", "any", "", False),
        ("actors: {ct: {simulated: modality}, pacs: {real: {web: 'http://127.0.0.1:8042'}}}", "modality", "pacs", True),
    ],
)  # fmt: skip
def test_what_a_lab_offers_stands_in_its_file(tmp_path, text, role, needs, can):
    assert places.can_act(role, quirk(needs), lab(tmp_path, text)) is can


def row(outcome):
    acted = 0 if outcome == "inconclusive" else 1
    catches = [matrix.Catch("case", "", [], "", "")] if outcome == "caught" else []
    return matrix.Row("a.b", "pacs", "DEF-1", "S1", "seen", "here", acted=acted, catches=catches)


@pytest.mark.parametrize(
    ("outcome", "tried"),
    [("caught", []), ("missed", ["clean-1", "a.b"]), ("inconclusive", ["clean-1", "a.b"])],
)
def test_a_quirk_goes_to_its_next_lab_unless_it_was_caught(tmp_path, outcome, tried):
    first, second = (lab(tmp_path, "actors: {pacs: simulated}", name) for name in ("first", "second"))
    used, ahead = [first], {"a.b": [second]}
    trial = trials.Trial(first, "a.b", 1)
    more = proving._further(trial, {"a.b": row(outcome)}, ahead, used)
    assert [one.name for one in more] == [f"second/{name}" for name in tried]
    assert proving._further(trial, {"a.b": row("missed")}, {"a.b": []}, used) == []


@pytest.mark.parametrize(
    ("now", "before", "more"),
    [("caught", "missed", True), ("missed", "inconclusive", True), ("inconclusive", "missed", False)],
)
def test_of_two_labs_the_one_that_tells_more_is_shown(now, before, more):
    assert row(now).tells_more(row(before)) is more


def untried(*, wanted):
    said = matrix.Matrix(1, clean_runs=1)
    said.rows.append(matrix.elsewhere("a.b", "engine", quirk(), wanted=wanted))
    return said


def test_what_cannot_act_in_the_lab_counts_only_when_asked_for_by_name(tmp_path):
    assert (untried(wanted=False).exit, len(untried(wanted=False).tried)) == (0, 0)
    assert (untried(wanted=True).exit, len(untried(wanted=True).tried)) == (3, 1)
    matrix.write(untried(wanted=False), tmp_path)
    (kept,) = json.loads((tmp_path / "matrix.json").read_text())["rows"]
    assert (kept["outcome"], kept["why"]) == ("elsewhere", matrix.NOT_HERE)


def test_a_case_red_in_one_lab_takes_nothing_back_in_another():
    said = matrix.Matrix(1)
    said.rows = [row("caught"), row("caught")]
    said.rows[1].lab = "there"
    said.stains = [{"lab": "there", "run": "clean-1", "case": "case", "verdict": "failed", "message": ""}]
    said.settle()
    assert [one.outcome for one in said.rows] == ["caught", "missed"]


def printed(width=200):
    from rich.console import Console

    return Console(width=width, record=True, file=io.StringIO())


def test_quirks_are_listed_with_their_labs():
    console = printed()
    proving.catalogue(console, ["tls.expired", "mwl.keep_cancelled"], None)
    said = console.export_text()
    assert all(word in said for word in ("DEF-172", "secure", "DEF-001", "department"))
    console = printed()
    proving.catalogue(console, ["tls.expired"], kit.find("fixtures/labs/default.yaml"))
    assert "not in this lab" in console.export_text()
    with pytest.raises(BadInput, match="did you mean"):
        proving.catalogue(console, ["tls.expird"], None)


class Over:
    """A run that is over."""

    process = SimpleNamespace(poll=lambda: 0)

    def stop(self):
        pass


@pytest.fixture
def prove(tmp_path, monkeypatch):
    """Return ``prove(*names, lab=None, caught={(lab, quirk)}, acted={(lab, quirk)})``: its exit code, its matrix and the runs made."""
    runs = []

    def go(*names, lab=None, caught=(), acted=()):
        def start(wish, folder):
            name = (wish.lab.stem, *wish.quirks)
            runs.append(name)
            verdict = "failed" if name in caught else "passed"
            said = [
                {"record": "run", "id": "x", "seed": wish.seed},
                {"record": "case", "case": "one", "scenario": "one"},
                {"record": "verdict", "case": "one", "verdict": verdict, "message": ""},
                {"record": "end"},
            ]
            (folder / "journal.jsonl").write_text("".join(json.dumps(one) + "\n" for one in said))
            count = int(name in caught or name in acted)
            (folder / hospital.ACTED).write_text(json.dumps(dict.fromkeys(wish.quirks, count)))
            return Over()

        monkeypatch.setattr("stepwedge.lab.launch.start", start)
        how = {"clean": 0, "seed": 1, "patience": "", "first_only": False, "keep": False}
        code = proving.prove(printed(), (), names, 1, lab=lab, folder=tmp_path / "proof", **how)
        return code, json.loads((tmp_path / "proof/matrix.json").read_text()), runs

    return go


def test_quirks_of_two_labs_are_proven_in_one_go(prove):
    both = {("department", "mwl.keep_cancelled"), ("secure", "tls.expired")}
    code, kept, runs = prove("tls.expired", "mwl.keep_cancelled", caught=both)
    assert runs == [
        ("department",),
        ("secure",),
        ("department", "mwl.keep_cancelled"),
        ("secure", "tls.expired"),
    ]
    assert (code, kept["caught"], kept["quirks"], kept["clean_runs"]) == (0, 2, 2, 2)
    assert [(row["quirk"], row["lab"]) for row in kept["rows"]] == [
        ("tls.expired", "secure"),
        ("mwl.keep_cancelled", "department"),
    ]


def test_a_quirk_that_only_a_further_lab_leads_to_is_caught_there(prove):
    further = places.of(*KNOWN["log.phi"], LABS)[1].file.stem
    code, kept, runs = prove("log.phi", caught={(further, "log.phi")})
    assert runs == [("department",), ("department", "log.phi"), (further,), (further, "log.phi")]
    assert (code, kept["rows"][0]["lab"], kept["rows"][0]["outcome"]) == (0, further, "caught")


def test_a_quirk_that_acted_and_was_caught_nowhere_is_missed_in_the_lab_where_it_acted(prove):
    code, kept, _ = prove("log.phi", acted={("department", "log.phi")})
    assert (code, kept["rows"][0]["lab"], kept["rows"][0]["outcome"]) == (1, "department", "missed")


def test_a_quirk_that_acted_nowhere_stays_inconclusive(prove):
    code, kept, runs = prove("log.phi")
    assert (code, kept["rows"][0]["outcome"]) == (3, "inconclusive")
    assert len(runs) == 2 * len(places.of(*KNOWN["log.phi"], LABS))


def test_with_a_lab_only_what_can_act_there_is_tried(prove):
    lab = kit.find("fixtures/labs/default.yaml")
    here = {name for name, known in KNOWN.items() if places.can_act(*known, labfile.load(lab))}
    code, kept, runs = prove(lab=lab, caught={("default", name) for name in here})
    assert code == 0
    assert {name for _, *name in runs for name in name} == here
    assert {row["quirk"] for row in kept["rows"] if row["outcome"] == "elsewhere"} == set(KNOWN) - here
    assert "tls.expired" not in here


def test_what_was_asked_for_by_name_and_cannot_act_in_the_lab_is_no_success(prove):
    code, kept, runs = prove("tls.expired", lab=kit.find("fixtures/labs/default.yaml"))
    assert (code, runs) == (3, [("default",)])
    assert (kept["rows"][0]["outcome"], kept["rows"][0]["why"]) == ("inconclusive", matrix.NOT_HERE)
