"""A system in a container: what an engine can do to it, with the engine's own word that it happened.

The engine is spoken to through its Python client, so that states and exit codes are values and not text.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import Broken, Inconclusive
from stepwedge.lab.containers import LABEL

if TYPE_CHECKING:
    from collections.abc import Callable

_KILLED: Final = 137
"""128 and SIGKILL: the exit code that engines give a container that was killed."""
_GRACE: Final = 10
_PATIENCE: Final = 30.0
_LOOK: Final = 0.05
_ELSEWHERE: Final = {
    "disk-full": "its state lies in a volume on the machine's own disk, which nobody may fill",
    "fd-limit": "an engine sets the limits of a container only when it creates it",
}


@dataclass(slots=True)
class Box:
    """One system in a container of ours, found by its labels; no other container is ever touched."""

    name: str

    def cannot(self, kind: str) -> str:
        """Return why it cannot have this trouble here; empty when it can."""
        if kind in _ELSEWHERE:
            return _ELSEWHERE[kind]
        try:
            self._container()
        except Broken as trouble:
            return str(trouble)
        return ""

    def kill(self) -> str:
        """Kill it with SIGKILL; it stays down, because an engine never restarts what it was told to kill."""
        one = self._container()
        one.kill("SIGKILL")
        self._until(one, lambda told: not told["Running"], "it still runs")
        if (code := one.attrs["State"]["ExitCode"]) != _KILLED:
            raise Inconclusive(f"{self.name}: the container ended with {code} before SIGKILL reached it")
        return f"SIGKILL: container {one.short_id} ended with exit code {code}"

    def stop(self) -> str:
        """Ask it to end with SIGTERM; it stays down."""
        one = self._container()
        one.stop(timeout=_GRACE)
        self._until(one, lambda told: not told["Running"], "it still runs")
        return f"SIGTERM: container {one.short_id} ended with exit code {one.attrs['State']['ExitCode']}"

    def start(self) -> str:
        """Start it again."""
        one = self._container()
        one.start()
        self._until(one, lambda told: told["Running"] and not told["Paused"], "it is not started again")
        return f"container {one.short_id} runs since {one.attrs['State']['StartedAt']}"

    def restart(self) -> str:
        """Ask it to end, and start it again."""
        one = self._container()
        before = one.attrs["State"]["StartedAt"]
        one.restart(timeout=_GRACE)
        self._until(one, lambda told: told["Running"] and told["StartedAt"] != before, "it was not restarted")
        return f"container {one.short_id} runs since {one.attrs['State']['StartedAt']}, before since {before}"

    def pause(self) -> str:
        """Let it stand still (the engine freezes its control group)."""
        one = self._container()
        one.pause()
        self._until(one, lambda told: told["Paused"], "it does not stand still")
        return f"container {one.short_id} is {one.attrs['State']['Status']}"

    def resume(self) -> str:
        """Let it go on."""
        one = self._container()
        one.unpause()
        self._until(one, lambda told: not told["Paused"], "it does not go on")
        return f"container {one.short_id} is {one.attrs['State']['Status']}"

    def fill(self) -> str:
        """Raise ``Broken``: see :meth:`cannot`."""
        raise Broken(_ELSEWHERE["disk-full"])

    free = fill

    def limit_files(self, spare: int = 0) -> str:
        """Raise ``Broken``: see :meth:`cannot`."""
        del spare
        raise Broken(_ELSEWHERE["fd-limit"])

    def free_files(self) -> str:
        """Raise ``Broken``: see :meth:`cannot`."""
        raise Broken(_ELSEWHERE["fd-limit"])

    def mend(self) -> str:
        """Take back what a run that was killed left behind; return what that was, empty when nothing."""
        with contextlib.suppress(Broken):
            one = self._container()
            if one.attrs["State"]["Paused"]:
                return self.resume()
            if not one.attrs["State"]["Running"]:
                return self.start()
        return ""

    def _container(self) -> Any:
        """Return the container, fresh from the engine; raises ``Broken`` when there is not exactly one."""
        try:
            import docker
        except ImportError:
            raise Broken("the Python client of the engine is not installed (stepwedge[containers])") from None
        labels = [LABEL, f"com.docker.compose.service={self.name}"]
        try:
            found = docker.from_env().containers.list(all=True, filters={"label": labels})
        except docker.errors.DockerException as trouble:
            raise Broken(f"no engine answers ({trouble})") from trouble
        if len(found) != 1:
            raise Broken(f"{len(found)} containers of ours play {self.name}")
        return found[0]

    def _until(self, one: Any, true: Callable[[dict[str, Any]], object], otherwise: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while one.reload() or not true(one.attrs["State"]):
            if time.monotonic() > deadline:
                raise Inconclusive(f"{self.name}: {otherwise} within {_PATIENCE:g} s")
            time.sleep(_LOOK)
