"""Association negotiation (PS3.8 sections 7.1 and 9.3, PS3.7 annex D) as plain values.

pynetdicom's codecs read and write the PDUs; they are imported with the first association. What went out or came in
once is remembered, since the same peers propose the same again and again.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire.elements import IMPLICIT_LE
from stepwedge.wire.encodings import PLAIN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION_UID: Final = "2.25.184093201773465019386403297655810417063.1"
IMPLEMENTATION_VERSION: Final = "STEPWEDGE_0_1"
TITLE: Final = 16
"""Longest AE title (PS3.5 table 6.2-1)."""
OPTIONS: Final = 128
"""Extended negotiation items that are read; there cannot be more presentation contexts either."""
FIXED: Final = 68
"""Bytes of an A-ASSOCIATE-RQ or -AC before its items (PS3.8 table 9-11)."""

ACCEPTED, USER_REJECTED, NO_REASON, ABSTRACT_UNKNOWN, TRANSFERS_UNKNOWN = 0, 1, 2, 3, 4
"""Result of one presentation context (PS3.8 table 9-18)."""
RESULTS: Final = {
    ACCEPTED: "accepted",
    USER_REJECTED: "rejected by the user",
    NO_REASON: "rejected without a reason",
    ABSTRACT_UNKNOWN: "abstract syntax not supported",
    TRANSFERS_UNKNOWN: "transfer syntaxes not supported",
}


@dataclass(frozen=True, slots=True)
class Context:
    """A proposed presentation context: an odd number, an abstract syntax, transfer syntaxes in preference order."""

    id: int
    abstract: str
    transfers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Role:
    """SCP/SCU role selection for one SOP class (PS3.7 D.3.3.4): what the association requestor may be."""

    abstract: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class Extended:
    """SOP Class Extended Negotiation (PS3.7 D.3.3.5): one byte for each option of a service, 1 where it is wanted or given."""

    abstract: str
    information: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """An A-ASSOCIATE-RQ."""

    calling: str
    called: str
    contexts: tuple[Context, ...]
    max_pdu: int = 16384
    roles: tuple[Role, ...] = ()
    implementation: str = IMPLEMENTATION_UID
    version: str = IMPLEMENTATION_VERSION
    application_context: str = APPLICATION_CONTEXT
    protocol: int = 1
    extended: tuple[Extended, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one proposed presentation context; ``transfer`` counts only when accepted."""

    id: int
    result: int
    transfer: str = ""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An A-ASSOCIATE-AC."""

    calling: str
    called: str
    answers: tuple[Answer, ...]
    max_pdu: int = 16384
    roles: tuple[Role, ...] = ()
    implementation: str = IMPLEMENTATION_UID
    version: str = IMPLEMENTATION_VERSION
    extended: tuple[Extended, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejection:
    """An A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int
    source: int
    reason: int

    def __str__(self) -> str:
        """Give the numbers and the standard's words."""
        lasting = {1: "permanent", 2: "transient"}.get(self.result, f"result {self.result}")
        words = REJECTIONS.get((self.source, self.reason), "reason unknown to PS3.8")
        return f"association rejected {self.result}/{self.source}/{self.reason}: {words} ({lasting})"


REJECTIONS: Final = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given by the service provider",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}
CALLED_UNKNOWN: Final = Rejection(1, 1, 7)
CALLING_UNKNOWN: Final = Rejection(1, 1, 3)
APPLICATION_UNKNOWN: Final = Rejection(1, 1, 2)
PROTOCOL_UNKNOWN: Final = Rejection(1, 2, 2)
LIMIT_EXCEEDED: Final = Rejection(2, 3, 2)


def contexts(wanted: Iterable[str | tuple[str, Sequence[str]]]) -> tuple[Context, ...]:
    """Number presentation contexts 1, 3, 5 …; a bare SOP class stands for explicit and implicit little endian."""
    pairs = [(each, PLAIN) if isinstance(each, str) else (each[0], tuple(each[1])) for each in wanted]
    if not 1 <= len(pairs) <= 128:  # noqa: PLR2004  odd numbers of one byte, PS3.8 table 9-13
        raise LocalProtocolError(f"an association proposes 1 to 128 presentation contexts, not {len(pairs)}")
    return tuple(Context(2 * n + 1, abstract, transfers) for n, (abstract, transfers) in enumerate(pairs))


