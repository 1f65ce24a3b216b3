"""The images of a case: acquired, sent, accepted, listed, committed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from stepwedge.evidence.exchange import Exchange
    from stepwedge.wire.elements import Elements

REJECTIONS: Final = frozenset({"113001", "113037", "113038", "113039"})
"""Titles of rejection notes (DCM, RAD-66); 113001 may be shown or hidden, as the site has it."""
_QUALITY, _EXPIRED, _WRONG_ENTRY = "113001", "113039", "113038"
_MISTAKEN: Final = "110514"
"""Discontinuation reason (DCM, CID 9300): incorrect worklist entry selected."""
_KEY_OBJECTS: Final = "1.2.840.10008.5.1.4.1.1.88.59"
_TAKEN: Final = frozenset({"0000", "B000", "B006", "B007"})
"""PS3.4 table B.2-1: success, and the warnings after which the instance is stored all the same."""
_REPORTED: Final = frozenset({"sign_report", "add_addendum", "call_result"})
"""Words of the reader that may store a structured report."""


@dataclass(slots=True)
class Account:
    """What became of the images of one study.

    Attributes:
        pixels: SHA-256 of the pixels as acquired, by SOP Instance UID; ``acquired`` are its keys.
        series: Series Instance UID of each image.
        by_step: SOP Instance UIDs by the performed step under which they were acquired.
        sent: every image that was sent at least once; ``taken`` those the archive accepted at least once.
        moved: each successful C-MOVE or C-GET of the whole study, and how many instances could be meant at least and at most.
        headers: the data set, without pixels, of the first accepted copy.
        withdrawn: images that a rejection note or a deletion took away, each with the code of the reason.
        attached: accepted objects of the study that are no acquired images, and whether they may be shown.
        committed: images the archive said it answers for; ``uncommitted`` those that it had taken and said it does not.
    """

    study: str
    pixels: dict[str, str] = field(default_factory=dict)
    series: dict[str, str] = field(default_factory=dict)
    by_step: dict[str, set[str]] = field(default_factory=dict)
    sent: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    moved: list[tuple[Exchange, tuple[int, int]]] = field(default_factory=list)
    headers: dict[str, Elements] = field(default_factory=dict)
    committed: set[str] = field(default_factory=set)
    uncommitted: dict[str, str] = field(default_factory=dict)
    withdrawn: dict[str, str] = field(default_factory=dict)
    attached: dict[str, bool] = field(default_factory=dict)

    @property
    def here(self) -> set[str]:
        """The images that the archive must show: taken, and not withdrawn since."""
        return self.taken - self.withdrawn.keys()

    def counts(self) -> tuple[int, int]:
        """Return how many instances the archive shows at least and at most."""
        return len(self.here), len(self.here) + sum(self.attached.values())


def accounts(exchanges: Iterable[Exchange], forged: Container[str] = ()) -> list[Account]:
    """Draw up one account for each study of which images were acquired; results of ``forged`` transactions are nobody's."""
    books = _Books(forged)
    for exchange in sorted(exchanges, key=lambda one: one.at):
        if exchange.protocol == "act" and "result" in exchange.facts:
            books.enter(exchange.kind, exchange.facts["result"])
        elif exchange.kind == "C-STORE" and exchange.outcome in _TAKEN and "dataset" in exchange.facts:
            books.keep(exchange.facts["dataset"]["header"])
        elif exchange.kind == "N-SET" and exchange.outcome == "0000":
            books.mistaken(exchange.facts.get("identifier") or {})
        elif exchange.kind in {"C-MOVE", "C-GET"} and exchange.outcome == "0000":
            books.retrieved(exchange)
    return list(books.accounts.values())


