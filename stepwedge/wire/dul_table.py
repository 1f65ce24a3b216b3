"""PS3.8 section 9.2 as data: ``TABLE`` is table 9-10, ``ACTIONS`` are tables 9-6 to 9-9; hold them beside the standard."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class Action(NamedTuple):
    """One action of PS3.8 tables 9-6 to 9-9.

    Attributes:
        next: the state that follows.
        send: the PDU to issue: the primitive's own, or an A-ABORT by the service user or provider.
        issue: whether an indication or confirmation goes to the service user.
        artim: what to do with the ARTIM timer.
        close: whether to close the transport connection.
    """

    next: int
    send: Literal["", "primitive", "user-abort", "provider-abort"] = ""
    issue: bool = False
    artim: Literal["", "start", "stop"] = ""
    close: bool = False


ACTIONS: Final = {
    # table 9-6, association establishment
    "AE-1": Action(4),
    "AE-2": Action(5, send="primitive"),
    "AE-3": Action(6, issue=True),
    "AE-4": Action(1, issue=True, close=True),
    "AE-5": Action(2, artim="start"),
    "AE-6": Action(
        3, artim="stop", issue=True
    ),  # or, when the provider refuses: A-ASSOCIATE-RJ, ARTIM, Sta13
    "AE-7": Action(6, send="primitive"),
    "AE-8": Action(13, send="primitive", artim="start"),
    # table 9-7, data transfer
    "DT-1": Action(6, send="primitive"),
    "DT-2": Action(6, issue=True),
    # table 9-8, association release
    "AR-1": Action(7, send="primitive"),
    "AR-2": Action(8, issue=True),
    "AR-3": Action(1, issue=True, close=True),
    "AR-4": Action(13, send="primitive", artim="start"),
    "AR-5": Action(1, artim="stop"),
    "AR-6": Action(7, issue=True),
    "AR-7": Action(8, send="primitive"),
    "AR-8": Action(9, issue=True),  # the requestor; the acceptor goes to Sta10
    "AR-9": Action(11, send="primitive"),
    "AR-10": Action(12, issue=True),
    # table 9-9, association abort
    "AA-1": Action(13, send="user-abort", artim="start"),
    "AA-2": Action(1, artim="stop", close=True),
    "AA-3": Action(1, issue=True, close=True),
    "AA-4": Action(1, issue=True),
    "AA-5": Action(1, artim="stop"),
    "AA-6": Action(13),
    "AA-7": Action(13, send="provider-abort"),
    "AA-8": Action(13, send="provider-abort", issue=True, artim="start"),
}

_TABLE_9_10: Final = """
 event  Sta1  Sta2  Sta3  Sta4  Sta5  Sta6  Sta7  Sta8  Sta9  Sta10 Sta11 Sta12 Sta13   what happened
 1      AE-1  .     .     .     .     .     .     .     .     .     .     .     .       A-ASSOCIATE request
 2      .     .     .     AE-2  .     .     .     .     .     .     .     .     .       transport connect confirmed
 3      .     AA-1  AA-8  .     AE-3  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6    A-ASSOCIATE-AC received
 4      .     AA-1  AA-8  .     AE-4  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6    A-ASSOCIATE-RJ received
 5      AE-5  .     .     .     .     .     .     .     .     .     .     .     .       transport connect indicated
 6      .     AE-6  AA-8  .     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7    A-ASSOCIATE-RQ received
 7      .     .     AE-7  .     .     .     .     .     .     .     .     .     .       A-ASSOCIATE response, accept
 8      .     .     AE-8  .     .     .     .     .     .     .     .     .     .       A-ASSOCIATE response, reject
 9      .     .     .     .     .     DT-1  .     AR-7  .     .     .     .     .       P-DATA request
 10     .     AA-1  AA-8  .     AA-8  DT-2  AR-6  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6    P-DATA-TF received
 11     .     .     .     .     .     AR-1  .     .     .     .     .     .     .       A-RELEASE request
 12     .     AA-1  AA-8  .     AA-8  AR-2  AR-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-6    A-RELEASE-RQ received
 13     .     AA-1  AA-8  .     AA-8  AA-8  AR-3  AA-8  AA-8  AR-10 AR-3  AA-8  AA-6    A-RELEASE-RP received
 14     .     .     .     .     .     .     .     AR-4  AR-9  .     .     AR-4  .       A-RELEASE response
 15     .     .     AA-1  AA-2  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1  .       A-ABORT request
 16     .     AA-2  AA-3  .     AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-3  AA-2    A-ABORT received
 17     .     AA-5  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AR-5    transport connection closed
 18     .     AA-2  .     .     .     .     .     .     .     .     .     .     AA-2    ARTIM expired
 19     .     AA-1  AA-8  .     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-8  AA-7    unrecognized or invalid PDU
"""


def _read(grid: str) -> dict[tuple[int, int], str]:
    rows = (line.split() for line in grid.strip().splitlines()[1:])
    return {
        (int(row[0]), state): action
        for row in rows
        for state, action in enumerate(row[1:14], start=1)
        if action != "."
    }


TABLE: Final = _read(_TABLE_9_10)
"""(event, state) -> action, PS3.8 table 9-10; a missing pair cannot happen or is not allowed."""
