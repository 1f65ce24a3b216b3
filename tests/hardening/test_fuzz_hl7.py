"""Nonsense at the HL7 door: answered or disconnected, memory bounded, nothing acknowledged lost, and still serving.

A short slice runs always; all hundred thousand messages with ``STEPWEDGE_MESSAGES=100000 python -m pytest --junitxml`` (which notes the figures) and this file.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import socket

import httpx
import pytest

from stepwedge.wire.mllp import Frame, Framer, frame

MESSAGES = int(os.environ.get("STEPWEDGE_MESSAGES", "4000"))
MIB = 1 << 20
AT_ONCE = 32
HONEST = 50
"""Every so many messages a good one, whose acknowledgement is a promise."""
WORDS = (
    b"|||||",
    b"^~\\&",
    b"\\X0D\\",
    b"\\X",
    b"\x1b$B",
    b"\xff\xfe",
    b"\xc3\x28",
    b'""',
    b"MSH|",
    b"\rPID|",
    b"SW",
    b"9" * 300,
)


class Line:
    """A connection that may end at any time."""

    def __init__(self, endpoint):
        self.socket = socket.create_connection((endpoint.host, endpoint.port), 20)
        self.socket.settimeout(20)
        self.framer = Framer()

    def ask(self, frames):
        """Send frames at once; return the answers that came before all were there or the connection ended."""
        answers = []
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(b"".join(frames))
            while len(answers) < len(frames):
                if isinstance(event := self.framer.next_event(), Frame):
                    answers.append(event.payload)
                elif data := self.socket.recv(1 << 16):
                    self.framer.receive_data(data)
                else:
                    break
        return answers

    def throw(self, raw):
        """Send bytes, say no more, and hear out what comes."""
        with contextlib.suppress(ConnectionError):
            self.socket.sendall(raw)
            self.socket.shutdown(socket.SHUT_WR)
            while self.socket.recv(1 << 16):
                pass
        self.socket.close()


def good(dice, writer, number):
    """Return a message that is right, of any kind."""
    patient = dice.randrange(1000)
    match dice.randrange(4):
        case 0:
            return writer.admission(f"G{number}", patient)
        case 1:
            return writer.order(f"G{number}", f"P{number}", patient, dice.choice(("2.3.1", "2.5.1")))
        case 2:
            return writer.admission(f"G{number}", patient, "A40", prior=f"SW{dice.randrange(1000):08}")
    return writer.report(f"G{number}", f"SW{dice.randrange(10**6):012}", patient)


def broken_frame(dice, raw):
    """Return bytes that are no frame, or no frame alone."""
    return dice.choice(
        (
            raw,
            b"\x0b" + raw,
            b"\x0b" + raw + b"\x1c",
            b"\x0b" + raw + b"\x1cX",
            b"\x0b\x0b" + raw + b"\x1c\r",
            b"\x1c\r" * 20 + b"\x0b" + raw + b"\x1c\r",
            dice.randbytes(5000),
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\x0b" + raw[:-5] + b"\x1c" + raw[-5:] + b"\x1c\r",
        )
    )


@pytest.mark.timeout(1800)
def test_messages_of_nonsense_are_survived(victim, writer, wrong, record_testsuite_property):
    host = victim(ris={})
    door, fhir = host.address("ris").hl7, host.address("ris").fhir
    dice = random.Random(2)  # noqa: S311 - the same nonsense in every run
    promised, told = [], {b"AA": 0, b"AE": 0, b"AR": 0}
    at_first, floor = host.sockets(), 0
    line = Line(door)
    for start in range(0, MESSAGES, AT_ONCE):
        if start and start % (AT_ONCE * 8) == 0:
            Line(door).throw(broken_frame(dice, wrong(dice, good(dice, writer, start))))
        batch = []
        for number in range(start, start + AT_ONCE):
            if number % HONEST == 0:
                batch.append(writer.admission(f"H{number}", 10**6 + number))
            else:
                raw = wrong(dice, good(dice, writer, number), b"|\r^~", WORDS)
                batch.append(raw.replace(b"\x0b", b"\x09").replace(b"\x1c", b"\x1d"))
        answers = line.ask([frame(raw) for raw in batch])
        assert len(answers) == AT_ONCE, "a whole frame was not answered"
        for number, answer in enumerate(answers, start):
            code = re.search(rb"\rMSA\|(A[AER])", answer)
            assert code, answer
            told[code[1]] += 1
            assert b"|207^" not in answer, (batch[number - start], answer)
            if number % HONEST == 0:
                assert code[1] == b"AA", answer
                promised.append(f"SW{10**6 + number:08}")
        if start >= MESSAGES // 4 and not floor:
            floor = host.peak()
    line.socket.close()
    host.settles(at_first)
    host.unharmed()
    peak = host.peak()
    grown = peak - floor
    # an accepted order stays, with its steps, its messages and four FHIR resources and their versions
    assert grown < 32 * MIB + 8192 * told[b"AA"], f"{grown / MIB:.1f} MiB more"
    assert min(told.values()) > 0
    host.kill()
    host.start()
    with httpx.Client(trust_env=False, timeout=20) as client:
        for patient in promised:
            assert client.get(f"{fhir}/Patient/{patient}").status_code == 200, patient
    told = ", ".join(f"{count} {code.decode()}" for code, count in told.items())
    record_testsuite_property(
        "figures",
        f"{MESSAGES} messages: {told}; {peak / MIB:.0f} MiB at most, {grown / MIB:.1f} after the first quarter",
    )