@dataclass(slots=True)
class _Books:
    """The accounts while they are drawn up, and whose image is whose."""

    forged: Container[str] = ()
    accounts: dict[str, Account] = field(default_factory=dict)
    owners: dict[str, Account] = field(default_factory=dict)

    def enter(self, word: str, result: dict[str, Any]) -> None:
        """Enter the result of one act."""
        if word in {"acquire", "report_dose"}:
            self._acquired(result)
        elif result.get("sr") and word in _REPORTED:
            self._reported(result)
        elif word == "store_images":
            for image in result.get("sent") or []:
                self._sent(image["sop"], str(image.get("status") or ""))
        elif word == "commit" and result.get("transaction") not in self.forged:
            self._answered_for(result)
        elif word == "delete_study":
            self._removed(str(result.get("study") or ""))
        elif word == "apply_retention":
            for one in result.get("studies") or []:
                self._removed(str(one.get("study") or ""))

    def _answered_for(self, result: dict[str, Any]) -> None:
        for sop in result.get("committed") or []:
            if sop in self.owners:
                self.owners[sop].committed.add(sop)
        for item in result.get("failed") or []:
            owner = self.owners.get(item["sop"])
            if (
                owner is not None and item["sop"] in owner.taken
            ):  # who never had it says so rightly, and is asked again
                owner.uncommitted[item["sop"]] = str(item.get("reason") or "")

    def keep(self, header: Elements) -> None:
        """Keep the header of the first accepted copy of an image; an object that is none is attached to its study."""
        sop = str(header.get("SOPInstanceUID") or "")
        if sop in self.owners:
            self.owners[sop].headers.setdefault(sop, header)
        elif (account := self.accounts.get(str(header.get("StudyInstanceUID") or ""))) is not None:
            code = _rejection(header)
            if account.attached.get(sop) is None:
                account.attached[sop] = code in {"", _QUALITY}
                self._rejected(code, header)

    def _rejected(self, code: str, header: Elements) -> None:
        """Take away what a rejection note names (PS3.3 C.17.6.2)."""
        for study in header.get("CurrentRequestedProcedureEvidenceSequence") or [] if code else []:
            for series in study.get("ReferencedSeriesSequence") or []:
                for item in series.get("ReferencedSOPSequence") or []:
                    sop = str(item.get("ReferencedSOPInstanceUID") or "")
                    if sop in self.owners:
                        self.owners[sop].withdrawn[sop] = code

    def _removed(self, study: str) -> None:
        """Take away everything of a study that was deleted."""
        if (account := self.accounts.get(study)) is not None:
            account.withdrawn |= dict.fromkeys(account.taken, _EXPIRED)
            account.attached = dict.fromkeys(account.attached, False)

    def mistaken(self, attributes: Elements) -> None:
        """Take away the images of an exam begun from the wrong worklist entry (110514, RAD-7)."""
        reasons = attributes.get("PerformedProcedureStepDiscontinuationReasonCodeSequence") or [{}]
        for sop in _references(attributes) if reasons[0].get("CodeValue") == _MISTAKEN else ():
            if sop in self.owners:
                self.owners[sop].withdrawn[sop] = _WRONG_ENTRY

    def retrieved(self, exchange: Exchange) -> None:
        """Note a retrieval at the study level."""
        identifier = exchange.facts.get("identifier") or {}
        account = self.accounts.get(str(identifier.get("StudyInstanceUID") or ""))
        if account is not None and identifier.get("QueryRetrieveLevel") == "STUDY":
            account.moved.append((exchange, account.counts()))

    def _acquired(self, result: dict[str, Any]) -> None:
        study = str(result.get("study") or "")
        account = self.accounts.setdefault(study, Account(study))
        for image in result.get("instances") or []:
            account.pixels[image["sop"]] = image["pixels"]
            account.series[image["sop"]] = str(result.get("series") or "")
            account.by_step.setdefault(str(result.get("mpps") or ""), set()).add(image["sop"])
            self.owners[image["sop"]] = account

    def _reported(self, result: dict[str, Any]) -> None:
        """Enter a structured report that the reader stored beside the images; it has no pixels."""
        account, sop = self.accounts.get(str(result.get("study") or "")), str(result["sr"])
        if account is not None:
            account.pixels[sop], account.series[sop] = "", str(result.get("series") or "")
            self.owners[sop] = account
            self._sent(sop, "0000")

    def _sent(self, sop: str, status: str) -> None:
        if sop in self.owners:
            self.owners[sop].sent.setdefault(sop, status)
            if status in _TAKEN:
                if sop in self.owners[sop].taken and self.owners[sop].withdrawn.get(sop) == _EXPIRED:
                    del self.owners[sop].withdrawn[
                        sop
                    ]  # what was deleted, and is sent again, is there again (RAD-66)
                self.owners[sop].taken.add(sop)


def _rejection(header: Elements) -> str:
    """Return the code of a rejection note's title; empty for every other object."""
    title: Elements = next(iter(header.get("ConceptNameCodeSequence") or []), {})
    code = str(title.get("CodeValue") or "")
    noted = header.get("SOPClassUID") == _KEY_OBJECTS and title.get("CodingSchemeDesignator") == "DCM"
    return code if noted and code in REJECTIONS else ""


def listed(exchanges: Iterable[Exchange]) -> dict[str, set[str]]:
    """Return the SOP Instance UIDs that each completed performed step lists (PS3.4 table F.7.2-1)."""
    series: dict[str, Elements] = {}
    done: set[str] = set()
    for exchange in sorted(exchanges, key=lambda one: one.at):
        if exchange.kind not in {"N-CREATE", "N-SET"} or exchange.outcome != "0000":
            continue
        uid, attributes = str(exchange.facts.get("sop") or ""), exchange.facts.get("identifier") or {}
        if attributes.get("PerformedSeriesSequence"):
            series[uid] = attributes
        if attributes.get("PerformedProcedureStepStatus") == "COMPLETED":
            done.add(uid)
    return {uid: set(_references(series.get(uid, {}))) for uid in done}


def _references(attributes: Elements) -> Iterator[str]:
    for series in attributes.get("PerformedSeriesSequence") or []:
        for name in ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence"):
            for item in series.get(name) or []:
                yield str(item.get("ReferencedSOPInstanceUID") or "")
