"""One case from its first step to its verdict, against a hospital without a wire."""

from __future__ import annotations

import json
import re
import time

import pytest

from stepwedge.checks.difference import Difference
from stepwedge.checks.rules import Finding
from stepwedge.checks.rules.rule import Rule
from stepwedge.errors import Broken, Failed, Inconclusive, LinkLost, Refused

ORDER = """\
  - given: ehr.register_patient
    as: patient
  - do: ehr.place_order
    with: {patient: $patient, procedure: CTCHEST}
    as: order
"""
HEARD = """\
  - expect: message.received
    at: pacs
    where: {type: OMI^O23, accession: $order.accession}
    is: {control: NW}
    within: 2s
    ihe: RAD-4
"""
HEAD = "scenario: sample\ntitle: A sample\nstory: Nothing much happens.\n"


def records(journal, kind):
    return [one for one in journal if one["record"] == kind]


def verdicts(journal):
    return [one["verdict"] for one in records(journal, "step")]


def test_a_case_that_passes(play):
    ending, journal = play(ORDER + HEARD)
    assert (ending.verdict, ending.message) == ("passed", "")
    assert verdicts(journal) == ["passed", "passed", "passed"]
    assert [one["kind"] for one in records(journal, "step")] == ["given", "do", "expect"]
    assert [one["title"] for one in records(journal, "step")] == [
        "Register a patient", "Order an imaging procedure", "The message arrives",
    ]  # fmt: skip
    assert [one["ihe"] for one in records(journal, "step")] == ["RAD-1", "RAD-2", "RAD-4"]


def test_evidence_is_in_the_journal_before_the_step_that_judges_it(play, tmp_path):
    _, journal = play(ORDER + HEARD)
    kinds = [one["record"] for one in journal]
    last = max(at for at, one in enumerate(journal) if one["record"] == "exchange")
    assert last < max(at for at, one in enumerate(journal) if one["record"] == "step")
    assert kinds[0] == "case"
    assert kinds[-1] == "verdict"
    for one in records(journal, "exchange"):
        exchange = one["exchange"]
        if exchange["protocol"] == "hl7":
            assert (tmp_path / "run" / exchange["request"]["file"]).read_bytes().startswith(b"MSH|")
            assert exchange["request"]["file"] == f"sample/{exchange['number']:04}.hl7"
    assert [one["exchange"]["number"] for one in records(journal, "exchange")] == list(range(1, 8))


def test_the_failure_text(play, hospital):
    hospital.words["cancel_order"] = lambda args, case: {"control": "UC"}
    text = HEARD.replace("control: NW", "control: {one_of: [CA, OC, DC]}").replace("2s", "200ms")
    ending, journal = play(ORDER + text, patience=1.0)
    assert ending.verdict == "failed"
    lines = ending.message.splitlines()
    assert re.fullmatch(
        r"FAILED \S*scenarios/sample\.yaml:10  expect message\.received     gave up after 0\.2 s, \d+ looks?",
        lines[0],
    )
    said = {line[2:11].strip(): line[12:] for line in lines[1:]}
    assert said["at"] == "pacs (simulated)  HL7 127.0.0.1:2576"
    assert re.fullmatch(r"type = OMI\^O23 · accession = A\d+", said["where"])
    assert said["expected"] == "control one of CA, OC, DC"
    assert re.fullmatch(r"#\d{4} OMI\^O23, \d\.\d s after register_patient: control = NW", said["closest"])
    assert said["standard"] == "RAD-4 Procedure Scheduled"
    assert re.fullmatch(r"\S*run/sample/\d{4}\.hl7", said["evidence"])
    assert re.fullmatch(r"stepwedge run \S*scenarios/sample\.yaml --seed 4171", said["replay"])
    step = records(journal, "step")[-1]
    assert step["differences"] == [{"path": "control", "expected": "one of CA, OC, DC", "found": "NW"}]
    assert records(journal, "verdict")[0]["message"] == ending.message


def test_what_comes_late_is_waited_for_and_measured(play, hospital):
    hospital.loses.add("pacs")
    hospital.words["place_order"] = lambda args, case: late(hospital, args, case)
    ending, journal = play(ORDER + HEARD, patience=1.0)
    assert ending.verdict == "passed"
    step = records(journal, "step")[-1]
    assert 0.05 < step["took"] < 1.0
    assert step["within"] == 2.0
    assert step["looks"] >= 2