def answer(
    proposal: Proposal,
    accepts: Mapping[str, Sequence[str]],
    max_pdu: int,
    *,
    as_proposed: frozenset[str] = frozenset(),
    options: Mapping[str, bytes] | None = None,
) -> Acceptance:
    """Accept what ``accepts`` (SOP class -> transfer syntaxes, ours preferred first) allows.

    A transfer syntax of ``as_proposed`` that the peer names first is taken at its word. Of the ``options`` of a SOP class
    (extended negotiation) the peer gets those that it asked for. Roles are granted as proposed: a peer may be provider of
    what it wants to receive by C-GET or to report on.
    """
    answers: list[Answer] = []
    for context in proposal.contexts:
        ours = accepts.get(context.abstract)
        if ours is None:
            answers.append(Answer(context.id, ABSTRACT_UNKNOWN, context.transfers[0]))
            continue
        first = context.transfers[0]
        ours = (first, *ours) if first in as_proposed and first in ours else ours
        chosen = next((syntax for syntax in ours if syntax in context.transfers), None)
        if chosen is None:
            answers.append(Answer(context.id, TRANSFERS_UNKNOWN, context.transfers[0]))
        else:
            answers.append(Answer(context.id, ACCEPTED, chosen))
    roles = tuple(role for role in proposal.roles if role.abstract in accepts)
    extended = tuple(
        Extended(asked.abstract, bytes(map(min, asked.information, known)))
        for asked in proposal.extended
        if (known := (options or {}).get(asked.abstract))
    )
    return Acceptance(proposal.calling, proposal.called, tuple(answers), max_pdu, roles, extended=extended)


@lru_cache(maxsize=256)
def write_proposal(proposal: Proposal) -> bytes:
    """Write an A-ASSOCIATE-RQ."""
    from pynetdicom import pdu, pdu_items

    request = pdu.A_ASSOCIATE_RQ()
    request.protocol_version = proposal.protocol
    items: list[Any] = [_application_context(pdu_items, proposal.application_context)]
    for context in proposal.contexts:
        item = pdu_items.PresentationContextItemRQ()
        item.presentation_context_id = context.id
        abstract = pdu_items.AbstractSyntaxSubItem()
        abstract.abstract_syntax_name = context.abstract
        item.abstract_transfer_syntax_sub_items = [
            abstract,
            *(_transfer_syntax(pdu_items, syntax) for syntax in context.transfers),
        ]
        items.append(item)
    return _written(request, items, proposal)


@lru_cache(maxsize=256)
def write_acceptance(acceptance: Acceptance) -> bytes:
    """Write an A-ASSOCIATE-AC."""
    from pynetdicom import pdu, pdu_items

    accept = pdu.A_ASSOCIATE_AC()
    items: list[Any] = [_application_context(pdu_items, APPLICATION_CONTEXT)]
    for each in acceptance.answers:
        item = pdu_items.PresentationContextItemAC()
        item.presentation_context_id = each.id
        item.result_reason = each.result
        item.transfer_syntax_sub_item = [_transfer_syntax(pdu_items, each.transfer or IMPLICIT_LE)]
        items.append(item)
    return _written(accept, items, acceptance)


def _application_context(pdu_items: Any, name: str) -> Any:
    item = pdu_items.ApplicationContextItem()
    item.application_context_name = name
    return item


def _transfer_syntax(pdu_items: Any, uid: str) -> Any:
    item = pdu_items.TransferSyntaxSubItem()
    item.transfer_syntax_name = uid
    return item


def _is_title(text: str) -> bool:
    return 1 <= len(text.strip()) <= TITLE and text.isascii() and text.isprintable() and "\\" not in text


def _written(message: Any, items: list[Any], values: Proposal | Acceptance) -> bytes:
    from pynetdicom import pdu_items

    for title in (values.calling, values.called):
        if not _is_title(title):
            raise LocalProtocolError(
                f"{title!r} is no AE title: 1 to 16 printable ASCII characters (PS3.5 6.2)"
            )
    if isinstance(values, Proposal):
        message.called_ae_title, message.calling_ae_title = values.called, values.calling
    else:
        message.reserved_aet, message.reserved_aec = values.called, values.calling
    length = pdu_items.MaximumLengthSubItem()
    length.maximum_length_received = values.max_pdu
    uid = pdu_items.ImplementationClassUIDSubItem()
    uid.implementation_class_uid = values.implementation
    data: list[Any] = [length, uid]
    for role in values.roles:
        item = pdu_items.SCP_SCU_RoleSelectionSubItem()
        item.sop_class_uid, item.scu_role, item.scp_role = role.abstract, int(role.scu), int(role.scp)
        data.append(item)
    for each in values.extended:
        item = pdu_items.SOPClassExtendedNegotiationSubItem()
        item.sop_class_uid, item.service_class_application_information = each.abstract, each.information
        data.append(item)
    if values.version:
        version = pdu_items.ImplementationVersionNameSubItem()
        version.implementation_version_name = values.version
        data.append(version)
    user = pdu_items.UserInformationItem()
    user.user_data = data
    message.variable_items = [*items, user]
    raw: bytes = message.encode()
    return raw


