"""MLLP over asyncio: a server for simulated systems and a persistent client."""

from __future__ import annotations

import asyncio
import contextlib
import operator
import socket
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from stepwedge.errors import LinkLost, NoAnswer, RemoteProtocolError, WireError
from stepwedge.wire import tls_asyncio
from stepwedge.wire.mllp import MESSAGE_LIMIT, Frame, Framer, frame
from stepwedge.wire.mllp_asking import Asking

if TYPE_CHECKING:
    import ssl

Answer = bytes | tuple[bytes, ...] | None
"""What a message is answered: one message, several one after the other (enhanced mode), or nothing."""
Handler = Callable[[bytes, str], Awaitable[Answer] | AsyncIterator[bytes] | Answer]
"""Takes one message and the peer's ``host:port``. Answers of an iterator leave as they come.

A plain function is called as soon as its message is there; ``async`` costs a change of task for each message.
"""


@dataclass(frozen=True, slots=True)
class Together:
    """A handler of all messages that are there at once, from every connection, oldest first on each.

    ``handle`` takes them with the peers they came from and returns the answer to each, in their order.
    """

    handle: Callable[[Sequence[tuple[bytes, str]]], Sequence[bytes | tuple[bytes, ...]]]


Trouble = Callable[[str, Exception], None]
"""Hears what ended a connection: the peer's ``host:port`` and the error."""

_TOGETHER: Final = 64
"""Messages handed over at once at most; those behind them are not kept waiting for longer."""
_WAITING: Final = 64
"""Frames read ahead on one connection before reading stops."""
_READ: Final = 1 << 16


def _framed(answer: bytes | tuple[bytes, ...]) -> bytes:
    return frame(answer) if isinstance(answer, bytes) else b"".join(map(frame, answer))


def _silent(_peer: str, _error: Exception) -> None:
    """Drop the report."""