def late(hospital, args, case):
    order = hospital.place_order(args, case)
    hospital.message(
        "pacs", "OMI^O23", after=0.1, patient=order["patient"], placer=order["placer"],
        accession=order["accession"], control="NW",
    )  # fmt: skip
    return order


def test_what_never_comes_is_failed_and_the_rest_not_reached(play, hospital):
    hospital.loses.add("pacs")
    ending, journal = play(ORDER + HEARD + "  - {do: ehr.cancel_order, with: {order: $order}}\n")
    assert ending.verdict == "failed"
    assert "closest   #0002 ADT^A04: type = ADT^A04" in ending.message
    assert verdicts(journal) == ["passed", "passed", "failed", "skipped"]
    assert records(journal, "step")[-1]["left_out"] == "not reached: an earlier step did not pass"


@pytest.mark.parametrize(
    ("trouble", "done", "given"),
    [
        (Refused("AE: no such procedure"), "failed", "broken"),
        (Failed("wrong"), "failed", "broken"),
        (Inconclusive("no answer"), "inconclusive", "broken"),
        (LinkLost("gone"), "inconclusive", "broken"),
        (Broken("our fault"), "broken", "broken"),
        (KeyError("bug"), "broken", "broken"),
    ],
)
def test_trouble_while_acting(play, hospital, trouble, done, given):
    def fail(args, case):
        raise trouble

    hospital.words["place_order"] = fail
    ending, _ = play(ORDER + HEARD)
    assert ending.verdict == done
    assert str(trouble) in ending.message
    assert "sample.yaml:7  do ehr.place_order" in ending.message
    ending, _ = play(ORDER.replace("- do:", "- given:") + HEARD)
    assert ending.verdict == given


def test_an_expectation_inside_given_only_arranges(play, hospital, tmp_path):
    flows = tmp_path / "scenarios" / "_flows"
    flows.mkdir(parents=True)
    inner = HEARD.replace("$order", "$order")
    (flows / "ordered.yaml").write_text(
        f"flow: ordered\ntitle: x\ngives: {{order: $order}}\nsteps:\n{ORDER}{inner}"
    )
    ending, _ = play("  - {given: flow.ordered, as: {order: order}}\n" + HEARD)
    assert ending.verdict == "passed"
    ending, journal = play("  - {given: flow.ordered, as: {order: order}}\n")
    assert ending.verdict == "skipped"
    hospital.loses.add("pacs")
    ending, journal = play("  - {given: flow.ordered, as: {order: order}}\n" + HEARD)
    assert ending.verdict == "broken"
    assert "ordered.yaml:10  expect message.received" in ending.message
    assert "inside    " in ending.message
    assert {one["flow"] for one in records(journal, "step")} == {"flow.ordered", ""}


class TestReply:
    def test_an_answer_that_is_asked_for_may_be_a_refusal(self, play, hospital):
        def refuse(args, case):
            hospital.note("ehr", "hl7", "OMG^O19", case=case["id"], outcome="AE")
            from dataclasses import replace

            hospital.log[-1] = replace(hospital.log[-1], direction="out")
            raise Refused("AE: unknown procedure")

        good = ORDER + HEARD
        refused = "  - {do: ehr.cancel_order, with: {order: $order}, reply: {outcome: AE, text: {matches: .*unknown.*}}}\n"
        hospital.words["cancel_order"] = refuse
        assert play(good + refused)[0].verdict == "passed"
        ending, _ = play(good + refused.replace("outcome: AE", "outcome: AR"))
        assert ending.verdict == "failed"
        assert "expected  outcome = AR" in ending.message
        assert "found     outcome: expected AR, found AE" in ending.message

    def test_success_is_not_the_refusal_that_was_asked_for(self, play):
        ending, _ = play(
            ORDER + HEARD + "  - {do: ehr.cancel_order, with: {order: $order}, reply: {outcome: AE}}\n"
        )
        assert ending.verdict == "failed"

    def test_a_result_can_be_asked_for(self, play):
        ending, _ = play(
            ORDER + HEARD + "  - {do: ehr.cancel_order, with: {order: $order}, reply: {control: CR}}\n"
        )
        assert ending.verdict == "passed"

    def test_a_lost_answer_is_no_refusal(self, play, hospital):
        def lose(args, case):
            raise LinkLost("gone")

        hospital.words["cancel_order"] = lose
        ending, _ = play(
            ORDER + HEARD + "  - {do: ehr.cancel_order, with: {order: $order}, reply: {outcome: AE}}\n"
        )
        assert ending.verdict == "inconclusive"


