"""Known wrong behaviours of departments in what they take from HL7 messages and send on by them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.quirks import quirk

from .habits import RisHabits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from stepwedge.model.order import Order


@quirk(
    "cancel.after_final",
    defect="DEF-219",
    severity="S1",
    overrides=RisHabits.stands,
    notices="an exam that was done and reported is cancelled, as if it had never been (CR to a CA after the report)",
)
def after_final(original: Callable[[str], str], status: str) -> str:
    """Take an exam that is over for one that is still to be done."""
    return "scheduled" if status == "completed" else original(status)


@quirk(
    "order.modality_change_reuse",
    defect="DEF-263",
    severity="S2",
    overrides=RisHabits.study_for,
    notices="the CT lies in the study of the X-ray it replaces ((0020,000D) of another order of the patient)",
)
def modality_change_reuse(
    original: Callable[[str, tuple[str, ...]], str], own: str, others: tuple[str, ...]
) -> str:
    """Put what is ordered instead of another exam into that exam's study."""
    return next(iter(others), original(own, others))


@quirk(
    "psu.wrong_orc1",
    defect="DEF-020",
    severity="S2",
    overrides=RisHabits.status_control,
    notices="the ward never learns that an exam is done (ORC-1 is OK and not SC when ORC-5 is CM)",
)
def wrong_orc1(original: Callable[[str, str], str], control: str, status: str) -> str:
    """Tell of a completed exam under the code of an answer."""
    return "OK" if status == "CM" else original(control, status)


@quirk(
    "report.verifier",
    defect="DEF-132",
    severity="S3",
    overrides=RisHabits.verifier,
    notices="the report is signed by nobody one knows (OBR-32 has family and given name exchanged)",
)
def verifier(original: Callable[[str], str], author: str) -> str:
    """Read the parts of the interpreter's name one place off."""
    family, _, rest = original(author).partition("^")
    given, _, more = rest.partition("^")
    return f"{given}^{family}" + (f"^{more}" if more else "")


@quirk(
    "hl7.unescape_swallow",
    defect="DEF-048",
    severity="S2",
    overrides=RisHabits.reported_text,
    notices="a backslash of the report is gone (OBX-5 has one sign less than was dictated)",
)
def unescape_swallow(original: Callable[[str], str], text: str) -> str:
    """Lose what an escape sequence stands for."""
    return original(text).replace("\\", "")


@quirk(
    "hl7.large_forward_fails",
    defect="DEF-074",
    severity="S2",
    overrides=RisHabits.attachment,
    notices="the ward has the report without its page (no OBX of type ED behind the department)",
)
def large_forward_fails(_: Callable[[str], str], _pdf: str) -> str:
    """Leave out what does not fit into one record."""
    return ""


@quirk(
    "report.first_of_many",
    defect="DEF-137",
    severity="S1",
    overrides=RisHabits.agreed,
    notices="the report hangs at another exam of the patient (of numbers of two orders the first is taken)",
)
def first_of_many(_: Callable[..., Order | None], found: Sequence[Order | None]) -> Order | None:
    """Take the first order that some number fits."""
    return next((order for order in found if order is not None), None)


@quirk(
    "token.in_url",
    defect="DEF-177",
    severity="S2",
    overrides=RisHabits.link,
    notices="whoever reads a log file can open the images (the address in OBX-5 holds a token)",
)
def token_in_url(original: Callable[[str], str], address: str) -> str:
    """Write the key beside the door."""
    return f"{original(address)}?access_token=letmein"
