"""What simulated systems share: tables, durable store and outbox, doors (HL7, DIMSE, web), quirks, admin API, host.

The shortest simulated system is one function, ``build``, in ``simulators/<role>/__init__.py``::

    class Desk(State):
        def __init__(self, seed: int, name: str) -> None:
            super().__init__(seed, name)
            self.patients = self.table("patients", Patient)

    def admit(desk: Desk, message: Message, now: datetime) -> Reply:
        desk.patients[message["PID-3.1"]] = Patient(message["PID-3.1"], message["PID-5.1"])
        return Reply("AA")

    def build(bench: Bench) -> Simulator:
        desk = bench.restore(Desk(bench.seed, bench.name))
        return Simulator(bench, desk, doors=[Hl7Door(bench, desk, {"ADT^A04": admit})],
                         asks={"patient": lambda args: pack(desk.patients[args["id"]])})

Everything is single-threaded on one asyncio loop. State changes inside ``with bench.change(state) as change:`` (no ``await``
in there) or inside an HL7 handler; both commit changed rows, outgoing messages and replies as one transaction.
"""
