"""Reconciliation: what was promised under load against what the systems show afterwards (RELIABILITY invariants I1 to I7).

Pure: the ledger says what was sent and how it was answered, :class:`Shown` what was read through doors that the load did not use
(:mod:`stepwedge.load.reading`). Throughput with a lost study is a failed run.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stepwedge.load.ledger import Account, Entry, Kind

PROMISES: Final = {
    "I1": "nothing lost: what was acknowledged is there, and can be opened",
    "I2": "nothing invented: what is there was sent",
    "I3": "refused means absent",
    "I4": "what nobody answered is there whole, or not at all",
    "I5": "nothing doubled",
    "I6": "nothing altered",
    "I7": "patient, order, study and report belong together",
}
NOUNS: Final = {
    "order": "order",
    "study": "study",
    "instance": "image",
    "report": "report",
    "mpps": "performed step",
    "patient": "message about a patient",
    "merge": "message about a merge",
    "commitment": "request for commitment",
}
BROKEN: Final = {
    "I1": "acknowledged and lost",
    "I2": "there and never sent",
    "I3": "refused and there",
    "I4": "unanswered and there in part",
    "I5": "there more than once",
    "I6": "not what was sent",
    "I7": "shown for another patient or order",
}
"""What became of things that break a promise, behind how many of what."""
_NAMED: Final = 3
SHOWN: Final = 50
"""Findings of one kind that are written down in full; the count is always whole."""


@dataclass(frozen=True, slots=True)
class StudySeen:
    """A study as a query shows it."""

    uid: str
    patient: str
    accession: str


@dataclass(frozen=True, slots=True)
class ImageSeen:
    """An image as it was retrieved; ``pixels`` is the SHA-256 of its pixel values."""

    pixels: str
    patient: str = ""
    accession: str = ""


@dataclass(frozen=True, slots=True)
class OrderSeen:
    """An order as its filler shows it."""

    placer: str
    accession: str
    patient: str


@dataclass(frozen=True, slots=True)
class ReportSeen:
    """A report as the ward reads it."""

    accession: str
    patient: str
    text: str
    status: str = ""


@dataclass
class Shown:
    """What the systems show afterwards.

    Attributes:
        studies: by patient ID, every study listed.
        listed: by study, how often each SOP Instance UID is listed.
        opened: by study, what came of each SOP Instance UID when it was retrieved; a study that was not retrieved is not in it.
        orders: by placer order number; ``reports`` by accession number; ``performed`` the state of each MPPS.
        doors: through which door each kind was read.
        left_out: kinds that no door of this lab shows, and why.
        trouble: what could not be read although there is a door: kind and identity, and why.
    """

    studies: dict[str, list[StudySeen]] = field(default_factory=dict)
    listed: dict[str, Counter[str]] = field(default_factory=dict)
    opened: dict[str, dict[str, list[ImageSeen]]] = field(default_factory=dict)
    orders: dict[str, list[OrderSeen]] = field(default_factory=dict)
    reports: dict[str, list[ReportSeen]] = field(default_factory=dict)
    performed: dict[str, list[str]] = field(default_factory=dict)
    doors: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    trouble: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was promised, or of which nobody can tell (``untold``)."""

    promise: str
    kind: str
    id: str
    said: str
    untold: bool = False


@dataclass
class Reconciliation:
    """What reconciling came to.

    Attributes:
        counts: by kind, how many were attempted, acknowledged, refused, unknown, and of the unknown how many arrived.
        compared: by promise, how many comparisons were made.
        exceptions: what has no order or no report for a reason that is known.
    """

    findings: list[Finding] = field(default_factory=list)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    compared: Counter[str] = field(default_factory=Counter)
    doors: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    exceptions: dict[str, int] = field(default_factory=dict)
    opened: int = 0

    @property
    def broken(self) -> list[Finding]:
        """The promises that were broken."""
        return [one for one in self.findings if not one.untold]

    @property
    def word(self) -> Literal["met", "missed", "untold"]:
        """``missed`` when a promise was broken, ``untold`` when something could not be read or nothing was compared."""
        if self.broken:
            return "missed"
        return "untold" if self.findings or not self.compared["I1"] else "met"

    @property
    def sentence(self) -> str:
        """The result as one sentence."""
        if self.broken:
            things = {(one.promise, one.kind, one.id) for one in self.broken}
            counts = sorted(Counter(thing[:2] for thing in things).items())
            return "; ".join(f"{several(count, kind)} {BROKEN[promise]}" for (promise, kind), count in counts)
        if self.findings:
            return f"of {len(self.findings)} things nobody can tell: {self.findings[0].said}"
        if not self.compared["I1"]:
            return "nothing was acknowledged that could be looked for"
        kinds = ((said["acknowledged"], kind) for kind, said in self.counts.items())
        told = ", ".join(several(count, kind) for count, kind in kinds if count)
        return f"nothing lost, doubled, altered or mixed up: {told}"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        by_promise = Counter(one.promise for one in self.findings)
        shown = [
            one for promise in PROMISES for one in [f for f in self.findings if f.promise == promise][:SHOWN]
        ]
        told = {"word": self.word, "sentence": self.sentence, "promises": PROMISES, "found": dict(by_promise)}
        return (
            told
            | asdict(self)
            | {"compared": dict(self.compared), "findings": [asdict(one) for one in shown]}
        )


