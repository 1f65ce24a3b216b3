"""The smallest simulated system: keeps patients, tells others of each, and can be asked for one."""

from dataclasses import dataclass, replace

from stepwedge.errors import Refused
from stepwedge.sim.bench import Bench
from stepwedge.sim.hl7 import Hl7Door, Reply
from stepwedge.sim.quirks import collect, quirk
from stepwedge.sim.rows import pack
from stepwedge.sim.simulator import Case, Simulator
from stepwedge.sim.store import Send
from stepwedge.sim.tables import State
from stepwedge.wire.hl7 import HL7Error, compose, header


@dataclass(frozen=True, slots=True)
class Patient:
    id: str
    name: str
    heard: int = 1


class Desk(State):
    def __init__(self, seed, name):
        super().__init__(seed, name)
        self.patients = self.table("patients", Patient)
        self.patients.index("name", of=lambda patient: [patient.name])
        self.tells = ()


class DeskHabits:
    def name(self, written: str) -> str:
        return written


@quirk(
    "desk.shouts",
    defect="DEF-000",
    severity="S3",
    overrides=DeskHabits.name,
    notices="all names are in capitals",
)
def shouts(original, written):
    return original(written).upper()


QUIRKS = collect(globals())


def admission(desk, patient, now):
    control = desk.control()
    raw = compose(
        [
            header("ADT^A04", control=control, now=now, sender=(f"SW_{desk.name.upper()}", "STEPWEDGE")),
            ("PID", {3: [patient.id, "", "", "STEPWEDGE"], 5: [patient.name]}),
        ]
    )
    return raw, control


def admit(desk, message, now):
    key = message["PID-3.1"]
    if not key:
        raise HL7Error(101, "PID-3", "no patient ID")
    known = desk.patients.get(key)
    name = desk.habits.name(message["PID-5.1"])
    desk.patients[key] = patient = replace(known, heard=known.heard + 1) if known else Patient(key, name)
    if name == "BUG":
        raise KeyError("a bug")
    sends = []
    for to in desk.tells:
        raw, control = admission(desk, patient, now)
        sends.append(Send(to, raw, control=control))
    return Reply("AA", sends=sends)


def build(bench: Bench) -> Simulator:
    desk = bench.restore(Desk(bench.seed, bench.name))
    desk.habits = bench.adopt(DeskHabits())
    desk.tells = bench.settings.get("tells", ())

    async def register_patient(args, case: Case):
        patient = Patient(desk.mint(case.id, case.seed).patient_id(), args.get("name", "Test"))
        with bench.change(desk) as change:
            desk.patients[patient.id] = patient
            raw, control = admission(desk, patient, bench.clock.now())
            send = change.send(Send(args["to"], raw, control=control, case=case.id))
        delivery = await bench.outbox.answer(send, within=args.get("within", 5))
        if delivery.reason:
            raise Refused(delivery.reason)
        return {"id": patient.id, "issuer": "STEPWEDGE", "name": patient.name}

    def ask_patient(args):
        return pack(desk.patients[args["id"]])

    return Simulator(
        bench,
        desk,
        doors=[Hl7Door(bench, desk, {"ADT^A04": admit})],
        acts={"register_patient": register_patient},
        asks={"patient": ask_patient, "count": lambda args: len(desk.patients)},
    )
