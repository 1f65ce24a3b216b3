import json

import pytest

from stepwedge import report
from stepwedge.errors import BadInput
from stepwedge.report import manifest, run_model, summary, timeline


def test_a_whole_run_is_read(tmp_path, sample_run):
    run = run_model.read(sample_run.write(tmp_path))
    assert not run.aborted
    assert run.counts == {"failed": 1, "broken": 0, "inconclusive": 0, "skipped": 0, "passed": 1}
    assert (run.verdict, run.exit) == ("failed", 1)
    assert len(run.cases[0].exchanges) == 13


@pytest.mark.parametrize(
    ("verdicts", "ended", "verdict", "exit_code"),
    [
        (("passed",), True, "passed", 0),
        (("passed", "skipped"), True, "passed", 0),
        (("passed", "inconclusive"), True, "inconclusive", 3),
        (("inconclusive", "broken"), True, "broken", 3),
        (("broken", "failed", "passed"), True, "failed", 1),
        (("skipped",), True, "skipped", 5),
        ((), True, "skipped", 5),
        (("passed",), False, "inconclusive", 3),
        (("passed", None), True, "inconclusive", 3),
        (("passed", None), False, "inconclusive", 3),
        (("failed", None), False, "failed", 1),
        ((), False, "inconclusive", 3),
        (("nonsense",), True, "broken", 3),
    ],
)
def test_one_case_decides_and_nothing_unknown_becomes_passed(
    tmp_path, verdicts, ended, verdict, exit_code, sample_run
):
    run = run_model.read(sample_run.write(tmp_path, verdicts=verdicts, ended=ended))
    assert (run.verdict, run.exit) == (verdict, exit_code)


def test_a_run_ended_by_ctrl_c_is_aborted(sample_run, tmp_path):
    folder = sample_run.write(tmp_path, verdicts=("passed",), ended=False)
    with (folder / "journal.jsonl").open("a") as journal:
        journal.write('{"record": "end", "exit": 2}\n')
    run = run_model.read(folder)
    assert run.aborted
    assert run.exit == 3


def test_a_run_killed_anywhere_is_aborted_and_never_passes(tmp_path, sample_run):
    whole = sample_run.write(tmp_path / "whole", verdicts=("passed", "passed"))
    data = (whole / "journal.jsonl").read_bytes()
    for at, cut in enumerate(range(1, len(data) - 1, 4001)):
        folder = tmp_path / str(at)
        folder.mkdir()
        (folder / "journal.jsonl").write_bytes(data[:cut])
        said = report.write(folder)
        assert said["aborted"]
        assert said["exit"] == 3
        assert json.loads((folder / "summary.json").read_text()) == said
        page = (folder / "report.html").read_text()
        assert page.endswith("</html>")
        assert "The run was aborted" in page
        for result in (folder / "allure-results").glob("*-result.json"):
            json.loads(result.read_text())
        unfinished = [case for case in said["cases"] if case["verdict"] == "skipped"]
        assert all("not run" in case["message"] for case in unfinished)
        assert not list(folder.glob(".*"))


def test_a_torn_line_is_told(tmp_path, sample_run):
    folder = sample_run.write(tmp_path)
    with (folder / "journal.jsonl").open("a") as journal:
        journal.write('{"record": "ver')
    assert "torn" in run_model.read(folder).torn[0]


def test_a_damaged_line_does_not_hide_the_rest(tmp_path, sample_run):
    folder = sample_run.write(tmp_path)
    lines = (folder / "journal.jsonl").read_text().splitlines()
    lines[4] = "\x00garbage"
    (folder / "journal.jsonl").write_text("\n".join(lines) + "\n")
    run = run_model.read(folder)
    assert len(run.torn) == 1
    assert len(run.cases) == 2


def test_workers_journals_are_one_run(tmp_path, sample_run):
    records = [json.dumps(record) for record in sample_run.records(verdicts=("passed", "passed"))]
    first = [line for line in records if "[v1]" not in line]
    second = [line for line in records if "[v1]" in line]
    (tmp_path / "journal.jsonl").write_text("\n".join(first) + "\n")
    (tmp_path / "journal-gw0.jsonl").write_text("\n".join(second) + "\n")
    assert run_model.read(tmp_path).counts["passed"] == 2


def test_a_follower_sees_each_record_once(tmp_path, sample_run):
    lines = [json.dumps(record) + "\n" for record in sample_run.records()]
    follower = run_model.Follower(tmp_path)
    assert follower.new() == []
    path = tmp_path / "journal.jsonl"
    path.write_text(lines[0] + lines[1][:9])
    assert len(follower.new()) == 1
    path.write_text("".join(lines))
    assert len(follower.new()) == len(lines) - 1
    assert follower.new() == []


def test_no_journal_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="journal"):
        run_model.read(tmp_path)


def test_the_summary_counts_transactions_left_out_and_rules(tmp_path, sample_run):
    said = summary.summarise(run_model.read(sample_run.write(tmp_path)))
    rows = said["transactions"]
    assert rows["RAD-1"]["exercised"] == 2
    assert rows["RAD-13"]["verdicts"] == {"failed": 1}
    assert rows["RAD-16"] == {**rows["RAD-16"], "exercised": 0, "left_out": 2}
    assert rows["RAD-10"]["exercised"] == 0
    assert said["rules"]["INV-3"]["verdicts"] == {"passed": 2}
    assert said["rules"]["INV-7"]["verdicts"] == {"not reached": 2}
    assert said["fences"] == {"proven": 2, "waited": 0}
    assert said["cases"][0]["left_out"][0]["reason"] == "the archive does not claim c-get"


def test_changed_missing_and_added_evidence_is_noticed(tmp_path, sample_run):
    folder = sample_run.write(tmp_path)
    (folder / "case").mkdir()
    (folder / "case/0001.hl7").write_text("MSH")
    (folder / "case/0002.hl7").write_text("MSH")
    report.write(folder)
    assert manifest.verify(folder) == []
    (folder / "case/0001.hl7").write_text("MSH|changed")
    (folder / "case/0002.hl7").unlink()
    (folder / "case/0003.hl7").write_text("new")
    report.write(folder)
    assert manifest.verify(folder) == [
        "case/0002.hl7: missing",
        "case/0001.hl7: changed",
        "case/0003.hl7: was not there",
    ]


def test_what_both_ends_wrote_down_is_one_arrow(sample_run):
    drawn = timeline.arrows(list(sample_run.exchanges()))
    assert [(arrow.sender, arrow.receiver, arrow.first["kind"], len(arrow.seen)) for arrow in drawn] == [
        ("ehr", "ris", "ADT^A04", 1),
        ("ehr", "ris", "OMG^O19", 1),
        ("ris", "pacs", "OMI^O23", 1),
        ("ct", "ris", "C-FIND", 1),
        ("ct", "ris", "N-CREATE", 1),
        ("ct", "pacs", "C-STORE", 3),
        ("probe", "pacs", "GET /studies?x=1", 2),
        ("probe", "pacs", "C-ECHO", 1),
    ]
    assert drawn[0].twins[0]["number"] == 3
    assert drawn[-1].trouble
