"""What an app that was launched from a record is told: in whose record it stands, and who is at the screen (SMART App Launch 2.2)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from stepwedge.actors.bearing import wallet
from stepwedge.actors.wallet import APP
from stepwedge.errors import Failed
from stepwedge.evidence.exchange import Exchange
from stepwedge.wire import tokens
from stepwedge.wire.oidc import Client

if TYPE_CHECKING:
    from stepwedge.actors.cast import Cast

SCOPE: Final = "launch openid fhirUser user/*.rs"
CONTEXT: Final = ("patient", "encounter", "intent")


def told(cast: Cast, user: str, launch: str) -> tuple[dict[str, Any], int]:
    """Launch an app, sign ``user`` in, and return what the app then knows, with the number of the evidence.

    The ID token is verified with the provider's published keys, and what its ``fhirUser`` names is read with the access token.
    """
    purse = wallet(cast)
    began, ticks = time.time(), time.monotonic()
    held = purse.sign_in(user, SCOPE, launch=launch)
    with purse.oidc(Client(APP)) as provider:
        policy = tokens.Policy(purse.url, (APP,), types=frozenset({"jwt", ""}))
        try:
            identity = tokens.verify(held.identity, provider.keys(), policy, time.time()).all
        except tokens.TokenRefused as trouble:
            raise Failed(f"the ID token does not hold: {trouble}") from trouble
        named = str(identity.get("fhirUser", ""))
        person = provider.resource(named, held.access) if named else {}
    known: dict[str, Any] = {key: held.context.get(key, "") for key in CONTEXT}
    known |= {"user": identity.get("sub", ""), "fhir_user": named, "person": person}
    number = cast.observe(
        Exchange(
            0,
            began,
            time.monotonic() - ticks,
            "probe",
            "out",
            "web",
            "launch",
            purse.issuer,
            "200",
            {},
            known,
        )
    )
    return known, number