class _Served(asyncio.BufferedProtocol):
    """One connection: frames are handled one after the other, in the order they came.

    All connections of a server read into its one buffer: what arrives is copied out before the next read, and asyncio's
    own way, a new buffer of 256 KiB for each read, costs more than all the rest of a read.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._framer = server.framer(server.limit)
        self._frames: deque[bytes] = deque()
        self._paused = self._ended = False
        self._writable = True
        self._error: RemoteProtocolError | None = None
        self.work: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server makes no other
        host, port = transport.get_extra_info("peername")[:2]
        self.peer, self.transport = f"{host}:{port}", transport
        if self._server.admit(self):
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's signature
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._receive(self._server.buffer[:nbytes])

    def _receive(self, data: bytes | memoryview) -> None:
        if self._ended:
            return
        self._framer.receive_data(data)
        try:
            while isinstance(event := self._framer.next_event(), Frame):
                self._frames.append(event.payload)
        except RemoteProtocolError as error:
            self._error, self._ended = error, True
        self._go_on()

    def eof_received(self) -> bool:
        self._receive(b"")
        self._ended = True
        self._go_on()
        return True  # the answers to what came before are still sent

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._server.forget(self)
        self._frames.clear()  # a message in work is finished, though nobody will hear the answer

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._go_on()

    def _go_on(self) -> None:
        """Handle what is here, until a handler waits or the peer does not take its answers."""
        handler = self._server.handler
        if not isinstance(handler, Together):
            self._handle(handler)
        elif self._frames and self._writable:
            self._server.gather(self)
        self._settle()

    def offer(self, most: int) -> list[bytes]:
        """Hand over messages to be handled together with those of other connections."""
        if not self._writable:
            return []
        return [self._frames.popleft() for _ in range(min(most, len(self._frames)))]

    def tell(self, answers: Sequence[bytes | tuple[bytes, ...]]) -> None:
        """Send the answers to what was handed over, then go on."""
        try:
            self.transport.write(b"".join(map(_framed, answers)))
        except Exception as error:  # noqa: BLE001 - as in _handle
            self.fail(error)
        self._go_on()

    def _handle(self, handler: Handler) -> None:
        """Have one message after the other handled, until a handler waits."""
        try:
            while self._frames and self._writable and self.work is None:
                answer = handler(self._frames.popleft(), self.peer)
                if isinstance(answer, bytes | tuple):
                    self.transport.write(_framed(answer))
                elif isinstance(answer, AsyncIterator):
                    self.work = asyncio.ensure_future(self._wait(self._pass_on(answer)))
                elif answer is not None:
                    self.work = asyncio.ensure_future(self._wait(answer))
        except Exception as error:  # noqa: BLE001 - whatever a handler does, it must neither acknowledge nor stop the server
            self.fail(error)

    def _settle(self) -> None:
        """Read on, stop reading, or close, by what is left to do."""
        if self._frames or self.work is not None:
            if len(self._frames) >= _WAITING and not self._paused:
                self._paused = True
                self.transport.pause_reading()
        elif self._ended:
            if self._error is not None:
                self.fail(self._error)
            self.transport.close()
        elif self._paused:
            self._paused = False
            self.transport.resume_reading()

    async def _pass_on(self, answers: AsyncIterator[bytes]) -> None:
        async for answer in answers:
            self.transport.write(frame(answer))

    async def _wait(self, answer: Awaitable[Answer]) -> None:
        try:
            reply = await answer
            if reply is not None:
                self.transport.write(_framed(reply))
        except Exception as error:  # noqa: BLE001 - as in _handle
            self.fail(error)
            return
        self.work = None
        self._go_on()

    def fail(self, error: Exception) -> None:
        """End the connection, and say why."""
        self._error, self._ended = None, True
        self._frames.clear()
        self._server.trouble(self.peer, error)
        self.transport.close()


class Server:
    """A listening MLLP server; ``port`` is the real one when 0 was asked for."""

    def __init__(
        self,
        handler: Handler | Together,
        trouble: Trouble,
        limit: int,
        connections: int,
        framer: Callable[[int], Framer] = Framer,
    ) -> None:
        """Bound message size and number of connections; :func:`serve` starts one."""
        self.framer = framer
        self.handler, self.trouble, self.limit, self._most = handler, trouble, limit, connections
        self._ready: dict[_Served, None] = {}
        self._turning = False
        self.buffer = memoryview(bytearray(_READ))
        self._connections: set[_Served] = set()
        self._listening: asyncio.Server | None = None
        self.port = 0
        self.gate: tls_asyncio.Gate | None = None

    def admit(self, connection: _Served) -> bool:
        """Count a new connection in, unless there are too many."""
        if len(self._connections) >= self._most:
            self.trouble(connection.peer, RemoteProtocolError(f"MLLP: more than {self._most} connections"))
            return False
        self._connections.add(connection)
        return True

    def forget(self, connection: _Served) -> None:
        """Count a connection out."""
        self._connections.discard(connection)

    def gather(self, connection: _Served) -> None:
        """Handle what a connection holds: at once when it is the only one, else together with what others hold by then."""
        waiting = bool(self._ready)
        self._ready[connection] = None
        if len(self._connections) == 1 and not self._turning:
            self._turn()
        elif not waiting:
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Hand over all messages that are here and let their answers go."""
        ready, self._ready = self._ready, {}
        share = max(1, _TOGETHER // max(1, len(ready)))
        taken = [(served, raws) for served in ready if (raws := served.offer(share))]
        if not taken:
            return
        assert isinstance(self.handler, Together)  # noqa: S101 - only then does anybody gather
        self._turning = True
        try:
            answers = iter(
                self.handler.handle([(raw, served.peer) for served, raws in taken for raw in raws])
            )
            for served, raws in taken:
                served.tell([next(answers) for _ in raws])
        except Exception as error:  # noqa: BLE001 - as in _Served._handle
            for served, _ in taken:
                served.fail(error)
        finally:
            self._turning = False

    async def start(self, host: str, port: int) -> None:
        """Listen."""
        self._listening = await tls_asyncio.listen(lambda: _Served(self), host, port, self.gate)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop every connection; a message in work is not acknowledged."""
        if self._listening is not None:
            self._listening.close()
        self._ready.clear()
        working = [served.work for served in self._connections if served.work is not None]
        for served in tuple(self._connections):
            served.transport.abort()
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


async def serve(
    host: str,
    port: int,
    handler: Handler | Together,
    *,
    trouble: Trouble = _silent,
    limit: int = MESSAGE_LIMIT,
    connections: int = 256,
    gate: tls_asyncio.Gate | None = None,
    framer: Callable[[int], Framer] = Framer,
) -> Server:
    """Answer every message with what ``handler`` returns, in order on each connection; over TLS behind a ``gate``.

    A broken frame, or a handler that raises, ends its connection without an answer and is told to ``trouble``. ``framer``
    makes what cuts the stream of one connection into messages of so many bytes at most.
    """
    server = Server(handler, trouble, limit, connections, framer)
    server.gate = gate
    await server.start(host, port)
    return server


class _Asked(asyncio.Protocol):
    """The client's connection: hands bytes to :class:`Asking`, the answer to whoever waits."""

    def __init__(
        self, name: str, limit: int, late: Callable[[bytes], None] | None, belongs: Callable[[str, str], bool]
    ) -> None:
        self._name = name
        self.asking = Asking(limit, late, belongs)
        self.answer: asyncio.Future[bytes] | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP client makes no other
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        try:
            answer = self.asking.receive_data(data)
        except WireError as error:
            self._fail(error)
            self.transport.abort()
            return
        if answer is not None and self.answer is not None and not self.answer.done():
            self.answer.set_result(answer)

    def eof_received(self) -> None:
        try:
            self.asking.receive_data(b"")
        except WireError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        closed = LinkLost(f"{self._name}: {exc or 'the peer closed without an answer'}")
        self._fail(exc if isinstance(exc, WireError) else closed)

    def _fail(self, error: Exception) -> None:
        self.lost = True
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)


