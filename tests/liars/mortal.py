"""Systems that die at a chosen moment: a relay in front of a good one, and a receiver of HL7."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RESET = struct.pack("ii", 1, 0)


class Mortal:
    """Leads every connection to a good system, and is gone for good at the ``dies``-th: at once, or when its caller has spoken."""

    def __init__(self, to: tuple[str, int], dies: int = 0, *, spoken: bool = False) -> None:
        self._to, self._dies, self._spoken = to, dies, spoken
        self._count = 0
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._server.accept()
                self._open.append(caller)
                self._count += 1
                if self._count == self._dies:
                    if self._spoken:
                        caller.recv(1)
                    self.die()
                    return
                callee = socket.create_connection(self._to)
                self._open.append(callee)
                for one, other in ((caller, callee), (callee, caller)):
                    threading.Thread(target=self._lead, args=(one, other), daemon=True).start()

    @staticmethod
    def _lead(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        with contextlib.suppress(OSError):
            other.shutdown(socket.SHUT_WR)

    def die(self) -> None:
        """End everything as a killed process does: no more listening, connections reset."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextlib.contextmanager
def receiver(answer: Callable[[str], bytes | None]) -> Iterator[int]:
    """An HL7 receiver that acknowledges with what ``answer(MSH-9)`` says, and dies when that is nothing."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve(connection: socket.socket) -> None:
        buffer = b""
        with contextlib.suppress(OSError):
            while data := connection.recv(1 << 16):
                buffer += data
                while b"\x1c\r" in buffer:
                    frame, buffer = buffer.split(b"\x1c\r", 1)
                    fields = frame.lstrip(b"\x0b").split(b"\r")[0].split(b"|")
                    code = answer(fields[8].decode())
                    if code is None:
                        server.close()
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                        connection.close()
                        return
                    head = b"MSH|^~\\&|RIS|X|SW|SW|20261124093000||ACK|1|P|" + fields[11]
                    connection.sendall(
                        b"\x0b" + head + b"\rMSA|" + code + b"|" + fields[9] + b"|no such procedure\r\x1c\r"
                    )

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield int(server.getsockname()[1])
    finally:
        server.close()
