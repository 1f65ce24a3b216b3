"""DICOM associations on asyncio: ``open`` one as a client, ``serve`` them as a simulated system.

::

    class Worklist(Provider):
        async def on_find(self, peer, model, identifier):
            for entry in self.entries:
                if match(identifier, entry):
                    yield entry

    server = await serve("127.0.0.1", 0, Acceptor("RIS", {WORKLIST: [EXPLICIT_LE, IMPLICIT_LE]}, Worklist()))

    async with await open("127.0.0.1", server.port, calling="SW_CT1", called="RIS", contexts=[WORKLIST]) as ris:
        answers = await ris.find(WORKLIST, {"PatientID": "SW1"})
"""

from stepwedge.wire.dimse_client import Association, Speaker, open  # noqa: A004  read as dimse_asyncio.open
from stepwedge.wire.dimse_server import Served, Server, serve
from stepwedge.wire.provider import Acceptor, Failure, Held, Provider, Reply, Retrieval

__all__ = [
    "Acceptor",
    "Association",
    "Failure",
    "Held",
    "Provider",
    "Reply",
    "Retrieval",
    "Served",
    "Server",
    "Speaker",
    "open",
    "serve",
]
