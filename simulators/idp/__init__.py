"""The identity provider: signs people and programs in (OpenID Connect, OAuth 2, SMART), and takes it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.simulator import Simulator
from stepwedge.sim.web import WebDoor

from . import people
from .acts import Desk
from .habits import IdpHabits
from .provider import Provider
from .quirks import QUIRKS
from .settings import Settings
from .signing import Signer
from .state import Realm
from .web import Web

if TYPE_CHECKING:
    from stepwedge.sim.bench import Bench

__all__ = ["QUIRKS", "build"]


def build(bench: Bench) -> Simulator:
    """Return the identity provider that stands on this bench."""
    settings = Settings.read(bench.settings, bench.name)
    realm = bench.restore(Realm(bench.seed, bench.name, bench.adopt(IdpHabits())))
    signer = Signer(realm)
    with bench.change(realm):
        signer.ready()
        for user, role in settings.users.items():
            if user not in realm.users:
                people.enroll(realm, user, role)
    provider = Provider(bench, realm, settings, signer)
    desk = Desk(provider)
    return Simulator(
        bench,
        realm,
        doors=[WebDoor(bench, Web(provider).application(), guarded=False)],
        acts=desk.acts(),
        asks=desk.asks(),
    )
