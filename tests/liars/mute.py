"""Listeners that are hardly systems at all: nobody home, and somebody who never says a word."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, held so that nobody else takes it meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that accepts, reads whatever comes, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                kept.append(connection)
                threading.Thread(target=swallow, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            for connection in kept:
                connection.close()


def swallow(connection: socket.socket) -> None:
    """Read until the peer gives up."""
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


@contextlib.contextmanager
def yes_sayer(*, wrong_control: bool = False, code: bytes = b"AA") -> Iterator[int]:
    """An HL7 listener that acknowledges everything with AA, or another code, and does nothing with it.

    ``wrong_control`` makes it acknowledge a message that was never sent: MSA-2 differs from MSH-10.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve(connection: socket.socket) -> None:
            buffer = b""
            with contextlib.suppress(OSError):
                while data := connection.recv(65536):
                    buffer += data
                    while b"\x1c\r" in buffer:
                        frame, buffer = buffer.split(b"\x1c\r", 1)
                        fields = frame.lstrip(b"\x0b").split(b"\r")[0].split(b"|")
                        control = b"SOMEBODY-ELSES" if wrong_control else fields[9]
                        reply = (
                            b"MSH|^~\\&|LIAR|LIAR|SW|SW|20261124093000||ACK|1|P|"
                            + fields[11]
                            + b"\rMSA|"
                            + code
                            + b"|"
                            + control
                        )
                        connection.sendall(b"\x0b" + reply + b"\r\x1c\r")

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1]
