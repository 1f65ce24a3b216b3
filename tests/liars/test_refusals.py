"""What must be refused is refused for the stated reason: a system that dies instead, at any moment, has refused nobody.

Each has its positive control: the same question to the same system, alive.
"""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from mortal import Mortal, receiver
from mute import closed_port, yes_sayer
from test_no_false_pass import IMAGES, PACS_LAB, RIS_LAB, free_port
from tiny_pacs import TinyPacs

from stepwedge import kit
from stepwedge.actors.cast import Cast, Player
from stepwedge.actors.wallet import Wallet
from stepwedge.checks.check import Look, Question, find
from stepwedge.lab import hospital, labfile
from stepwedge.sim.address import Address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDERS = ("routine", "procedures", "reports")
NO_CASE: Any = None
"""These checks ask the wire, not the case."""
DEATHS = [(number, spoken) for number in (1, 2, 3) for spoken in (False, True)]
"""At which connection of a round - good, bad, good again - and whether its caller had spoken."""
TOKEN = "Bearer good"  # noqa: S105 - of this test alone


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """The hospital in which every door speaks TLS."""
    lab = labfile.load(kit.find("fixtures/labs/secure.yaml"))
    running = hospital.start(lab, tmp_path_factory.mktemp("secure"), 7)
    cast = running.cast()
    try:
        yield cast
    finally:
        cast.close()
        running.stop()


def ask_door(cast: Cast, door: str, intruder: str, dies: int, *, spoken: bool) -> Look:
    """Ask whether a door refuses an intruder, through a relay that dies at a connection; 0 is never."""
    player = cast["ris"]
    there: Any = getattr(player.address, door)
    mortal = Mortal((there.host, there.port), dies, spoken=spoken)
    address = replace(player.address, **{door: there._replace(port=mortal.port)})
    players = {**cast.players, "ris": replace(player, address=address)}
    question = Question(
        replace(cast, players=players), NO_CASE, from_="ris", through=(door,), where={"intruder": intruder}
    )
    try:
        return find("door.refuses").look(question)
    finally:
        mortal.die()


@pytest.mark.parametrize("door", ["hl7", "worklist"])
@pytest.mark.parametrize("intruder", ["expired", "plain-text", "unknown-name"])
def test_a_door_that_dies_has_refused_nobody(secure: Cast, door: str, intruder: str) -> None:
    assert ask_door(secure, door, intruder, 0, spoken=False).holds
    for dies, spoken in DEATHS:
        found = ask_door(secure, door, intruder, dies, spoken=spoken)
        assert found.unsure, (dies, spoken)
        assert not found.holds
        assert not found.matched
        assert not found.differences, (dies, spoken)  # and nobody is blamed for what nobody saw


class Purse(Wallet):
    """A wallet that holds one good token."""

    def bearer(self, resource: str) -> str:
        return TOKEN.removeprefix("Bearer ")


def ask_with_token(dies: int) -> Look:
    """Ask whether a web door refuses a bad token; it is killed at a request, 0 is never."""
    count = 0

    class Door(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal count
            count += 1
            if count == dies:
                server.socket.close()
                self.connection.shutdown(2)
                self.close_connection = True
                return
            good = self.headers["Authorization"] == TOKEN
            self.send_response(200 if good else 401)
            if not good:
                self.send_header("WWW-Authenticate", 'Bearer realm="x", error="invalid_token"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=serve, args=(server,), daemon=True)
    thread.start()
    players = {
        "pacs": Player(
            "pacs", "pacs", simulated=True, address=Address(web=f"http://127.0.0.1:{server.server_port}/x")
        )
    }
    cast = Cast(players, tokens=Purse("idp", "http://127.0.0.1:1", 7))
    try:
        return find("access.refused").look(
            Question(cast, NO_CASE, from_="pacs", where={"bearer": "malformed"})
        )
    finally:
        server.socket.close()


def serve(server: http.server.ThreadingHTTPServer) -> None:
    """Serve until the listener is gone, as it is when a process was killed."""
    while server.socket.fileno() >= 0:
        try:
            server.handle_request()
        except (OSError, ValueError):
            return


def test_a_web_door_that_dies_has_refused_nobody() -> None:
    assert ask_with_token(0).holds
    for dies in (1, 2, 3):
        found = ask_with_token(dies)
        assert found.unsure, dies
        assert not found.holds
        assert not found.differences


SCENARIO = """
scenario: an-order-is-refused
title: An order that must be refused is refused
story: The department does not take this order, and says so.
steps:
  - {do: ehr.register_patient, as: patient}
  - do: ehr.place_order
    with: {patient: $patient, procedure: CTCHEST}
    reply: {outcome: refused, text: {matches: ".*AE: no such procedure.*"}}
  - {expect: result, where: {of: $patient.id}}
"""


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [(b"AE", "passed"), (b"AA", "failed"), (b"AR", "failed"), (None, "inconclusive")],
    ids=["refuses", "takes it", "refuses for another reason", "dies"],
)
def test_a_receiver_that_dies_in_mid_scenario_has_refused_nothing(
    tmp_path: Path, answer: bytes | None, verdict: str
) -> None:
    (tmp_path / "refused.yaml").write_text(SCENARIO)
    with receiver(lambda kind: b"AA" if kind.startswith("ADT") else answer) as port, closed_port() as closed:
        (tmp_path / "lab.yaml").write_text(RIS_LAB.format(hl7=port, worklist=closed))
        summary = run(tmp_path, tmp_path / "refused.yaml")
    assert [case["verdict"] for case in summary["cases"]] == [verdict]


def run(folder: Path, *arguments: object) -> dict[str, Any]:
    """Run scenarios against the lab of a folder; return the summary."""
    command = [
        sys.executable,
        "-m",
        "stepwedge",
        "run",
        "-q",
        "--lab",
        str(folder / "lab.yaml"),
        "--seed",
        "7",
    ]
    command += ["--patience", "0.2x", "--evidence", str(folder / "run"), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=110, check=False, env={**os.environ}
    )
    summary: dict[str, Any] = json.loads((folder / "run" / "summary.json").read_text())
    assert (done.returncode == 0) == (summary["verdict"] == "passed"), done.stdout
    return summary


def test_nothing_passes_in_a_run_in_which_a_department_refuses_everything(tmp_path: Path) -> None:
    """No scenario is content with refusals alone, whichever of them are run, and neither is the run."""
    with yes_sayer(code=b"AE") as port, closed_port() as closed:
        (tmp_path / "lab.yaml").write_text(RIS_LAB.format(hl7=port, worklist=closed))
        summary = run(tmp_path, kit.find("scenarios/routine"), kit.find("scenarios/cancel"))
    judged = [case["verdict"] for case in summary["cases"] if case["verdict"] != "skipped"]
    assert len(judged) > 3
    assert "passed" not in judged
    assert summary["verdict"] != "passed"


def test_nothing_passes_in_a_run_in_which_an_archive_refuses_everything(tmp_path: Path) -> None:
    pacs = TinyPacs("refuses-everything")
    port = pacs.start()
    lab = PACS_LAB.format(port=port, reader=free_port())
    (tmp_path / "lab.yaml").write_text(lab)
    try:
        summary = run(tmp_path, "-k", " or ".join(IMAGES), *(kit.find(f"scenarios/{one}") for one in FOLDERS))
    finally:
        pacs.stop()
    judged = [case["verdict"] for case in summary["cases"] if case["verdict"] != "skipped"]
    assert len(judged) > 3
    assert "passed" not in judged
