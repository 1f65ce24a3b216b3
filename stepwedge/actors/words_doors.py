"""What every server of the hospital can be told: to be unreachable for a while, as when its machine is down."""

from __future__ import annotations

from typing import Final

from stepwedge.actors.words import Parameter, Word, define

SERVERS: Final = ("ehr", "engine", "mpi", "pacs", "ris", "router")

for _role in SERVERS:
    define(
        Word(
            _role,
            "close_doors",
            "be unreachable: nobody listens at any door until they are opened again",
            (Parameter("seconds", "number", says="after which they open by themselves", default=30),),
            {"doors": "how many were closed"},
        ),
        Word(
            _role,
            "open_doors",
            "be reachable again at the same addresses",
            (),
            {"doors": "how many were opened"},
        ),
    )