def several(count: int, kind: str) -> str:
    """Return how many of what, in words."""
    noun, of, rest = NOUNS.get(kind, kind).partition(" about ")
    if of:
        return f"{several(count, noun)}{of}{rest}"
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"


def reconcile(account: Account, shown: Shown) -> Reconciliation:
    """Compare a ledger with what is shown."""
    said = Reconciliation(doors=dict(shown.doors), left_out=dict(shown.left_out))
    judge = _Judge(account, shown, said)
    for entries in (judge.images(), judge.studies(), judge.orders(), judge.reports(), judge.performed()):
        said.findings += entries
    said.findings += [
        Finding(
            "I1",
            kind,
            identity,
            f"the {NOUNS.get(kind, kind)} {identity} could not be read: {why}",
            untold=True,
        )
        for (kind, identity), why in shown.trouble.items()
    ]
    said.findings += unresolved(account)
    if account.torn:
        said.findings.append(
            Finding(
                "I4",
                "ledger",
                "",
                f"{account.torn} lines of the ledger are torn: what they held nobody knows",
                untold=True,
            )
        )
    return said


def unresolved(account: Account) -> Iterator[Finding]:
    """Yield what nobody answered to the very end, and studies that were sent in part: what became of them nobody can tell (I4)."""
    kinds: tuple[Kind, ...] = ("patient", "merge", "order", "mpps", "instance", "commitment", "report")
    for kind in kinds:
        unknown = [one for one in account.of(kind, "attempted") if not one.keys.get("again")]
        if unknown:
            some = ", ".join(one.id for one in unknown[:_NAMED])
            said = f"{several(len(unknown), kind)} got no answer to the end: {some}"
            yield Finding("I4", kind, unknown[0].id, said, untold=True)
    stored = Counter(str(one.keys.get("study")) for one in account.of("instance", "acknowledged"))
    half = [
        one for one in account.of("study", "attempted") if 0 < stored[one.id] < one.keys.get("planned", 0)
    ]
    if half:
        some = ", ".join(f"{one.id} ({stored[one.id]} of {one.keys['planned']})" for one in half[:_NAMED])
        yield Finding(
            "I4", "study", half[0].id, f"{several(len(half), 'study')} went out in part: {some}", untold=True
        )