class TestVariantsAndConditions:
    HEAD = HEAD + "variants:\n  - {id: stays, cancel: false}\n  - {id: goes, cancel: true}\n"
    STEPS = (
        ORDER
        + "  - {when: $cancel, do: ehr.cancel_order, with: {order: $order}, as: gone}\n"
        + "  - {when: not $cancel, expect: message.received, at: pacs, where: {control: NW}}\n"
        + "  - {when: $cancel, expect: message.received, at: pacs, where: {control: CA}}\n"
    )

    @pytest.mark.parametrize(("variant", "words"), [(0, 2), (1, 3)])
    def test_a_variant_takes_its_own_steps(self, play, hospital, variant, words):
        ending, journal = play(self.STEPS, self.HEAD, variant=variant)
        assert ending.verdict == "passed"
        assert len(hospital.told) == words
        assert len(verdicts(journal)) == words + 1
        assert hospital.told[0][1] == ["sample[stays]", "sample[goes]"][variant]

    @pytest.mark.parametrize(("variant", "verdict"), [(0, "passed"), (1, "skipped")])
    def test_a_variant_names_the_actor_that_acts(self, play, hospital, variant, verdict):
        head = HEAD + "variants:\n  - {id: here, who: ehr}\n  - {id: nowhere, who: elsewhere}\n"
        ending, _ = play(ORDER.replace("ehr.place_order", "$who.place_order") + HEARD, head, variant=variant)
        assert ending.verdict == verdict
        if verdict == "passed":
            assert [word for word, _, _ in hospital.told] == ["register_patient", "place_order"]
        else:
            assert ending.message == "nobody plays elsewhere in this lab"

    def test_an_argument_that_is_null_is_left_out(self, play, hospital):
        play(ORDER.replace("as: patient", "with: {name: null}\n    as: patient") + HEARD)
        assert hospital.told[0][2] == {}


class TestLeftOut:
    def test_a_scenario_that_is_not_claimed_is_skipped(self, play, hospital):
        ending, journal = play(
            ORDER + HEARD, HEAD + "requires: [mwl]\n", cast=hospital.cast(claims=frozenset({"orders"}))
        )
        assert (ending.verdict, ending.message) == ("skipped", "not claimed: mwl")
        assert not hospital.told
        assert not records(journal, "step")

    def test_a_step_that_is_not_claimed_is_left_out_and_what_needs_it_too(self, play, hospital):
        steps = (
            ORDER
            + HEARD
            + "  - {do: ehr.cancel_order, with: {order: $order}, as: gone, requires: mpps}\n"
            + "  - {expect: result, where: {of: $gone.control}, is: CR}\n"
        )
        ending, journal = play(steps, cast=hospital.cast(claims=frozenset({"orders"})))
        assert ending.verdict == "passed"
        assert verdicts(journal) == ["passed", "passed", "passed", "skipped", "skipped"]
        assert [one["left_out"] for one in records(journal, "step")][3:] == [
            "not claimed: mpps", "needs $gone, which line 16 left out",
        ]  # fmt: skip
        assert records(journal, "verdict")[0]["left_out"] == [
            "not claimed: mpps",
            "needs $gone, which line 16 left out",
        ]

    def test_a_scenario_of_which_nothing_is_judged_is_skipped(self, play, hospital):
        ending, _ = play(
            ORDER + HEARD.rstrip() + "\n    requires: mpps\n",
            cast=hospital.cast(claims=frozenset({"orders"})),
        )
        assert ending.verdict == "skipped"
        assert ending.message == "nothing was judged: not claimed: mpps"

    def test_the_journal_of_a_real_system_cannot_be_seen(self, play, hospital):
        ending, journal = play(ORDER + HEARD, cast=hospital.cast(real={"pacs"}))
        assert ending.verdict == "skipped"
        assert records(journal, "step")[-1]["left_out"] == "what pacs receives cannot be seen: it is real"

    def test_a_word_that_only_a_real_system_could_do(self, play, hospital):
        ending, _ = play(ORDER + HEARD, cast=hospital.cast(real={"ehr"}))
        assert ending.verdict == "skipped"
        assert ending.message == "ehr is real here, and only it can register a patient"

    def test_an_actor_that_nobody_plays(self, play, hospital):
        cast = hospital.cast()
        del cast.players["pacs"]
        ending, _ = play(ORDER + HEARD, cast=cast)
        assert (ending.verdict, ending.message) == ("skipped", "nobody plays pacs in this lab")

    def test_a_word_that_needs_a_claim(self, play, hospital):
        ending, _ = play(ORDER + HEARD, cast=hospital.cast(claims=frozenset({"mwl"})))
        assert ending.verdict == "skipped"
        assert ending.message.startswith(
            "nothing was judged: not claimed: orders; needs $order, which line 7 left out"
        )


