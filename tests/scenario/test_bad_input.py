"""Every way a scenario file can be wrong, and what its author is told: the place, what was expected, what stood there."""

from __future__ import annotations

import pytest

from stepwedge.scenario.check import check
from stepwedge.scenario.source import DEPTH_LIMIT, SIZE_LIMIT

GOOD = """\
scenario: sample
title: A sample
story: Nothing much happens.
steps:
  - do: ehr.register_patient
    as: patient
  - expect: worklist.entry
    from: ris
    where: {PatientID: $patient.id}
"""


def steps(text):
    return GOOD[: GOOD.index("  - do")] + text


EXPECT = "  - {expect: worklist.entry, from: ris}\n"

BYTES = {
    "empty": (b"", 1, "expected a scenario, found an empty file"),
    "only a comment": (b"# later\n", 1, "found an empty file"),
    "a list": (b"- a\n", 1, "expected a mapping that begins with scenario:, found a list of 1"),
    "a word": (b"hello\n", 1, "found 'hello'"),
    "tab": (b"scenario: x\nsteps:\n\t- do: x\n", 3, "expected spaces as indentation, found a tab"),
    "NUL": (b"scenario: x\ntitle: a\0b\n", 2, "found a NUL byte"),
    "byte order mark": (b"\xef\xbb\xbf" + GOOD.encode(), 1, "found UTF-8 with a byte order mark"),
    "UTF-16": (GOOD.encode("utf-16"), 1, "found UTF-16"),
    "UTF-16 without mark": (GOOD.encode("utf-16-le"), 1, "found a NUL byte"),
    "UTF-32": (GOOD.encode("utf-32"), 1, "found UTF-16 or UTF-32"),
    "bad UTF-8": (b"scenario: x\ntitle: M\xfcller\n", 2, "expected UTF-8, found byte 0xfc"),
    "right-to-left override": ("scenario: x\ntitle: a\u202eb\n".encode(), 2, "U+202E RIGHT-TO-LEFT OVERRIDE"),
    "zero width space": ("scenario: x\nti\u200btle: a\n".encode(), 2, "U+200B ZERO WIDTH SPACE"),
    "control character": (b"scenario: x\ntitle: a\x07b\n", 2, "expected characters that can be seen, found U+0007"),
    "too big": (b"#" * (SIZE_LIMIT + 1), None, "expected at most 256 KiB"),
    "too deep": (b"a: " + b"[" * 10_000, 1, f"expected at most {DEPTH_LIMIT} levels"),
    "deep by lines": (
        b"".join(b" " * n + b"a:\n" for n in range(100)), DEPTH_LIMIT + 1, f"expected at most {DEPTH_LIMIT} levels",
    ),
    "duplicate key": (GOOD.replace("title:", "scenario:").encode(), 2, "expected each key once, found 'scenario' again"),
    "anchor": (b"scenario: &a x\n", 1, "found the anchor &a"),
    "alias": (b"scenario: x\ntitle: *a\n", 2, "found the alias *a"),
    "alias bomb": (
        b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n", 1, "expected values, found the anchor &a",
    ),
    "merge key": (b"scenario: x\n<<: {a: b}\n", 2, "found the merge key <<"),
    "python object": (b"scenario: !!python/object/apply:os.system [id]\n", 1, "found the tag"),
    "local tag": (b"scenario: !x y\n", 1, "found the tag '!x'"),
    "binary tag": (b"scenario: !!binary aGk=\n", 1, "found the tag"),
    "mapping as key": (b"scenario: x\n? {a: b}\n: c\n", 2, "expected a name before the colon"),
    "second document": (GOOD.encode() + b"---\na: b\n", 10, "expected one document in a file, found a second one"),
    "unclosed bracket": (b"scenario: x\ntags: [a\ntitle: y\n", 3, "expected YAML, found while parsing a flow sequence"),
    "colon in text": (b"scenario: x\ntitle: a: b\n", 2, "mapping values are not allowed"),
}  # fmt: skip

