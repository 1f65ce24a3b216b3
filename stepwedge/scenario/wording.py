"""The texts a person reads when something is not as it should be: what, where, against which rule, and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from stepwedge.checks import matchers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stepwedge.actors.cast import Player
    from stepwedge.checks.check import Check, Look
    from stepwedge.scenario.case import CaseView
    from stepwedge.scenario.verdict import Verdict

Line = tuple[str, str]

_NUMBERED: Final = re.compile(r"#(\d{4,})[^:]*")
_SHOWN: Final = 6
_KNOWN_BY: Final = ("accession", "placer", "id", "uid", "series", "transaction", "study", "AccessionNumber")


def text(verdict: Verdict, place: str, what: str, how: str, lines: Iterable[Line]) -> str:
    """Lay out one finding: a head line, then labelled lines; empty ones are left out."""
    head = f"{verdict.upper()} {place}  {what}"
    rows = [f"{head}     {how}" if how else head]
    rows += [f"  {label:<9} {said}" for label, said in lines if said]
    return "\n".join(rows)


def gave_up(seconds: float, looks: int) -> str:
    """Say how long and how often something was looked for."""
    return f"gave up after {seconds:.1f} s, {looks} {'look' if looks == 1 else 'looks'}"


def spec(value: Any) -> str:
    """Write what a scenario asks for: ``type one of ORM^O01, OMI^O23 · accession = SW000123``."""
    if not isinstance(value, dict) or matchers.matcher_word(value):
        return "" if value is None else matchers.describe(value)
    return " · ".join(_pair(key, part) for key, part in value.items())


def _pair(key: str, part: Any) -> str:
    if isinstance(part, dict) and matchers.matcher_word(part):
        return f"{key} {matchers.describe(part)}"
    if isinstance(part, dict):  # a whole order, patient or result: the number it is known by says enough
        known = next((name for name in _KNOWN_BY if part.get(name)), None)
        return f"{key} with {known} {part[known]}" if known else f"{key} with {', '.join(map(str, part))}"
    return f"{key} = {matchers.describe(part)}"


def door(player: Player, check: Check, through: Iterable[str]) -> str:
    """Say who an actor is and which of its doors was watched or asked."""
    address = player.address
    web = any(name.endswith("-rs") for name in through)
    dicom = address.worklist if check.name.startswith("worklist.") and address.worklist else address.dicom
    doors = []
    if check.observes == "journal" and address.hl7 is not None:
        doors.append(f"HL7 {address.hl7.host}:{address.hl7.port}")
    if check.observes == "wire" and dicom is not None:
        doors.append(f"DICOM {dicom.ae} {dicom.host}:{dicom.port}")
    if check.observes == "wire" and web and address.web:
        doors.append(address.web)
    return f"{player.name} ({player.played})  {', '.join(doors)}".rstrip()


def closest(look: Look, case: CaseView) -> str:
    """Say what came nearest, and how long after the last act it came."""
    found = _NUMBERED.match(look.closest)
    if not found:
        return look.closest
    number = int(found[1])
    exchange = next((one for one in case.exchanges if one.number == number), None)
    before = [act for act in case.acts if exchange and act.at <= exchange.at]
    if exchange is None or not before:
        return look.closest
    act = max(before, key=lambda one: one.at)
    after = f", {exchange.at - act.at:.1f} s after {act.kind.rpartition('.')[2]}"
    return look.closest[: found.end()] + after + look.closest[found.end() :]


def evidence(look: Look, case: CaseView) -> str:
    """Name the files that show it: of what came nearest, else of the last things looked at."""
    found = _NUMBERED.match(look.closest)
    numbers = [int(found[1])] if found else look.evidence[-3:]
    return ", ".join(case.files[number] for number in numbers if number in case.files)


def differences(look: Look) -> str:
    """Write what was expected, part by part."""
    parts = [f"{one.path} {_plain(one.expected)}" for one in look.differences[:_SHOWN]]
    if len(look.differences) > _SHOWN:
        parts.append(f"and {len(look.differences) - _SHOWN} more")
    return " · ".join(parts).strip()


def _plain(expected: str) -> str:
    """Put an equals sign before a plain value, none before the words of a matcher."""
    words = ("one of ", "not ", "text like ", "a ", "about ", "exactly ", "nothing", "any value", "an ")
    return expected if expected.startswith(words) else f"= {expected}"


def replay(file: str, variant: str, seed: int, options: Iterable[str]) -> str:
    """Return the one command that runs a case again as it was."""
    parts = ["stepwedge run", file]
    if variant:
        parts.append(f"-k {variant}")
    return " ".join([*parts, f"--seed {seed}", *options])


def evidence_of_act(files: Iterable[str]) -> str:
    """Name the files of the exchanges an act made."""
    return ", ".join(list(files)[-3:])
