"""A peer that answers the association request and then says what it is told, right or wrong."""

import contextlib
import socket
import threading

from stepwedge.wire import negotiation
from stepwedge.wire.negotiation import Acceptance, Answer


class Scripted:
    """A server that answers the association request and then says what it is told."""

    def __init__(self, *says, associate=True):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.received = b""
        self._held = threading.Event()
        self._says, self._associate = says, associate
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        peer, _ = self._listener.accept()
        with peer, contextlib.suppress(OSError):
            if self._associate:
                self.received += peer.recv(65536)
                proposal = negotiation.read_proposal(self.received[6:])
                answers = tuple(Answer(each.id, 0, each.transfers[0]) for each in proposal.contexts)
                peer.sendall(negotiation.write_acceptance(Acceptance("A", "B", answers)))
            for say in self._says:
                if say == "read":
                    self.received += peer.recv(1 << 20)
                elif say == "hold":
                    self._held.wait(20)
                elif say == "close":
                    return
                else:
                    peer.sendall(say)
            while data := peer.recv(65536):
                self.received += data

    def close(self):
        self._held.set()
        self._listener.close()
        self._thread.join(5)