FILES = {
    "unknown key": (GOOD + "sverity: minor\n", 10, "found 'sverity'\n  remedy: did you mean 'severity'?"),
    "missing title": (GOOD.replace("title: A sample\n", ""), 1, "expected the key 'title'"),
    "title as a number": (GOOD.replace("A sample", "17"), 2, "expected text, found 17\n  remedy: put it in quotes"),
    "empty title": (GOOD.replace("A sample", "''"), 2, "expected text, found an empty text"),
    "title without value": (GOOD.replace(" A sample", ""), 2, "expected text, found nothing"),
    "id with capitals": (GOOD.replace("scenario: sample", "scenario: Sample"), 1, "expected lower-case letters and digits"),
    "id as a path": (GOOD.replace("scenario: sample", "scenario: ../../etc"), 1, "joined by single hyphens, found '../../etc'"),
    "steps as a mapping": (GOOD[: GOOD.index("  - do")] + "  a: b\n", 4, "expected a list, found a mapping with a"),
    "no steps": (steps("  []\n"), 4, "expected at least one entry, found an empty list"),
    "steps without value": (steps(""), 4, "expected a list, found nothing"),
    "step as text": (steps("  - register\n"), 5, "expected a step with exactly one of given, do, expect, never, fault, lift"),
    "typo in kind": (steps("  - {expct: worklist.entry, from: ris}\n" + EXPECT), 5, "did you mean 'expect'?"),
    "no kind": (steps("  - {from: ris}\n" + EXPECT), 5, "expected exactly one of given, do, expect, never, fault, lift, found 'from'"),
    "two kinds": (steps("  - do: ehr.register_patient\n    expect: worklist.entry\n"), 6, "found do and expect"),
    "unknown key in a step": (steps("  - expect: worklist.entry\n    form: ris\n"), 6, "did you mean 'from'?"),
    "key of another kind": (steps("  - do: ehr.register_patient\n    within: 5s\n" + EXPECT), 6, "found 'within'"),
    "severity": (GOOD + "severity: high\n", 10, "expected blocker, critical, normal, minor or trivial, found 'high'"),
    "severity typo": (GOOD + "severity: critcal\n", 10, "did you mean 'critical'?"),
    "tag with blanks": (GOOD + "tags: [a b]\n", 10, "found 'a b'"),
    "language of the future": (GOOD + "language: 2\n", 10, "expected language 1, found 2\n  remedy: use a newer Stepwedge"),
    "no variants in variants": (GOOD + "variants: []\n", 10, "expected at least one entry"),
    "variant without id": (GOOD + "variants:\n  - {scan: true}\n", 11, "expected an id of lower-case letters"),
    "two variants, one id": (GOOD + "variants:\n  - {id: a}\n  - {id: a}\n", 12, "two variants have this id"),
    "variant name": (GOOD + "variants:\n  - {id: a, Scan: true}\n", 11, "expected a name of lower-case letters"),
    "within as a number": (steps("  - expect: worklist.entry\n    from: ris\n    within: 5\n"), 7, "expected a duration such as 500ms, 5s or 2min"),
    "expectation of nothing": (steps("  - do: ehr.register_patient\n"), 4, "expected an expect or a never, found none"),
    "empty is": (steps("  - expect: worklist.entry\n    from: ris\n    is: {}\n"), 7, "expected something to compare with"),
    "is without value": (steps("  - expect: worklist.entry\n    from: ris\n    is:\n"), 7, "an empty expectation would always hold"),
    "empty list in is": (steps("  - expect: worklist.entry\n    from: ris\n    is: {Modality: []}\n"), 7, "expected something to compare with"),
    "empty where": (steps("  - expect: worklist.entry\n    from: ris\n    where: {}\n"), 7, "expected something to compare with"),
    "empty one_of": (steps("  - expect: worklist.entry\n    from: ris\n    is: {Modality: {one_of: []}}\n"), 7, "expected something to compare with"),
    "unknown actor": (steps("  - do: her.register_patient\n" + EXPECT), 5, "found 'her'\n  remedy: did you mean 'ehr'?"),
    "unknown word": (steps("  - do: ehr.place_ordr\n" + EXPECT), 5, "found 'ehr.place_ordr'\n  remedy: did you mean 'place_order'?"),
    "actor that no variant names": (steps("  - do: $who.register_patient\n" + EXPECT), 5, "a name that the variant gives one: who"),
    "unknown word of an actor that a variant names": (
        steps("  - do: $who.register_patint\n" + EXPECT) + "variants:\n  - {id: a, who: ehr}\n", 5,
        "did you mean 'register_patient'?",
    ),
    "unknown word of an actor that is not here": (
        steps("  - do: $who.register_patint\n" + EXPECT) + "variants:\n  - {id: a, who: elsewhere}\n", 5, "found 'elsewhere'",
    ),
    "unknown argument": (steps("  - do: ehr.register_patient\n    with: {nam: x}\n" + EXPECT), 6, "found 'nam'\n  remedy: did you mean 'name'?"),
    "missing argument": (steps("  - do: ehr.place_order\n    with: {procedure: CTCHEST}\n" + EXPECT), 6, "ehr.place_order needs patient"),
    "argument outside its choices": (steps("  - do: ehr.register_patient\n    with: {version: '2.9'}\n" + EXPECT), 6, "expected one of 2.3.1, 2.5.1, found '2.9'"),
    "unknown check": (steps("  - {expect: worklist.entri, from: ris}\n"), 5, "did you mean 'worklist.entry'?"),
    "check without its actor": (steps("  - expect: worklist.entry\n"), 5, "worklist.entry needs from"),
    "check with the wrong place": (steps("  - {expect: worklist.entry, from: ris, at: ris}\n"), 5, "worklist.entry takes no 'at'"),
    "unknown door": (steps("  - {expect: study.found, from: pacs, through: [c-fnd]}\n"), 5, "did you mean 'c-find'?"),
    "unknown actor to look at": (steps("  - {expect: worklist.entry, from: riss}\n"), 5, "found 'riss'\n  remedy: did you mean 'ris'?"),
    "unknown claim": (GOOD + "requires: [mwll]\n", 10, "found 'mwll'\n  remedy: did you mean 'mwl'?"),
    "unknown claim of a step": (steps("  - {expect: worklist.entry, from: ris, requires: mwll}\n"), 5, "did you mean 'mwl'?"),
    "unknown flow": (steps("  - given: flow.scheduled_exm\n" + EXPECT), 5, "did you mean 'scheduled_exam'?"),
    "flow as a path": (steps("  - given: flow.../secret\n" + EXPECT), 5, "expected actor.word or flow.name"),
    "unknown parameter of a flow": (steps("  - given: flow.scheduled_exam\n    with: {procdure: CTCHEST}\n" + EXPECT), 6, "did you mean 'procedure'?"),
    "what a flow does not give": (steps("  - given: flow.scheduled_exam\n    as: {ordr: order}\n" + EXPECT), 6, "did you mean 'order'?"),
    "unknown binding": (GOOD.replace("$patient.id", "$pateint.id"), 9, "nothing is bound as $pateint; did you mean 'patient'?"),
    "unknown part of a result": (GOOD.replace("$patient.id", "$patient.ids"), 9, "$patient has no 'ids'"),
    "binding of a later step": (GOOD.replace("    as: patient\n", "    with: {name: $patient.name}\n    as: patient\n"), 6, "nothing is bound as $patient"),
    "name bound twice": (steps("  - {do: ehr.register_patient, as: p}\n  - {do: ehr.register_patient, as: p}\n" + EXPECT), 6, "it is bound on line 5 already"),
    "name of a variant bound again": (GOOD + "variants:\n  - {id: a, patient: x}\n", 6, "expected a name that is not bound yet"),
    "unclosed reference": (GOOD.replace("$patient.id", '"$(patient.id"'), 9, "write $name for a whole value"),
    "reference in mid text": (GOOD.replace("$patient.id", "a $patient b"), 9, "$(name) inside text"),
    "template braces": (GOOD.replace("$patient.id", "'{{ patient.id }}'"), 9, "write $name for a whole value"),
    "environment": (GOOD.replace("$patient.id", "'${HOME}'"), 9, "write $name for a whole value"),
    "environment by name": (GOOD.replace("$patient.id", "$env.HOME"), 9, "nothing is bound as $env"),
    "when of text": (steps("  - when: $scan\n    do: ehr.register_patient\n" + EXPECT) + "variants:\n  - {id: a, scan: no}\n", 5, "expected $scan to be true or false, found 'no'"),
    "when of a literal": (steps("  - when: yes\n    do: ehr.register_patient\n" + EXPECT), 5, "expected $name or not $name, found 'yes'"),
    "when of an expression": (steps("  - when: $scan == 1\n    do: ehr.register_patient\n" + EXPECT), 5, "expected $name or not $name"),
    "name bound only in another variant": (
        steps("  - {when: $a, do: ehr.register_patient, as: p}\n  - {expect: worklist.entry, from: ris, where: {PatientID: $p.id}}\n")
        + "variants:\n  - {id: x, a: true}\n  - {id: y, a: false}\n", 6, "nothing is bound as $p",
    ),
    "variant that expects nothing": (
        steps("  - {do: ehr.register_patient}\n  - {when: $a, expect: worklist.entry, from: ris}\n")
        + "variants:\n  - {id: x, a: true}\n  - {id: y, a: false}\n", 4, "an expect or a never in variant y",
    ),
}  # fmt: skip

