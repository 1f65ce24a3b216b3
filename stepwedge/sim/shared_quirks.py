"""Wrong behaviours that any simulated system can be told to have, because all share what they change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim import bearer, quirks_hl7, security
from stepwedge.sim.audit import TrailHabits
from stepwedge.sim.hl7 import MemoryHabits
from stepwedge.sim.log import LogHabits
from stepwedge.sim.quirks import collect, quirk
from stepwedge.sim.store import StoreHabits

if TYPE_CHECKING:
    from collections.abc import Callable

    from stepwedge.evidence.exchange import Exchange

_SEPARATORS = b"^~\\&"
_QUERY, _ALERT = "110112", "110113"
_MEDIA = {"110106", "110107"}


@quirk(
    "audit.missing_query",
    defect="DEF-181",
    severity="S2",
    overrides=TrailHabits.tells,
    notices="nobody can say who searched for a patient (no Query 110112 in the audit trail)",
    needs="auditor",
)
def missing_query(original: Callable[[str, int], bool], event: str, outcome: int) -> bool:
    """Report everything but queries."""
    return original(event, outcome) and event != _QUERY


@quirk(
    "ack.aa_unknown_trigger",
    defect="DEF-243",
    severity="S2",
    overrides=MemoryHabits.refuses_unknown,
    notices="a new system sends events nobody understands, and believes they arrived (AA to ZZZ^Z01)",
)
def aa_unknown_trigger(_: Callable[[str], bool], _trigger: str) -> bool:
    """Say yes to what is not understood."""
    return False


@quirk(
    "hl7.custom_delims",
    defect="DEF-050",
    severity="S3",
    overrides=MemoryHabits.whole,
    notices="a sender with separators of its own is not understood (MSH-2 taken for ^~\\& whatever it says)",
)
def custom_delims(original: Callable[[bytes], bytes], payload: bytes) -> bytes:
    """Write the usual separators into MSH-2 and leave the fields as they are."""
    declared = payload[4:].partition(payload[3:4])[0]
    usual = len(declared) == len(_SEPARATORS)
    return original(payload[:4] + _SEPARATORS + payload[4 + len(declared) :] if usual else payload)


@quirk(
    "hl7.short_msh2",
    defect="DEF-051",
    severity="S3",
    overrides=MemoryHabits.whole,
    notices="a sender that names two separators is not understood (four signs behind MSH taken, whatever they are)",
)
def short_msh2(original: Callable[[bytes], bytes], payload: bytes) -> bytes:
    """Read four separators, whatever stands there."""
    declared = payload[4:].partition(payload[3:4])[0]
    short = len(declared) < len(_SEPARATORS)
    return original(payload[:4] + _SEPARATORS + payload[4 + len(_SEPARATORS) :] if short else payload)


@quirk(
    "hl7.legacy_sender",
    defect="DEF-073",
    severity="S2",
    overrides=MemoryHabits.whole,
    notices="nothing of an old sender arrives, although everybody else understands it (LF taken for text)",
)
def legacy_sender(original: Callable[[bytes], bytes], payload: bytes) -> bytes:
    """Take a message with line feeds for one long segment."""
    return original(payload if b"\r" in payload else payload.replace(b"\n", b" "))


@quirk(
    "input.unbounded",
    defect="DEF-242",
    severity="S2",
    overrides=MemoryHabits.longest,
    notices="one endless message takes all the memory there is (no limit between start and end block)",
)
def input_unbounded(_: Callable[[int], int], _limit: int) -> int:
    """Take whatever comes."""
    return 1 << 31


@quirk(
    "mllp.blank_line_split",
    defect="DEF-071",
    severity="S2",
    overrides=MemoryHabits.whole,
    notices="the second half of a message is lost behind an empty line (two CR in a row taken for the end)",
)
def blank_line_split(_: Callable[[bytes], bytes], payload: bytes) -> bytes:
    """Read up to the first empty line."""
    return payload.partition(b"\r\r")[0]


@quirk(
    "audit.media_untold",
    defect="not listed",
    severity="S2",
    overrides=TrailHabits.tells,
    notices="nobody can say which patients left on a disc (no Export 110106, no Import 110107 in the audit trail)",
    needs="auditor",
)
def media_untold(original: Callable[[str, int], bool], event: str, outcome: int) -> bool:
    """Report everything but exports and imports."""
    return original(event, outcome) and event not in _MEDIA


@quirk(
    "audit.no_failure_event",
    defect="DEF-181",
    severity="S2",
    overrides=TrailHabits.tells,
    notices="refused attempts leave no trace (no event whose EventOutcomeIndicator is not 0)",
    needs="auditor",
)
def no_failure_event(original: Callable[[str, int], bool], event: str, outcome: int) -> bool:
    """Report what succeeded alone."""
    return original(event, outcome) and not outcome


@quirk(
    "audit.no_alert",
    defect="not listed",
    severity="S2",
    overrides=TrailHabits.tells,
    notices="nobody learns that somebody tried the door (no Security Alert 110113 for a refused node)",
)
def no_alert(original: Callable[[str, int], bool], event: str, outcome: int) -> bool:
    """Report everything but refused nodes."""
    return original(event, outcome) and event != _ALERT


@quirk(
    "audit.wrong_patient",
    defect="not listed",
    severity="S1",
    overrides=TrailHabits.patient,
    notices="the audit trail of a patient holds somebody else's events (ParticipantObjectID)",
    needs="auditor",
)
def wrong_patient(original: Callable[[str], str], patient: str) -> str:
    """Name a patient whose number differs in its last digit."""
    kept = original(patient)
    return kept[:-1] + ("0" if kept[-1:] != "0" else "1")


@quirk(
    "audit.no_user",
    defect="DEF-183",
    severity="S3",
    overrides=TrailHabits.user,
    notices="the audit trail does not say who it was (ActiveParticipant UserID empty)",
    needs="auditor",
)
def no_user(original: Callable[[str], str], user: str) -> str:
    """Leave out who took part."""
    return original(user)[:0]


@quirk(
    "audit.spool_deleted",
    defect="DEF-182",
    severity="S2",
    overrides=TrailHabits.insists,
    notices="the audit trail has a gap for the hour in which the repository was down",
    needs="auditor",
)
def spool_deleted(original: Callable[[str], bool], word: str) -> bool:
    """Forget what could not be delivered at once."""
    return original(word) and word not in {"lost", "timeout"}


@quirk(
    "log.phi",
    defect="DEF-180",
    severity="S1",
    overrides=LogHabits.line,
    notices="patients' names stand in a log file that support can read",
)
def phi(original: Callable[[Exchange], str], exchange: Exchange) -> str:
    """Write whole HL7 messages into the log."""
    if exchange.protocol != "hl7":
        return original(exchange)
    return exchange.request.data.decode("utf-8", "replace").replace("\r", " ")


@quirk(
    "ack.repeats_taken_again",
    defect="not listed",
    severity="S1",
    overrides=MemoryHabits.remembers,
    notices="what was sent twice because an acknowledgement was lost happens twice, or is refused the second time",
    needs="taps",
)
def repeats_taken_again(original: Callable[[str], bool], control: str) -> bool:
    """Take every message as if it were new."""
    return original(control) and not control


@quirk(
    "store.in_memory",
    defect="DEF-198",
    severity="S1",
    overrides=StoreHabits.lies,
    notices="what was acknowledged is gone when the system is started again after it was killed",
    needs="process",
)
def in_memory(original: Callable[[str], str], file: str) -> str:
    """Keep everything in memory, and say that it is kept."""
    original(file)
    return ":memory:"


@quirk(
    "ack.commit_only",
    defect="not listed",
    severity="S2",
    overrides=MemoryHabits.follows_up,
    notices="whoever sent a message never learns whether it was worked on (CA, and no AA, AE or AR behind it)",
    needs="enhanced",
)
def commit_only(_: Callable[[str], bool], control: str) -> bool:
    """Confirm that a message is stored, and say nothing of what became of it."""
    return not control


SHARED = {**collect(globals()), **quirks_hl7.QUIRKS, **security.QUIRKS, **bearer.QUIRKS}
