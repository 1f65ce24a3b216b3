"""A hospital of ten lines per actor, without a wire: what the engine tells it, it journals as a real one would."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from stepwedge.actors.cast import Cast, Player
from stepwedge.errors import Broken
from stepwedge.evidence.exchange import Exchange, Payload
from stepwedge.scenario.case import Feed
from stepwedge.scenario.check import Known
from stepwedge.scenario.load import load_scenario
from stepwedge.scenario.record import Recorder
from stepwedge.scenario.run import Setting, run_case
from stepwedge.scenario.variants import cases
from stepwedge.sim.address import Address

ROLES = {"engine": "engine", "ehr": "ehr", "ris": "ris", "pacs": "pacs", "ct": "modality", "reader": "reader"}


def hl7(kind, patient="", placer="", accession="", control="", status=""):
    """Write the few fields that checks read."""
    code, event = kind.split("^")
    segments = [
        f"MSH|^~\\&|SW_RIS||SW||20261124093000||{code}^{event}|M{placer}{control}|P|2.5.1",
        f"PID|1||{patient}^^^STEPWEDGE||DOE^JANE",
        f"ORC|{control}|{placer}||||{status}",
        f"OBR|1|{placer}||CTCHEST^CT chest||||||||||||||{accession}",
    ]
    return "\r".join(segments).encode() + b"\r"


class FakeHospital:
    """Plays all actors; a test replaces the words it cares about."""

    def __init__(self):
        self.log: list[Exchange] = []
        self.words = {
            "register_patient": self.register_patient,
            "place_order": self.place_order,
            "cancel_order": self.cancel_order,
            "sign_report": lambda args, case: {"report": "R1", "filler": "F1", "status": "F"},
        }
        self.told: list[tuple[str, str, dict]] = []
        self.polls = 0
        self.dead = False
        self.loses: set[str] = set()
        self.later: list[tuple[float, Exchange]] = []

    # what the engine calls, in place of stepwedge.actors.cast.Admin
    def act(self, word, args, case):
        if self.dead:
            raise Broken("the simulated system cannot be reached")
        self.told.append((word, case["id"], args))
        try:
            result = self.words[word](args, case)
        except Exception:
            self.note("ehr", "act", word, case=case["id"], outcome="failed")
            raise
        self.note("ehr", "act", word, case=case["id"], outcome="passed", keys=self.keys_of(args, result))
        return result

    def health_of(self):
        return {"waiting": 0, "parked": 0}

    def journal(self, after, wait=0.0):
        if self.dead:
            raise Broken("the simulated system cannot be reached")
        self.polls += 1
        deadline = time.monotonic() + wait
        while True:
            now = time.monotonic()
            for at, exchange in [one for one in self.later if one[0] <= now]:
                self.later.remove((at, exchange))
                self.add(exchange)
            if len(self.log) > after or now >= deadline:
                return [one.to_json() for one in self.log[after:]]
            time.sleep(0.001)

    def ask(self, what, args):
        raise Broken("not asked here")

    def close(self):
        pass

    # the actors
    def register_patient(self, args, case):
        number = f"SW{len(self.log) + 1000}"
        for to in ("ris", "pacs"):
            self.message(to, "ADT^A04", patient=number)
        return {
            "id": number,
            "issuer": "STEPWEDGE",
            "name": args.get("name", "DOE^JANE"),
            "birth_date": "",
            "sex": "",
        }

    def place_order(self, args, case):
        patient, number = args["patient"]["id"], str(len(self.log) + 100)
        order = {
            "placer": f"P{number}",
            "filler": f"F{number}",
            "accession": f"A{number}",
            "patient": patient,
        }
        said = {"patient": patient, "placer": order["placer"], "accession": order["accession"]}
        self.message("ris", "ORM^O01", control="NW", **said)
        for to in ("pacs", "ehr"):
            if to not in self.loses:
                self.message(
                    to,
                    "OMI^O23" if to == "pacs" else "ORM^O01",
                    control="NW" if to == "pacs" else "SC",
                    **said,
                )
        return {
            **order,
            "procedure": args["procedure"],
            "priority": "routine",
            "version": "2.5.1",
            "study": "",
            "status": "",
        }

    def cancel_order(self, args, case):
        order = args["order"]
        self.message(
            "pacs",
            "OMI^O23",
            control="CA",
            patient=order["patient"],
            placer=order["placer"],
            accession=order["accession"],
        )
        return {**order, "control": "CR", "answer": "AA"}

    def message(self, to, kind, after=None, **said):
        keys = {name: [value] for name, value in said.items() if name in {"patient", "placer", "accession"}}
        exchange = Exchange(
            0,
            time.time(),
            0.0,
            to,
            "in",
            "hl7",
            kind,
            outcome="AA",
            keys=keys,
            request=Payload.of(hl7(kind, **said)),
            response=Payload.of(b"MSH|^~\\&|||||||ACK\rMSA|AA\r"),
        )
        if after is None:
            self.add(exchange)
        else:
            self.later.append((time.monotonic() + after, exchange))

    def note(self, actor, protocol, kind, case="", outcome="", keys=None, direction="in"):
        self.add(
            Exchange(
                0,
                time.time(),
                0.0,
                actor,
                direction,
                protocol,
                kind,
                outcome=outcome,
                keys=keys or {},
                case=case,
            )
        )

    def add(self, exchange):
        from dataclasses import replace

        self.log.append(replace(exchange, number=len(self.log) + 1))

    @staticmethod
    def keys_of(args, result):
        keys: dict[str, list[str]] = {}
        for each in (args, args.get("patient"), args.get("order"), result):
            for name in ("placer", "filler", "accession") if isinstance(each, dict) else ():
                if each.get(name):
                    keys.setdefault(name, []).append(each[name])
            if isinstance(each, dict) and "issuer" in each:
                keys.setdefault("patient", []).append(each["id"])
        return keys

    def cast(self, real=(), claims=None):
        address = Address.parse({"hl7": "mllp://127.0.0.1:2576", "dicom": "dicom://SW@127.0.0.1:11112"})
        players = {
            name: Player(name, role, name not in real, address, None if name in real else self)
            for name, role in ROLES.items()
        }
        return Cast(players, self, claims)


@pytest.fixture
def hospital():
    return FakeHospital()


@pytest.fixture
def known():
    return Known(ROLES, frozenset({"orders", "mwl", "mpps", "storage", "order-status", "c-find", "qido-rs"}))


HEAD = """\
scenario: sample
title: A sample
story: Nothing much happens.
"""


@pytest.fixture
def written(tmp_path):
    """Write a scenario file: ``written(steps, head=...)``; returns its path."""

    def write(steps, head=HEAD, name="sample.yaml"):
        path = tmp_path / "scenarios" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head + ("steps:\n" + steps if steps else ""), encoding="utf-8")
        return path

    return write


@pytest.fixture
def no_rules(monkeypatch):
    """Leave the standing rules out, where a test is about something else."""
    monkeypatch.setattr("stepwedge.scenario.run.rules", list)


@pytest.fixture
def play(hospital, written, tmp_path, no_rules):
    """Run the only case of a scenario against the fake hospital: returns (ending, journal records)."""
    import json

    def run(steps, head=HEAD, cast=None, variant=0, patience=0.05):
        path = written(steps, head)
        cast = cast or hospital.cast()
        cast.patience = patience
        folder = tmp_path / "run"
        recorder = Recorder(folder)
        ending = run_case(cases(load_scenario(path))[variant], Setting(cast, recorder, Feed(cast.host), 4171))
        recorder.close()
        journal = folder / "journal.jsonl"
        return ending, [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]

    return run


def repository() -> Path:
    return Path(__file__).parents[2]