DURATIONS = ["0s", "-5s", "5", "5 s", "1e9s", "nan", "inf", "999999min", "61min", "5h", "s", "1:30", "5S"]
NOT_TEXT = {"yes": "yes", "NO": "NO", "on": "on", "Off": "Off", "010": "010", "0x1F": "0x1F", "1_000": "1_000",
            "1:30": "1:30", "12:30:45": "12:30:45", "2026-11-24": "2026-11-24", "1e3": "1e3", ".5": ".5", ".inf": ".inf",
            ".NaN": ".NaN", "0o17": "0o17", "+.5": "+.5", "=": "=", "20261124093000": 20261124093000, "1.10": 1.1}  # fmt: skip


def told(data, tmp_path, known):
    path = tmp_path / "scenarios" / "sample.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path, [one for one in check([path], known) if not one.warning]


def assert_told(data, line, text, tmp_path, known):
    path, problems = told(data, tmp_path, known)
    place = str(path) if line is None else f"{path}:{line}:"
    matching = [str(one) for one in problems if text in str(one)]
    assert matching, "\n".join(map(str, problems)) or "no problem at all"
    assert any(f"error: {place}" in one for one in matching), matching


def test_the_good_one_is_good(tmp_path, known):
    assert told(GOOD.encode(), tmp_path, known)[1] == []


