import json
import subprocess
import sys

import pytest

from stepwedge import kit
from stepwedge.errors import BadInput
from stepwedge.lab import hospital, prove, quirks
from stepwedge.report import matrix
from stepwedge.sim.quirks import Quirk

QUIRK = Quirk(
    "mwl.keep_cancelled", "DEF-001", "S1", "RisHabits.offers", "the scanner still lists it", lambda _: True
)


def records(verdict, *, rule=False, step=True):
    """Return the journal of a run with one case."""
    case = "cancel-after-worklist[before-start]"
    yield {"record": "run", "id": "x", "seed": 1}
    yield {"record": "case", "case": case, "scenario": "cancel-after-worklist"}
    exchange = {
        "number": 4,
        "actor": "probe",
        "peer": "ris",
        "direction": "out",
        "protocol": "dimse",
        "kind": "C-FIND",
    }
    yield {"record": "exchange", "case": case, "exchange": exchange}
    if step:
        yield {
            "record": "step", "case": case, "kind": "expect", "word": "worklist.no_entry", "verdict": verdict,
            "differences": [{"path": "worklist", "expected": "no entry", "found": "entry SW1"}], "evidence": [4],
        }  # fmt: skip
    if rule:
        yield {
            "record": "rule", "case": case, "rule": "INV-8", "verdict": "failed", "reached": 1,
            "differences": [{"path": "state", "expected": "CANCELED", "found": "SCHEDULED"}],
        }  # fmt: skip
    yield {"record": "verdict", "case": case, "verdict": verdict, "message": "it said so"}
    yield {"record": "end"}


def run(folder, acted, *args, **how):
    (folder / "state").mkdir(parents=True)
    (folder / "journal.jsonl").write_text(
        "".join(json.dumps(record) + "\n" for record in records(*args, **how))
    )
    if acted is not None:
        (folder / "state" / hospital.ACTED).write_text(json.dumps({QUIRK.name: acted}))
    return folder


def row(folder):
    return matrix.row(QUIRK.name, "ris", QUIRK, "department", folder)


def test_a_quirk_is_caught_by_the_case_it_turns_red(tmp_path):
    said = row(run(tmp_path / "a", 3, "failed", rule=True))
    assert said.outcome == "caught"
    assert said.acted == 3
    assert said.steps == ["expect worklist.no_entry"]
    assert said.rules == ["INV-8"]
    assert said.catches[0].sign == "worklist: expected no entry, found entry SW1"
    assert said.catches[0].message == "#0004 C-FIND probe → ris"


def test_a_standing_rule_alone_catches(tmp_path):
    said = row(run(tmp_path / "a", 1, "failed", rule=True, step=False))
    assert (said.outcome, said.steps, said.rules) == ("caught", [], ["INV-8"])
    assert said.catches[0].sign == "state: expected CANCELED, found SCHEDULED"


@pytest.mark.parametrize("verdict", ["passed", "inconclusive", "skipped"])
def test_only_a_failed_case_catches(tmp_path, verdict):
    assert row(run(tmp_path / "a", 3, verdict)).outcome == "missed"


def test_a_broken_run_says_why_nobody_can_tell(tmp_path):
    said = row(run(tmp_path / "a", 3, "broken"))
    assert (said.outcome, said.why) == ("inconclusive", "it said so")


@pytest.mark.parametrize("acted", [0, None])
def test_a_quirk_that_never_acted_proves_nothing(tmp_path, acted):
    said = row(run(tmp_path / "a", acted, "failed"))
    assert said.outcome == "inconclusive"
    assert "never acted" in said.why


def test_a_run_that_never_began_proves_nothing(tmp_path):
    assert row(tmp_path).outcome == "inconclusive"


def proof(tmp_path, quirk_verdict, clean_verdict, acted=1):
    said = matrix.Matrix(1)
    matrix.add_clean(said, "department", run(tmp_path / "clean-1", None, clean_verdict))
    said.rows.append(row(run(tmp_path / QUIRK.name, acted, quirk_verdict)))
    said.settle()
    return said


@pytest.mark.parametrize(
    ("quirk", "clean", "acted", "code"),
    [
        ("failed", "passed", 1, 0),
        ("passed", "passed", 1, 1),
        ("failed", "passed", 0, 3),
        ("failed", "failed", 1, 1),
        ("failed", "inconclusive", 1, 1),
    ],
)
def test_only_all_caught_and_spotless_is_zero(tmp_path, quirk, clean, acted, code):
    assert proof(tmp_path, quirk, clean, acted).exit == code


def test_a_case_that_is_red_without_quirks_catches_nothing(tmp_path):
    said = proof(tmp_path, "failed", "failed")
    assert said.rows[0].outcome == "missed"
    assert said.caught == 0


def test_the_matrix_is_written_and_leaves_nothing_out(tmp_path):
    said = proof(tmp_path, "failed", "passed")
    matrix.write(said, tmp_path)
    kept = json.loads((tmp_path / "matrix.json").read_text())
    assert (kept["exit"], kept["caught"], kept["quirks"]) == (0, 1, 1)
    assert kept["rows"][0]["catches"][0]["case"] == "cancel-after-worklist[before-start]"
    page = (tmp_path / "matrix.html").read_text()
    assert "1 of 1 quirks caught" in page
    assert "http" not in page.replace("http-equiv", "")


def test_every_quirk_names_a_defect_of_its_own_and_who_would_notice():
    every = quirks.known()
    assert len(every) >= 20
    assert {role for role, _ in every.values()} >= {"ris", "pacs", "modality"}
    for name, (_, quirk) in every.items():
        assert name == quirk.name
        assert (
            quirk.defect.startswith("DEF-") or quirk.defect == "not listed"
        )  # in the defect catalogue, or beyond it
        assert quirk.notices


def test_an_unknown_quirk_is_answered_with_the_nearest():
    with pytest.raises(BadInput, match=r"did you mean .mwl\.keep_cancelled."):
        quirks.chosen(["mwl.keep_canceled"])


def test_one_quirk_is_proven_from_the_command_line(tmp_path):
    command = [
        sys.executable,
        "-m",
        "stepwedge",
        "prove",
        str(kit.find("scenarios/cancel")),
        "--quirk",
        "mwl.keep_cancelled",
    ]
    done = subprocess.run(
        [*command, "--evidence", str(tmp_path / "proof"), "-n", "2"],
        cwd=kit.shipped(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kept = json.loads((tmp_path / "proof/matrix.json").read_text())
    assert kept["clean_runs"] == 1
    assert kept["rows"][0]["acted"] > 0
    assert kept["rows"][0]["catches"][0]["step"] == "expect worklist.no_entry"


def test_of_a_run_that_came_out_as_it_should_the_telling_messages_stay(tmp_path):
    run(tmp_path, 1, "failed")
    for name in ("state", "telling[one]", "other"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "0001.hl7").write_text("MSH")
    prove.thin(tmp_path, {"telling[one]"})
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"telling[one]"}
    assert (tmp_path / "telling[one]" / "0001.hl7").exists()
    assert (tmp_path / "journal.jsonl").exists()


def test_a_proof_that_was_given_up_is_no_proof(tmp_path):
    said = proof(tmp_path, "failed", "passed")
    said.left = 1
    assert said.exit == 3