@lru_cache(maxsize=64)
def read_proposal(body: bytes) -> Proposal:
    """Read an A-ASSOCIATE-RQ from what follows its PDU header."""
    from pynetdicom import pdu

    with _reading(body):
        request, user = _decoded(pdu.A_ASSOCIATE_RQ(), 1, body)
        proposal = Proposal(
            calling=str(request.calling_ae_title).strip(),
            called=str(request.called_ae_title).strip(),
            contexts=tuple(
                Context(
                    item.presentation_context_id,
                    str(item.abstract_syntax or ""),
                    tuple(str(syntax) for syntax in item.transfer_syntax),
                )
                for item in request.presentation_context
            ),
            application_context=str(request.application_context_name or ""),
            protocol=request.protocol_version,
            **user,
        )
    numbers = [context.id for context in proposal.contexts]
    if not numbers or len(numbers) != len(set(numbers)) or any(number % 2 == 0 for number in numbers):
        raise RemoteProtocolError(
            f"presentation context IDs must be odd and unique, not {numbers} (PS3.8 table 9-13)"
        )
    if any(not context.abstract or not context.transfers for context in proposal.contexts):
        raise RemoteProtocolError(
            "a presentation context lacks its abstract or transfer syntax (PS3.8 table 9-13)"
        )
    return proposal


@lru_cache(maxsize=64)
def read_acceptance(body: bytes) -> Acceptance:
    """Read an A-ASSOCIATE-AC from what follows its PDU header."""
    from pynetdicom import pdu

    with _reading(body):
        accept, user = _decoded(pdu.A_ASSOCIATE_AC(), 2, body)
        return Acceptance(
            calling=body[20:36].decode("ascii", "replace").strip(),
            called=body[4:20].decode("ascii", "replace").strip(),
            answers=tuple(
                Answer(
                    item.presentation_context_id,
                    item.result,
                    str(item.transfer_syntax or "") if item.result == ACCEPTED else "",
                )
                for item in accept.presentation_context
            ),
            **user,
        )


@contextmanager
def _reading(body: bytes) -> Iterator[None]:
    """Blame the peer for whatever pynetdicom's decoder stumbles over, and when."""
    if len(body) < FIXED:
        raise RemoteProtocolError("the association PDU ends inside its fixed part (PS3.8 table 9-11)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about UIDs: whether they are known is for ``answer`` to say
            yield
    except Exception as error:  # the decoder raises whatever its parsing meets, some of it only when asked
        raise RemoteProtocolError(f"the association PDU cannot be read: {error}") from error


def _decoded(message: Any, kind: int, body: bytes) -> tuple[Any, dict[str, Any]]:
    """Let pynetdicom decode; return its PDU and what the user information says."""
    message.decode(bytes((kind, 0)) + len(body).to_bytes(4, "big") + body)
    user = message.user_information
    return message, {
        "max_pdu": int(user.maximum_length),
        "roles": tuple(
            Role(str(uid), bool(role.scu_role), bool(role.scp_role))
            for uid, role in user.role_selection.items()
        ),
        "extended": tuple(
            Extended(str(item.uid), bytes(item.app_info or b"")) for item in user.ext_neg[:OPTIONS]
        ),
        "implementation": str(user.implementation_class_uid or ""),
        "version": str(user.implementation_version_name or ""),
    }


def read_rejection(body: bytes) -> Rejection:
    """Read an A-ASSOCIATE-RJ."""
    try:
        _, result, source, reason = body
    except ValueError:
        raise RemoteProtocolError(
            "an A-ASSOCIATE-RJ has 4 bytes after its header (PS3.8 table 9-21)"
        ) from None
    return Rejection(result, source, reason)