@dataclass
class _Judge:
    account: Account
    shown: Shown
    said: Reconciliation

    def __post_init__(self) -> None:
        self._into: dict[str, str] = {}
        self._open: set[str] = set()
        for one in self.account.of("merge"):
            prior = str(one.keys.get("prior"))
            self._into[prior] = str(one.keys.get("survivor"))
            if one.state != "acknowledged":
                self._open.add(prior)

    def survivor(self, patient: str) -> str:
        """Return under which number a patient is known after all merges."""
        seen = set()
        while patient in self._into and patient not in seen:
            seen.add(patient)
            patient = self._into[patient]
        return patient

    def same(self, sent: str, shown: str) -> bool:
        """Tell whether a patient shown is the one that was sent; a merge that was not acknowledged may have happened, or not."""
        return shown == self.survivor(sent) or (shown == sent and sent in self._open)

    def _count(self, kind: Kind, arrived: Iterable[bool]) -> None:
        entries = [one for one in self.account.of(kind) if kind != "mpps" or one.id == step_of(one)]
        if entries:
            states = Counter(one.state for one in entries)
            self.said.counts[kind] = {
                "attempted": len(entries),
                "acknowledged": states["acknowledged"],
                "refused": states["refused"],
                "unknown": states["attempted"],
                "arrived": sum(arrived),
            }

    def _there(self, kind: Kind, entry: Entry, times: int, *, refusable: bool = True) -> Iterator[Finding]:
        """Judge how often something is there: I1, I3 and I5."""
        noun = NOUNS[kind]
        self.said.compared["I5"] += 1
        if entry.state == "acknowledged":
            self.said.compared["I1"] += 1
            if not times:
                yield Finding("I1", kind, entry.id, f"{noun} {entry.id} was acknowledged, and is not there")
        elif entry.state == "refused" and refusable:
            self.said.compared["I3"] += 1
            if times:
                yield Finding("I3", kind, entry.id, f"{noun} {entry.id} was refused, and is there")
        elif entry.unknown:
            self.said.compared["I4"] += 1
        if times > 1:
            yield Finding("I5", kind, entry.id, f"{noun} {entry.id} is there {times} times")

    # -- images and studies ---------------------------------------------------------------------------------------------------------

    def images(self) -> Iterator[Finding]:
        """Judge every image that was sent, and every one that is listed."""
        sent: dict[str, dict[str, Entry]] = {}
        for one in self.account.of("instance"):
            sent.setdefault(str(one.keys.get("study", "")), {})[one.id] = one
        arrived = []
        for study, entries in sent.items():
            if study not in self.shown.listed:
                continue  # not read, which is trouble, or left out
            listed, opened = self.shown.listed[study], self.shown.opened.get(study)
            arrived += [one.unknown and listed[one.id] > 0 for one in entries.values()]
            for one in entries.values():
                yield from self._image(
                    one, listed[one.id], None if opened is None else opened.get(one.id, [])
                )
            for sop in sorted((set(listed) | set(opened or ())) - set(entries)):
                yield Finding(
                    "I2", "instance", sop, f"study {study} shows an image that was never sent: {sop}"
                )
            self.said.compared["I2"] += 1
        self.said.opened = sum(len(one) for one in self.shown.opened.values())
        self._count("instance", arrived)

    def _image(self, entry: Entry, listed: int, opened: list[ImageSeen] | None) -> Iterator[Finding]:
        yield from self._there("instance", entry, listed)
        if opened is None:
            return
        promise = "I4" if entry.unknown else "I1"
        if bool(listed) != bool(opened):
            how = "is listed and cannot be opened" if listed else "can be opened and is not listed"
            yield Finding(promise, "instance", entry.id, f"image {entry.id} {how}")
        if len(opened) > 1:
            yield Finding(
                "I5",
                "instance",
                entry.id,
                f"image {entry.id} came {len(opened)} times when its study was retrieved",
            )
        wanted = str(entry.keys.get("sha256", ""))
        for one in opened[:1]:
            self.said.compared["I6"] += 1
            if wanted and one.pixels != wanted:
                yield Finding("I6", "instance", entry.id, f"image {entry.id} has other pixels than were sent")
            yield from self._belongs("instance", entry, one.patient, one.accession)

    def _belongs(self, kind: Kind, entry: Entry, patient: str, accession: str) -> Iterator[Finding]:
        """Judge I7: whose it is, and what it was ordered as; what the ledger does not know is not compared."""
        wanted = entry.keys.get("patient")
        self.said.compared["I7"] += 1
        if wanted and patient and not self.same(str(wanted), patient):
            yield Finding(
                "I7",
                kind,
                entry.id,
                f"{NOUNS[kind]} {entry.id} is shown for patient {patient}; it was sent for {self.survivor(str(wanted))}",
            )
        expected = entry.keys.get("accession")
        if expected and accession != expected:
            yield Finding(
                "I7",
                kind,
                entry.id,
                f"{NOUNS[kind]} {entry.id} is shown under accession number {accession or '(none)'}; it was sent under {expected}",
            )

    def studies(self) -> Iterator[Finding]:
        """Judge every study: once there, whose, and none that was not sent."""
        if "study" in self.shown.left_out:
            self._count("study", ())
            return
        seen: dict[str, list[StudySeen]] = {}
        for each in {one for found in self.shown.studies.values() for one in dict.fromkeys(found)}:
            seen.setdefault(each.uid, []).append(each)
        doubled = {one.uid for found in self.shown.studies.values() for one in found if found.count(one) > 1}
        held = {
            str(one.keys.get("study")) for one in self.account.of("instance") if one.state == "acknowledged"
        }
        known, arrived = set(), []
        for entry in self.account.of("study"):
            known.add(entry.id)
            found = seen.get(entry.id, [])
            arrived.append(entry.unknown and bool(found))
            if not self._read("study", entry):
                continue
            if entry.id in held and not found:
                self.said.compared["I1"] += 1
                yield Finding(
                    "I1", "study", entry.id, f"study {entry.id} was stored, and is not listed for its patient"
                )
            if len(found) > 1 or entry.id in doubled:
                yield Finding("I5", "study", entry.id, f"study {entry.id} is listed more than once")
            for one in found:
                yield from self._belongs("study", entry, one.patient, one.accession)
            if not entry.keys.get("accession"):
                why = str(entry.keys.get("exception") or "no order")
                self.said.exceptions[why] = self.said.exceptions.get(why, 0) + 1
        for uid in sorted(
            seen.keys() - known - {str(one.keys.get("study")) for one in self.account.of("instance")}
        ):
            yield Finding(
                "I2", "study", uid, f"patient {seen[uid][0].patient} has a study that was never sent: {uid}"
            )
        self._count("study", arrived)

    def _read(self, kind: str, entry: Entry) -> bool:
        return (kind, entry.id) not in self.shown.trouble and (
            kind,
            str(entry.keys.get("patient")),
        ) not in self.shown.trouble

    # -- orders, reports, performed steps -------------------------------------------------------------------------------------------

    def orders(self) -> Iterator[Finding]:
        """Judge every order, and that no accession number was given twice."""
        for accession in self.account.shared("order", "accession"):
            yield Finding(
                "I5", "order", accession, f"accession number {accession} was given to more than one order"
            )
        arrived = []
        for entry in self.account.of("order"):
            if "order" in self.shown.left_out or not self._read("order", entry):
                continue
            found = self.shown.orders.get(entry.id, [])
            arrived.append(entry.unknown and bool(found))
            yield from self._there("order", entry, len(found))
            for one in found[:1]:
                yield from self._belongs("order", entry, one.patient, one.accession)
        self._count("order", arrived)

    def reports(self) -> Iterator[Finding]:
        """Judge every report as the ward reads it: there once, for its patient, the last text that was acknowledged."""
        groups: dict[str, list[Entry]] = {}
        for entry in self.account.of("report"):
            groups.setdefault(str(entry.keys.get("accession", "")), []).append(entry)
        arrived = []
        for accession, entries in groups.items():
            if (
                "report" in self.shown.left_out
                or not accession
                or ("report", accession) in self.shown.trouble
            ):
                continue
            found = self.shown.reports.get(accession, [])
            arrived += [one.unknown and bool(found) for one in entries]
            yield from self._reports_of(accession, sorted(entries, key=lambda one: one.at), found)
        self._count("report", arrived)

    def _reports_of(self, accession: str, entries: list[Entry], found: list[ReportSeen]) -> Iterator[Finding]:
        acknowledged = [one for one in entries if one.state == "acknowledged"]
        if not acknowledged and any(one.unknown for one in entries):
            self.said.compared["I4"] += 1
        elif not acknowledged:
            yield from self._there("report", entries[-1], len(found))
        for last in acknowledged[-1:]:
            yield from self._there("report", last, len(found))
            for one in found[:1]:
                self.said.compared["I6"] += 1
                texts = {
                    str(each.keys.get("text"))
                    for each in (last, *(e for e in entries if e.unknown))
                    if each.keys.get("text")
                }
                if texts and not any(text in one.text for text in texts):
                    yield Finding(
                        "I6",
                        "report",
                        last.id,
                        f"the report for {accession} reads otherwise than it was signed",
                    )
                yield from self._belongs("report", last, one.patient, one.accession)

    def performed(self) -> Iterator[Finding]:
        """Judge every performed procedure step: known once, and in the state that was acknowledged last."""
        steps: dict[str, list[Entry]] = {}
        for entry in self.account.of("mpps"):
            steps.setdefault(step_of(entry), []).append(entry)
        arrived = []
        for uid, entries in steps.items():
            if "mpps" in self.shown.left_out or ("mpps", uid) in self.shown.trouble:
                continue
            found = self.shown.performed.get(uid, [])
            arrived += [one.unknown and bool(found) for one in entries]
            yield from self._there(
                "mpps", next((one for one in entries if one.id == uid), entries[0]), len(found)
            )
            ended = any(one.id != uid and one.state == "acknowledged" for one in entries)
            for status in found[:1]:
                self.said.compared["I7"] += 1
                if ended and status.upper() != "COMPLETED":
                    yield Finding(
                        "I7",
                        "mpps",
                        uid,
                        f"performed step {uid} is {status}; it was acknowledged as COMPLETED",
                    )
        self._count("mpps", arrived)


def step_of(entry: Entry) -> str:
    """Return the SOP Instance UID of a performed step; its end is an entry of its own."""
    return str(entry.keys.get("mpps") or entry.id.partition("#")[0])
