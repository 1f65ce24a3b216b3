"""The catalogue of clinical cases: what carries each, what a hole is, and which verdict counts."""

import json

import pytest
from typer.testing import CliRunner

from stepwedge.cli import app
from stepwedge.errors import BadInput
from stepwedge.report import catalogue

LISTED = """
concerns: {ORDER: order flow, LOAD: peak load}
cases:
  AAA-01: {severity: S1, concerns: [ORDER], title: an exam is ordered}
  AAA-02: {severity: S2, concerns: [ORDER], title: nobody plays it, absent: only a person sees it}
  AAA-03: {severity: S3, concerns: [ORDER], title: forgotten}
  LOD-01: {severity: S2, concerns: [LOAD], title: a busy day, load: true}
"""
SCENARIO = """
scenario: ordered
catalogue: {ids}
title: An exam is ordered
story: Somebody orders an exam.
variants: [{{id: old}}, {{id: new}}]
steps:
  - {{do: ehr.register_patient, as: patient, ihe: RAD-1}}
  - {{expect: worklist.no_entry, from: ris, where: {{PatientID: $patient.id}}, ihe: RAD-5}}
"""


@pytest.fixture
def listed(tmp_path):
    path = tmp_path / "catalogue.yaml"
    path.write_text(LISTED)
    return catalogue.read(path)


@pytest.fixture
def files(tmp_path):
    def write(ids="[AAA-01]"):
        path = tmp_path / "ordered.yaml"
        path.write_text(SCENARIO.format(ids=ids))
        return [catalogue.load_scenario(path)]

    return write


def run(folder, name, started, **cases):
    (folder / name).mkdir(parents=True)
    told = [{"case": f"ordered[{variant}]", "verdict": verdict} for variant, verdict in cases.items()]
    (folder / name / "summary.json").write_text(json.dumps({"started": started, "cases": told}))


def by_id(listed, files, came_out=None):
    return {row.id: row for row in catalogue.rows(listed, files, came_out or {})}


def test_what_a_scenario_names_is_carried_with_its_variants_and_transactions(listed, files):
    row = by_id(listed, files())["AAA-01"]
    assert row.cases == ("ordered[old]", "ordered[new]")
    assert row.transactions == ("RAD-1", "RAD-5")
    assert (row.hole, row.verdict) == (False, catalogue.NOT_RUN)


def test_what_nothing_carries_is_a_hole_with_or_without_a_reason(listed, files):
    found = by_id(listed, files())
    assert [id_ for id_, row in found.items() if row.hole] == ["AAA-02", "AAA-03"]
    assert catalogue.exit_code(found.values()) == 1
    told = catalogue.as_json(listed, list(found.values()))
    assert told["exit"] == 1
    assert [one["absent"] for one in told["cases"]] == [
        "",
        "only a person sees it",
        "no scenario names it",
        "",
    ]


def test_a_catalogue_without_a_hole_is_0_and_load_needs_no_scenario(listed, files):
    found = by_id(listed, files("[AAA-01, AAA-02, AAA-03]"))
    assert catalogue.exit_code(found.values()) == 0


def test_an_id_of_no_case_is_bad_input(listed, files):
    with pytest.raises(BadInput, match="AAA-99"):
        by_id(listed, files("[AAA-99]"))


@pytest.mark.parametrize(
    ("cases", "verdict"),
    [
        ({"old": "passed", "new": "passed"}, "passed"),
        ({"old": "passed", "new": "failed"}, "failed"),
        ({"old": "skipped", "new": "passed"}, "passed"),
        ({"old": "inconclusive", "new": "passed"}, "inconclusive"),
        ({"old": "skipped", "new": "skipped"}, "skipped"),
        ({"old": "nonsense", "new": "passed"}, "nonsense"),
    ],
)
def test_the_worst_variant_decides(listed, files, tmp_path, cases, verdict):
    run(tmp_path / "runs", "one", "2026-01-01", **cases)
    assert by_id(listed, files(), catalogue.verdicts(tmp_path / "runs"))["AAA-01"].verdict == verdict


def test_the_last_run_that_played_a_case_counts(listed, files, tmp_path):
    runs = tmp_path / "runs"
    run(runs, "b", "2026-01-01", old="failed", new="passed")
    run(runs, "a", "2026-01-02", old="passed", new="passed")
    run(runs, "c", "2026-01-03", old="skipped", new="skipped")
    (runs / "torn").mkdir()
    (runs / "torn" / "summary.json").write_text("{")
    assert catalogue.verdicts(runs) == {"ordered[old]": ("passed", "a"), "ordered[new]": ("passed", "a")}


def test_a_list_that_is_none_says_where(tmp_path):
    path = tmp_path / "catalogue.yaml"
    path.write_text("concerns: {}\ncases: {AAA-01: {severity: S9, concerns: [X], title: t}}\n")
    with pytest.raises(BadInput, match=r"AAA-01\.severity"):
        catalogue.read(path)
    path.write_text("concerns: {}\ncases: {AAA-01: {severity: S1, concerns: [X], title: t}}\n")
    with pytest.raises(BadInput, match="X"):
        catalogue.read(path)


def test_what_ships_is_whole():
    """Every id of a shipped scenario is in the shipped list; twelve cases are of volume; who is absent is carried by none."""
    shipped = catalogue.read()
    assert len(shipped.cases) == 308
    assert sum(entry.load for entry in shipped.cases.values()) == 12
    found = catalogue.rows(shipped, catalogue.scenarios(), {})
    assert not [row.id for row in found if row.entry.absent and row.files]


def test_the_command_says_it_all(tmp_path):
    told = CliRunner().invoke(app, ["matrix", str(tmp_path / "runs" / "latest"), "--catalogue", "--json"])
    said = json.loads(told.stdout)
    assert told.exit_code == said["exit"] == int(any(one["absent"] for one in said["cases"]))
    plain = CliRunner().invoke(app, ["matrix", str(tmp_path / "runs" / "latest"), "--catalogue"])
    assert "308 cases" in plain.stdout
    assert plain.exit_code == told.exit_code
