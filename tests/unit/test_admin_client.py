"""The engine's connection to a host process: an act is sent once, so no connection is used that may be about to end."""

from __future__ import annotations

import socket
import threading

import pytest

from stepwedge.actors.cast import Admin

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"result": {}}'


class Host:
    """Answers every request, and counts the connections they came on."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                link, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    @staticmethod
    def _answer(link):
        with link:
            while link.recv(65536):
                link.sendall(ANSWER)


@pytest.mark.parametrize(
    ("idle", "connections"),
    [
        pytest.param(60.0, 1, id="a connection in use is kept"),
        pytest.param(0.0, 3, id="one that was idle for too long is not used again"),
    ],
)
def test_a_connection_that_the_host_may_be_ending_is_not_used(idle, connections):
    host = Host()
    admin = Admin(f"http://127.0.0.1:{host.socket.getsockname()[1]}/reader", idle=idle)
    for _ in range(3):
        assert admin.ask("anything", {}) == {}
    admin.close()
    host.socket.close()
    assert host.connections == connections


def test_the_hosts_and_the_clients_do_not_give_up_at_the_same_second():
    from stepwedge.actors import cast
    from stepwedge.sim import web
    from stepwedge.wire import http_blocking

    assert web.KEPT >= 3 * cast._IDLE
    assert web.KEPT >= 3 * http_blocking.KEPT
