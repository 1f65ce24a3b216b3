"""N4 and H3: the request arrives and takes effect, and its answer never comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepwedge.sim.tap.fault import ANSWER, Argument, Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stepwedge.sim.tap.fault import Wish
    from stepwedge.sim.tap.line import Line, Side
    from stepwedge.sim.tap.tap import Tap


class NoAnswer(Fault):
    """Swallows what comes back from the byte it was told on; the connection stays, or is closed or reset at that moment."""

    kind = "no-answer"
    says = "the request takes effect, its answer is lost"
    usual = ANSWER
    takes = (
        Argument(
            "then",
            "what becomes of the connection: it is kept (silence), closed (FIN) or reset (RST)",
            "keep",
            "text",
            choices=("keep", "close", "reset"),
        ),
    )

    def __init__(self, wish: Wish) -> None:
        """Remember the lines whose answers vanish."""
        super().__init__(wish)
        self._silent: dict[int, Line] = {}
        self._between: set[int] = set()  # those of them between two answers, on which nothing is missing

    def arrived(self, line: Line, side: Side, data: bytes, ends: Sequence[int]) -> None:
        """Swallow the answers that are due to be lost."""
        if line.number in self._silent and side == self.side:
            self._swallow(line, data, ends)
            return
        at = self.due(line, side, data, ends)
        if at is None:
            line.give(side, data)
            return
        line.give(side, data[:at])
        self._silent[line.number] = line
        if at == len(data):  # the one that is due has not begun
            self.hits -= 1
            self._between.add(line.number)
        else:
            self._swallow(line, data[at:], [end - at for end in ends if end > at])

    def _swallow(self, line: Line, data: bytes, ends: Sequence[int]) -> None:
        """Let one answer after the other vanish, as long as it may."""
        at = 0
        while at < len(data):
            if line.number in self._between:
                if self.spent:
                    del self._silent[line.number]
                    line.give(self.side, data[at:])
                    return
                self.hits += 1
                self._between.discard(line.number)
            end = next((end for end in ends if end > at), len(data))
            self.acted(
                "answer lost", line, self.side, end - at, line.arrived_bytes[self.side] - len(data) + at
            )
            if self.args["then"] != "keep":
                (line.close if self.args["then"] == "close" else line.reset)()
                return
            if end in ends:
                self._between.add(line.number)
            at = end

    async def lift(self, tap: Tap) -> None:
        """Reset the lines that lack the rest of an answer: nothing on them could be trusted."""
        del tap
        for number, line in self._silent.items():
            if number not in self._between:
                line.reset()

    def remains(self) -> str:
        """Tell of lines that lack something and still stand."""
        left = sum(not line.over for number, line in self._silent.items() if number not in self._between)
        return f"{left} silent connections" if left else ""
