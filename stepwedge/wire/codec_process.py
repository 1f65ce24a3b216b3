"""Frames through the codecs of other people, in a process of their own.

GDCM and OpenJPEG are C and C++: some broken streams end the process they run in, and none lets another thread
run meanwhile. So they live in a child, one frame at a time, which is ended when it takes too long and started again when
it died. Its standard input closes with ours, so it never outlives us.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import struct
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

from stepwedge.errors import StepwedgeError

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS: Final = 60.0
"""How long one frame may take."""
HEADER: Final = struct.Struct(">II")
"""Lengths of the JSON head and of the frame that follow, in both directions."""


class CannotConvert(StepwedgeError):
    """The pixels cannot be had in this transfer syntax without changing them, or cannot be read at all."""


class CodecProcess:
    """The child process; any thread may ask, one frame is worked on at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None

    def ask(
        self, verb: str, transfer_syntax: str, shape: Mapping[str, Any], frame: bytes
    ) -> tuple[bytes, Any]:
        """Return the frame that came of ``encode`` or ``decode``, and what the codec says about its colours.

        Raises:
            CannotConvert: the codec refused, died or took longer than ``SECONDS``.
        """
        head = json.dumps({"verb": verb, "syntax": transfer_syntax, "shape": dict(shape)}).encode()
        with self._lock:
            child = self._alive()
            timer = threading.Timer(SECONDS, child.kill)
            timer.start()
            try:
                child.stdin.write(HEADER.pack(len(head), len(frame)) + head + frame)  # type: ignore[union-attr]
                child.stdin.flush()  # type: ignore[union-attr]
                answer, result = _read(child.stdout)
            except (OSError, EOFError, ValueError) as error:
                self._end()
                raise CannotConvert(f"the codec of {transfer_syntax} did not survive this frame") from error
            finally:
                timer.cancel()
        if "error" in answer:
            raise CannotConvert(answer["error"])
        return result, answer

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._child = subprocess.Popen(
                [sys.executable, "-m", "stepwedge.wire.codec_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what GDCM prints about a broken stream is in the answer too
                start_new_session=True,  # an interrupt from the terminal is for us to pass on
            )
        return self._child

    def _end(self) -> None:
        if (child := self._child) is not None:
            self._child = None
            child.kill()
            with contextlib.suppress(OSError):
                child.communicate()

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._end()


def _read(stream: Any) -> tuple[Any, bytes]:
    lengths = stream.read(HEADER.size)
    if len(lengths) < HEADER.size:
        raise EOFError
    head, body = HEADER.unpack(lengths)
    text, frame = stream.read(head), stream.read(body)
    if len(frame) < body:
        raise EOFError
    return json.loads(text), frame


CODECS: Final = CodecProcess()
"""The one of this process; it starts with the first frame."""
atexit.register(CODECS.close)