NEVER = """\
  - never: message.received
    at: ehr
    where: {type: ORU^R01, accession: $order.accession}
    for: 2s
"""


class TestNever:
    def test_a_fence_proves_it_without_waiting(self, play, hospital):
        started = time.monotonic()
        ending, journal = play(ORDER + NEVER, patience=1.0)
        assert ending.verdict == "passed"
        assert time.monotonic() - started < 1.0
        assert records(journal, "step")[-1]["fenced"] is True
        assert records(journal, "verdict")[0]["fences"] == {"proven": 1, "waited": 0}

    def test_the_marker_is_no_part_of_the_case(self, play, hospital):
        _, journal = play(ORDER + NEVER)
        assert [case for _, case, _ in hospital.told] == ["sample", "sample", "sample/fence", "sample/fence"]
        assert len(records(journal, "exchange")) == 7

    def test_what_happens_before_the_fence_is_seen(self, play, hospital):
        def cancel(args, case):
            hospital.message(
                "ehr", "ORU^R01", patient=args["order"]["patient"], accession=args["order"]["accession"]
            )
            return {"control": "CR"}

        hospital.words["cancel_order"] = cancel
        ending, _ = play(ORDER + "  - {do: ehr.cancel_order, with: {order: $order}}\n" + NEVER)
        assert ending.verdict == "failed"
        assert "never message.received     it happened" in ending.message
        assert "closest   #0008 ORU^R01" in ending.message

    def test_what_overtakes_the_look_is_seen_behind_the_fence(self, play, hospital):
        placed = []

        def place(args, case):
            if case["id"].endswith("/fence"):  # the suspect was on its way before the marker
                hospital.message(
                    "ehr", "ORU^R01", patient=placed[0]["patient"], accession=placed[0]["accession"]
                )
            placed.append(hospital.place_order(args, case))
            return placed[-1]

        hospital.words["place_order"] = place
        assert play(ORDER + NEVER)[0].verdict == "failed"

    def test_a_marker_that_never_comes_leaves_everything_open(self, play, hospital):
        hospital.loses.add("ehr")
        ending, _ = play(ORDER + NEVER)
        assert ending.verdict == "inconclusive"
        assert "never arrived at ehr" in ending.message

    def test_a_marker_that_is_refused_leaves_it_to_the_clock(self, play, hospital):
        def place(args, case):
            if case["id"].endswith("/fence"):
                raise Refused("AE: no such procedure")
            return hospital.place_order(args, case)

        hospital.words["place_order"] = place
        started = time.monotonic()
        ending, journal = play(ORDER + NEVER, patience=0.1)
        assert ending.verdict == "passed"
        assert time.monotonic() - started > 0.2
        assert records(journal, "step")[-1]["fenced"] is False
        assert records(journal, "verdict")[0]["fences"] == {"proven": 0, "waited": 1}

    def test_where_there_is_no_fence_the_clock_decides(self, play, hospital):
        never = "  - never: result\n    where: {of: $order.status}\n    is: cancelled\n    for: 100ms\n"
        ending, journal = play(ORDER + never, patience=1.0)
        assert ending.verdict == "passed"
        assert records(journal, "step")[-1]["fenced"] is False