class Client:
    """A persistent connection that asks in order and connects anew when the last one was lost.

    It never repeats a message by itself: whether to send again is the sender's decision (see ``sim.outbox``).
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        limit: int = MESSAGE_LIMIT,
        context: ssl.SSLContext | None = None,
        late: Callable[[bytes], None] | None = None,
        belongs: Callable[[str, str], bool] = operator.eq,
    ) -> None:
        """Connect on the first question; over TLS with a ``context``; ``late`` hears answers whose question was given up.

        ``belongs`` tells whether an answer (its MSA-2) is one to a question (its MSH-10).
        """
        self._late, self._belongs = late, belongs
        self.host, self.port, self._limit, self._context = host, port, limit, context
        self.name = f"{'mllps' if context else 'mllp'}://{host}:{port}"
        self._turn = asyncio.Lock()
        self._link: _Asked | None = None

    async def ask(self, raw: bytes, timeout: float = 10.0) -> bytes:  # noqa: ASYNC109 - the peer's time to answer, not the caller's
        """Send one message and return its answer, matched by MSA-2."""
        async with self._turn:
            link = await self._connected(timeout)
            return await self._answer(link, link.asking.ask(raw), len(raw), timeout)

    async def ask_again(self, raw: bytes, timeout: float = 10.0) -> bytes:  # noqa: ASYNC109 - as in ask
        """Return the further answer to a message that was answered before: the application's, after CA (enhanced mode).

        Nothing is sent. The receiver must use the same connection for it.
        """
        async with self._turn:
            if (link := self._link) is None or link.lost:
                raise LinkLost(f"{self.name}: the connection ended after the first answer")
            if (here := link.asking.ask_again(raw)) is not None:
                return here
            return await self._answer(link, b"", len(raw), timeout)

    async def _answer(self, link: _Asked, data: bytes, size: int, allowed: float) -> bytes:
        loop = asyncio.get_running_loop()
        link.answer = loop.create_future()
        alarm = loop.call_later(allowed, self._give_up, link, size, allowed)
        try:
            if data:
                link.transport.write(data)
            return await link.answer
        except asyncio.CancelledError:
            link.asking.give_up()
            raise
        finally:
            alarm.cancel()
            link.answer = None

    def _give_up(self, link: _Asked, size: int, allowed: float) -> None:
        if link.answer is not None and not link.answer.done():
            link.asking.give_up()
            link.answer.set_exception(
                NoAnswer(f"{self.name}: no answer within {allowed:g} s to the message of {size} bytes")
            )

    async def _connected(self, allowed: float) -> _Asked:
        if self._link is not None and not self._link.lost and not self._link.transport.is_closing():
            return self._link
        try:
            async with asyncio.timeout(allowed):
                _, link = await tls_asyncio.connect(
                    lambda: _Asked(self.name, self._limit, self._late, self._belongs),
                    self.host,
                    self.port,
                    self._context,
                    name=self.name,
                    seconds=allowed,
                )
                assert isinstance(link, _Asked)  # noqa: S101 - what was just made
        except TimeoutError:
            raise NoAnswer(f"{self.name}: no connection within {allowed:g} s") from None
        except OSError as error:
            raise LinkLost(f"{self.name}: no connection: {error}") from error
        self._link = link
        return link

    @property
    def late(self) -> list[bytes]:
        """Answers that came after their question was given up, on the present connection."""
        return list(self._link.asking.late) if self._link else []

    def take_late(self) -> list[bytes]:
        """Return the late answers and forget them."""
        found = self.late
        if self._link:
            self._link.asking.late.clear()
        return found

    async def close(self) -> None:
        """Close the connection."""
        if self._link is not None:
            self._link.transport.close()
            self._link = None
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
