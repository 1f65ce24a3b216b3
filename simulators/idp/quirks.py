"""Wrong behaviours the identity provider can be told to have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stepwedge.sim.quirks import collect, quirk

from .habits import IdpHabits

if TYPE_CHECKING:
    from collections.abc import Callable


@quirk(
    "idp.no_lockout",
    defect="not listed",
    severity="S2",
    overrides=IdpHabits.locks,
    notices="a program tries passwords all night, and nobody stops it",
)
def no_lockout(original: Callable[[int, int], bool], failures: int, allowed: int) -> bool:  # noqa: ARG001 - a quirk knows the habit it replaces
    """Lock no account."""
    return False


@quirk(
    "idp.totp_unchecked",
    defect="not listed",
    severity="S1",
    overrides=IdpHabits.second_factor,
    notices="the password alone opens the door; whatever stands in the field for the code",
)
def totp_unchecked(original: Callable[..., bool], *, right: bool) -> bool:  # noqa: ARG001 - a quirk knows the habit it replaces
    """Take any one-time password."""
    return True


@quirk(
    "idp.totp_replayed",
    defect="not listed",
    severity="S2",
    overrides=IdpHabits.takes_step,
    notices="a code that was read over somebody's shoulder works once more",
)
def totp_replayed(original: Callable[[int, int], bool], step: int, last: int) -> bool:
    """Take a one-time password again as long as its time step lasts."""
    return original(step, last) or step == last


@quirk(
    "idp.pkce_optional",
    defect="not listed",
    severity="S2",
    overrides=IdpHabits.wants_challenge,
    notices="an app signs people in without proof that the code is its own",
)
def pkce_optional(original: Callable[..., bool], challenge: str, method: str, *, public: bool) -> bool:  # noqa: ARG001 - a quirk knows the habit it replaces
    """Ask nobody for a code challenge, and take any method."""
    return False


@quirk(
    "idp.pkce_unchecked",
    defect="not listed",
    severity="S1",
    overrides=IdpHabits.proves,
    notices="an intercepted code is enough to become somebody else",
)
def pkce_unchecked(original: Callable[[str, str], bool], challenge: str, verifier: str) -> bool:  # noqa: ARG001 - a quirk knows the habit it replaces
    """Take any code verifier."""
    return True


@quirk(
    "idp.open_redirect",
    defect="not listed",
    severity="S1",
    overrides=IdpHabits.returns_to,
    notices="a link in a mail signs people in and brings the code to somebody else's server",
)
def open_redirect(
    original: Callable[[tuple[str, ...], str], bool], registered: tuple[str, ...], asked: str
) -> bool:
    """Send browsers wherever they are told."""
    return original(registered, asked) or bool(asked)


@quirk(
    "idp.code_reusable",
    defect="not listed",
    severity="S2",
    overrides=IdpHabits.spent,
    notices="a code from a browser's history still gives tokens, and a signed assertion is taken twice",
)
def code_reusable(original: Callable[..., bool], *, used: bool) -> bool:  # noqa: ARG001 - a quirk knows the habit it replaces
    """Take codes and assertions more than once."""
    return False


@quirk(
    "idp.refresh_reusable",
    defect="not listed",
    severity="S2",
    overrides=IdpHabits.refresh_spent,
    notices="a stolen refresh token works beside the real one for weeks, and nobody notices",
)
def refresh_reusable(original: Callable[..., bool], *, used: bool) -> bool:  # noqa: ARG001 - a quirk knows the habit it replaces
    """Take refresh tokens more than once."""
    return False


@quirk(
    "idp.any_client",
    defect="not listed",
    severity="S1",
    overrides=IdpHabits.proves_client,
    notices="any program that knows another one's name gets its tokens",
)
def any_client(original: Callable[..., bool], *, right: bool) -> bool:  # noqa: ARG001 - a quirk knows the habit it replaces
    """Believe every client's name."""
    return True


@quirk(
    "idp.revoked_active",
    defect="DEF-185",
    severity="S1",
    overrides=IdpHabits.active,
    notices="a doctor who was dismissed goes on reading until the token expires by itself",
)
def revoked_active(original: Callable[..., bool], *, revoked: bool) -> bool:  # noqa: ARG001 - a quirk knows the habit it replaces
    """Say of a revoked token that it is active."""
    return True


@quirk(
    "idp.scope_inflated",
    defect="not listed",
    severity="S1",
    overrides=IdpHabits.grants,
    notices="an administrator's token opens patients' images",
)
def scope_inflated(
    original: Callable[[list[str], list[str]], list[str]], asked: list[str], allowed: list[str]
) -> list[str]:
    """Grant whatever was asked for."""
    return [*original(asked, allowed), *(word for word in asked if word not in allowed)]


@quirk(
    "idp.fhir_user_other",
    defect="not listed",
    severity="S1",
    overrides=IdpHabits.is_user,
    notices="a report is signed in a colleague's name (fhirUser names another Practitioner)",
)
def fhir_user_other(original: Callable[..., str], name: str, everybody: list[str]) -> str:
    """Name whoever comes first."""
    return next((one for one in everybody if one != name), original(name, everybody))


@quirk(
    "idp.launch_context_lost",
    defect="not listed",
    severity="S2",
    overrides=IdpHabits.context,
    notices="the app opens the patient's record, and no longer knows of which stay (no encounter in the token response)",
)
def launch_context_lost(
    _: Callable[..., dict[str, Any]], told: dict[str, Any], launched: dict[str, str]
) -> dict[str, Any]:
    """Tell the patient alone."""
    return {key: value for key, value in told.items() if key not in launched}


QUIRKS = collect(globals())