class TestRules:
    def rule(self, monkeypatch, *findings):
        found = iter(findings)
        last = findings[-1]

        def find(facts):
            value = next(found, last)
            if isinstance(value, Exception):
                raise value
            return value

        monkeypatch.setattr(
            "stepwedge.scenario.run.rules", lambda: [Rule("INV-0", "all is well", "PS3.4", find)]
        )

    RED = Finding([Difference("accession", "A1", "A2")], 1)

    @pytest.mark.parametrize(
        ("finding", "verdict"),
        [
            (Finding(reached=3), "passed"),
            (Finding(), "passed"),
            (RED, "failed"),
            (Finding(unsure="link lost"), "inconclusive"),
            (KeyError("bug"), "broken"),
        ],
    )
    def test_a_rule_counts(self, play, monkeypatch, finding, verdict):
        self.rule(monkeypatch, finding)
        ending, journal = play(ORDER + HEARD)
        assert ending.verdict == verdict
        (record,) = records(journal, "rule")
        assert record["rule"] == "INV-0"
        assert ("rule INV-0     all is well" in ending.message) == (verdict != "passed")

    def test_a_rule_not_reached_is_neither_good_nor_bad(self, play, monkeypatch):
        self.rule(monkeypatch, Finding())
        _, journal = play(ORDER + HEARD)
        (record,) = records(journal, "rule")
        assert (record["verdict"], record["reached"]) == ("skipped", 0)

    def test_what_still_arrives_may_turn_a_rule_green(self, play, monkeypatch):
        self.rule(monkeypatch, self.RED, Finding(reached=1))
        assert play(ORDER + HEARD, patience=1.0)[0].verdict == "passed"

    def test_rules_are_applied_after_a_failure_too(self, play, monkeypatch, hospital):
        self.rule(monkeypatch, Finding(reached=1))
        hospital.loses.add("pacs")
        ending, journal = play(ORDER + HEARD)
        assert ending.verdict == "failed"
        assert records(journal, "rule")

    def test_a_case_cut_short_cannot_be_failed_by_a_rule(self, play, monkeypatch, hospital):
        self.rule(monkeypatch, self.RED)

        def lose(args, case):
            raise LinkLost("gone")

        hospital.words["place_order"] = lose
        assert play(ORDER + HEARD)[0].verdict == "inconclusive"


def test_a_dead_hospital_is_broken_whenever_it_dies(play, hospital):
    def die(args, case):
        hospital.dead = True
        raise Broken("the simulated system cannot be reached")

    for word in ("register_patient", "place_order"):
        hospital.words[word] = die
        hospital.dead = False
        assert play(ORDER + HEARD)[0].verdict == "broken"
    hospital.dead = True
    assert play(ORDER + HEARD)[0].verdict == "broken"


def test_a_check_that_crashes_is_broken(play, monkeypatch):
    def crash(question):
        raise ZeroDivisionError

    from dataclasses import replace

    from stepwedge.checks.check import CHECKS, find

    monkeypatch.setitem(CHECKS, "message.received", replace(find("message.received"), ask=crash))
    ending, _ = play(ORDER + HEARD)
    assert ending.verdict == "broken"
    assert "Stepwedge itself failed here" in ending.message
    assert "ZeroDivisionError" in ending.message


def test_a_part_that_an_answer_did_not_hold_is_failed(play, hospital):
    hospital.words["place_order"] = lambda args, case: {"placer": "P1"}
    ending, _ = play(ORDER + HEARD)
    assert ending.verdict == "failed"
    assert "$order has no 'accession', only placer" in ending.message


def test_our_own_time_is_small_and_measured(play):
    _, journal = play(ORDER + HEARD)
    record = records(journal, "verdict")[0]
    assert 0 < record["own_time"] < record["took"]
    assert json.dumps(journal)


def test_the_verdict_is_written_when_pytest_ends_a_case(play, hospital):
    class Outcome(BaseException):
        """What pytest raises for its own purposes."""

    def late_bell(args, case):
        raise Outcome("Timeout >120.0s")

    hospital.words["place_order"] = late_bell
    with pytest.raises(Outcome):
        play(ORDER + HEARD)


@pytest.mark.parametrize(
    ("foreseen", "verdict"),
    [("[lost, passed]", "passed"), ("[timeout]", "inconclusive"), ("[AA]", "inconclusive")],
)
def test_an_unknown_outcome_passes_only_where_it_is_foreseen(play, hospital, foreseen, verdict):
    def fail(args, case):
        hospital.note("ehr", "hl7", "ORM^O01", case=case["id"], outcome="lost", direction="out")
        raise LinkLost("gone")

    hospital.words["place_order"] = fail
    reply = f"    reply: {{outcome: {{one_of: {foreseen}}}}}\n"
    ending, _ = play(ORDER + reply + "  - {expect: result, where: {of: $patient.issuer}, is: STEPWEDGE}\n")
    assert ending.verdict == verdict
