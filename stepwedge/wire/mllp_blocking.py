"""MLLP over a blocking socket, for checks and, under gevent, for load."""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING, Final, Self

from stepwedge.errors import LinkLost, NoAnswer
from stepwedge.wire import tls
from stepwedge.wire.mllp import MESSAGE_LIMIT
from stepwedge.wire.mllp_asking import Asking
from stepwedge.wire.sockets import acknowledge, kept_by_kernel

if TYPE_CHECKING:
    from types import TracebackType

_READ: Final = 1 << 16


class Link:
    """One persistent connection that asks in order.

    After :class:`NoAnswer` the link still stands, and a late answer is recognised; after any other error it is closed.
    """

    def __init__(
        self, connection: socket.socket, name: str, timeout: float, limit: int = MESSAGE_LIMIT
    ) -> None:
        """Take over a connected socket; :meth:`open` makes one."""
        self._socket, self.name, self.timeout = connection, name, timeout
        self._asking = Asking(limit)
        self._kept = kept_by_kernel(connection, timeout)

    @classmethod
    def open(
        cls,
        host: str,
        port: int,
        timeout: float = 10.0,
        *,
        limit: int = MESSAGE_LIMIT,
        context: ssl.SSLContext | None = None,
    ) -> Self:
        """Connect; over TLS with a ``context``."""
        name = f"{'mllps' if context else 'mllp'}://{host}:{port}"
        try:
            connection = socket.create_connection((host, port), timeout)
        except OSError as error:
            raise LinkLost(f"{name}: no connection: {error}") from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            connection = tls.wrap(connection, context, host, name)
        return cls(connection, name, timeout, limit)

    def ask(self, raw: bytes, timeout: float | None = None) -> bytes:
        """Send one message and return its answer, matched by MSA-2."""
        allowed = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + allowed
        data = self._asking.ask(raw)
        try:
            wanted = None if allowed == self._kept else allowed
            if self._socket.gettimeout() != wanted:
                self._socket.settimeout(wanted)
            self._socket.sendall(data)
            return self._answer(deadline, wanted)
        except (TimeoutError, BlockingIOError):
            self._asking.give_up()
            raise NoAnswer(
                f"{self.name}: no answer within {allowed:g} s to the message of {len(raw)} bytes"
            ) from None
        except OSError as error:
            self.close()
            if isinstance(error, ssl.SSLError):
                raise tls.trouble(error, self.name) from error
            raise LinkLost(f"{self.name}: lost before the answer was complete: {error}") from error
        except BaseException:
            self.close()
            raise

    def _answer(self, deadline: float, wanted: float | None) -> bytes:
        while True:
            data = self._socket.recv(_READ)
            if (answer := self._asking.receive_data(data)) is not None:
                return answer
            if not data:
                self.close()
                raise LinkLost(f"{self.name}: the peer closed without an answer")
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError
            acknowledge(self._socket)  # the rest of the answer may wait for it
            if wanted is not None:
                self._socket.settimeout(min(remaining, wanted))

    @property
    def late(self) -> list[bytes]:
        """Answers that came after their question was given up."""
        return list(self._asking.late)

    def close(self) -> None:
        """Close the connection; harmless when it is closed."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
