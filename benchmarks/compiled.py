"""What load sends by compiled messages, against the pairs that others would use: HL7 round trips and worklist queries.

    python -m benchmarks.compiled [--seconds 1.0] [--repeats 5]

Servers, messages and clients are those of ``benchmarks/hl7.py`` and ``benchmarks/worklist.py``; ``benchmarks/send.py`` is about
images. One connection, one association; in turns; medians. Quote the ratios.
"""

from __future__ import annotations

import argparse
import statistics

from benchmarks import hl7, worklist

MESSAGES = {"template": 8, "python-hl7": 1}
"""How many more messages a faster client sends, so that each takes about as long."""
ENTRIES = 1_000


def round_trips(messages: int, repeats: int) -> dict[str, float]:
    """Return the median of acknowledged messages a second of both clients."""
    rates: dict[str, list[float]] = {name: [] for name in MESSAGES}
    for _ in range(repeats):
        for name, more in MESSAGES.items():
            rates[name].append(hl7.measure(name, 1, messages * more)[0])
    return {name: statistics.median(each) for name, each in rates.items()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--messages", type=int, default=500)
    options.add_argument("--seconds", type=float, default=1.0)
    options.add_argument("--repeats", type=int, default=5)
    chosen = options.parse_args()
    print("| what | ours /s | the other pair /s | ratio |")
    print("| --- | --- | --- | --- |")
    rates = round_trips(chosen.messages, chosen.repeats)
    row("ORM^O01 acknowledged, python-hl7", rates["template"], rates["python-hl7"])
    found = worklist.compare(["lane", "pynetdicom"], ENTRIES, chosen.seconds, chosen.repeats)
    row(f"worklist query, {ENTRIES} entries, pynetdicom", found["lane"][0], found["pynetdicom"][0])


def row(what: str, ours: float, theirs: float) -> None:
    print(f"| {what} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.1f} |", flush=True)


if __name__ == "__main__":
    main()