@pytest.mark.parametrize("name", BYTES)
def test_bytes_that_are_no_plain_yaml(name, tmp_path, known):
    assert_told(*BYTES[name], tmp_path, known)


@pytest.mark.parametrize("name", FILES)
def test_yaml_that_is_no_scenario(name, tmp_path, known):
    text, line, said = FILES[name]
    assert_told(text.encode(), line, said, tmp_path, known)


@pytest.mark.parametrize("text", DURATIONS)
def test_durations(text, tmp_path, known):
    data = steps(f"  - expect: worklist.entry\n    from: ris\n    within: {text}\n").encode()
    assert_told(data, 7, "a duration such as 500ms, 5s or 2min, above 0 and at most 60min", tmp_path, known)


@pytest.mark.parametrize("text", NOT_TEXT)
def test_values_are_what_was_written(text):
    from stepwedge.scenario.source import parse

    assert parse(f"a: {text}\n".encode(), "x").value == {"a": NOT_TEXT[text]}


def test_all_problems_of_a_file_are_told_at_once_in_order_of_lines(tmp_path, known):
    data = GOOD.replace("title:", "titel:").replace("from:", "form:").replace("story:", "stroy:").encode()
    _, problems = told(data, tmp_path, known)
    lines = [int(one.error.place.rpartition(":")[2]) for one in problems]
    assert len(lines) >= 4
    assert lines == sorted(lines)


