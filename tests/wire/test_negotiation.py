"""Association negotiation: pynetdicom as oracle and bad requests."""

import pytest

from stepwedge.errors import LocalProtocolError, RemoteProtocolError
from stepwedge.wire import negotiation
from stepwedge.wire.elements import EXPLICIT_LE, IMPLICIT_LE
from stepwedge.wire.negotiation import Acceptance, Answer, Context, Proposal, Role

CT = "1.2.840.10008.5.1.4.1.1.2"
ECHO = "1.2.840.10008.1.1"
PROPOSAL = Proposal(
    "SW_CT1", "PACS", (Context(1, CT, (EXPLICIT_LE, IMPLICIT_LE)),), 16384, (Role(CT, True, True),)
)


def body(raw):
    return raw[6:]


def test_round_trips():
    assert negotiation.read_proposal(body(negotiation.write_proposal(PROPOSAL))) == PROPOSAL
    acceptance = Acceptance(
        "SW_CT1", "PACS", (Answer(1, 0, EXPLICIT_LE), Answer(3, 4)), 0, (Role(CT, True, False),)
    )
    assert negotiation.read_acceptance(body(negotiation.write_acceptance(acceptance))) == acceptance


def test_pynetdicom_proposes_the_same():
    from pynetdicom import AE, build_context
    from pynetdicom.pdu import A_ASSOCIATE_RQ
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        ImplementationClassUIDNotification,
        ImplementationVersionNameNotification,
        MaximumLengthNotification,
        SCP_SCU_RoleSelectionNegotiation,
    )

    assert AE is not None
    primitive = A_ASSOCIATE()
    primitive.application_context_name = negotiation.APPLICATION_CONTEXT
    primitive.calling_ae_title, primitive.called_ae_title = "SW_CT1", "PACS"
    context = build_context(CT, [EXPLICIT_LE, IMPLICIT_LE])
    context.context_id = 1
    primitive.presentation_context_definition_list = [context]
    length, uid = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = 16384
    uid.implementation_class_uid = negotiation.IMPLEMENTATION_UID
    role, version = SCP_SCU_RoleSelectionNegotiation(), ImplementationVersionNameNotification()
    role.sop_class_uid, role.scu_role, role.scp_role = CT, True, True
    version.implementation_version_name = negotiation.IMPLEMENTATION_VERSION
    primitive.user_information = [length, uid, role, version]
    assert A_ASSOCIATE_RQ(primitive).encode() == negotiation.write_proposal(PROPOSAL)


GOOD = negotiation.write_proposal(PROPOSAL)


@pytest.mark.parametrize(
    "raw",
    [GOOD[:60], GOOD[:80], GOOD[:-3], GOOD[:74], GOOD[:120], GOOD.replace(b"SW_CT1", b"      ")],
)
def test_broken_requests_are_the_peers_fault(raw):
    with pytest.raises(RemoteProtocolError, match="association PDU"):
        negotiation.read_proposal(body(raw))


@pytest.mark.parametrize("numbers", [(1, 1), (2,), (1, 4)])
def test_context_numbers_are_odd_and_unique(numbers):
    legal = Proposal("A", "B", negotiation.contexts([CT] * len(numbers)))
    raw, at = bytearray(negotiation.write_proposal(legal)), 74
    for number in numbers:
        at = raw.index(b"\x20\0", at + 1)
        raw[at + 4] = number
    with pytest.raises(RemoteProtocolError, match="odd and unique"):
        negotiation.read_proposal(body(bytes(raw)))


@pytest.mark.parametrize("title", ["", " ", "X" * 17, "A\\B", "Ä", "A\n"])
def test_ae_titles_are_checked_before_they_leave(title):
    with pytest.raises(LocalProtocolError, match="AE title"):
        negotiation.write_proposal(Proposal(title, "PACS", PROPOSAL.contexts))


@pytest.mark.parametrize("count", [0, 129])
def test_one_to_128_contexts(count):
    with pytest.raises(LocalProtocolError, match="128"):
        negotiation.contexts([CT] * count)


def test_answers():
    proposal = Proposal(
        "SW_CT1",
        "PACS",
        negotiation.contexts([(CT, [IMPLICIT_LE, EXPLICIT_LE]), (CT, ["1.2.840.10008.1.2.4.50"]), "1.2.3"]),
        roles=(Role(CT, scu=False, scp=True), Role("1.2.3", scu=True, scp=True)),
    )
    found = negotiation.answer(proposal, {CT: [EXPLICIT_LE, IMPLICIT_LE], ECHO: [IMPLICIT_LE]}, 65536)
    assert [(each.id, each.result) for each in found.answers] == [(1, 0), (3, 4), (5, 3)]
    assert found.answers[0].transfer == EXPLICIT_LE
    assert found.roles == (Role(CT, scu=False, scp=True),)