def test_two_scenarios_with_one_id(tmp_path, known, written):
    first, second = written("", GOOD, "one.yaml"), written("", GOOD, "two.yaml")
    (problem,) = check([first, second], known)
    assert f"{second}:1: expected an id that no other scenario has, found 'sample'" in str(problem)
    assert f"it stands in {first}:1 already" in str(problem)
    assert not check([first, first], known)


def test_a_binding_never_used_is_a_warning(tmp_path, known, written):
    (problem,) = check([written("", steps("  - {do: ehr.register_patient, as: nobody}\n" + EXPECT))], known)
    assert problem.warning
    assert str(problem).startswith("warning: ")
    assert "sample.yaml:5: expected $nobody to be used" in str(problem)


def test_a_missing_file_and_a_folder_in_its_place(tmp_path, known):
    (problem,) = check([tmp_path / "nothing.yaml"], known)
    assert "nothing.yaml: expected a readable file, found No such file or directory" in str(problem)
    (tmp_path / "a.yaml").mkdir()
    assert check([tmp_path / "a.yaml"], known) == []


class TestFlows:
    def flow(self, tmp_path, text, name="mine"):
        folder = tmp_path / "scenarios" / "_flows"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(text)
        return folder / f"{name}.yaml"

    def told(self, tmp_path, known, use="  - given: flow.mine\n"):
        return "\n".join(map(str, told(steps(use + EXPECT).encode(), tmp_path, known)[1]))

    def test_a_flow_that_leads_back_to_itself(self, tmp_path, known):
        self.flow(tmp_path, "flow: mine\ntitle: x\nsteps:\n  - do: flow.other\n")
        self.flow(tmp_path, "flow: other\ntitle: x\nsteps:\n  - do: flow.mine\n", "other")
        assert "expected flows that do not lead back to themselves, found 'mine → other → mine'" in self.told(
            tmp_path, known
        )

    def test_a_flow_named_unlike_its_file(self, tmp_path, known):
        self.flow(tmp_path, "flow: other\ntitle: x\nsteps:\n  - do: ehr.register_patient\n")
        assert "mine.yaml:1: expected the name of the file, mine, found 'other'" in self.told(tmp_path, known)

    def test_problems_inside_a_flow_stand_where_they_are(self, tmp_path, known):
        self.flow(tmp_path, "flow: mine\ntitle: x\nsteps:\n  - do: ehr.nothing\n")
        assert "mine.yaml:4: expected a word of ehr" in self.told(tmp_path, known)

    def test_a_flow_that_is_no_flow(self, tmp_path, known):
        self.flow(tmp_path, "flow: mine\nsteps: []\n")
        said = self.told(tmp_path, known)
        assert "mine.yaml:2: expected at least one entry" in said
        assert "expected the key 'title'" in said

    def test_a_parameter_that_must_be_given(self, tmp_path, known):
        self.flow(
            tmp_path,
            "flow: mine\ntitle: x\nparameters: {name: {says: the name}}\n"
            "steps:\n  - {do: ehr.register_patient, with: {name: $name}}\n",
        )
        assert "expected name (the name)" in self.told(tmp_path, known)

    def test_what_it_gives_must_be_bound(self, tmp_path, known):
        self.flow(
            tmp_path, "flow: mine\ntitle: x\ngives: {a: $b}\nsteps:\n  - {do: ehr.register_patient, as: c}\n"
        )
        assert "mine.yaml:3: expected something bound by an earlier step" in self.told(tmp_path, known)

    def test_a_link_that_leads_out_of_the_folder(self, tmp_path, known):
        outside = tmp_path / "outside.yaml"
        outside.write_text("flow: mine\ntitle: x\nsteps:\n  - do: ehr.register_patient\n")
        folder = tmp_path / "scenarios" / "_flows"
        folder.mkdir(parents=True)
        (folder / "mine.yaml").symlink_to(outside)
        assert "a link to" in self.told(tmp_path, known)
