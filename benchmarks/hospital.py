"""A whole hospital, all in one process: seconds until every door listens, memory, and CPU time while nothing happens.

    python benchmarks/hospital.py [--lab fixtures/labs/hospital.yaml] [--repeats 5] [--idle 20]

Started as ``stepwedge up`` starts it, with a state folder of its own each time. *Ready* runs from the start of the process until
all systems listen and the admin API answers. Memory is what Linux accounts to the process and its children: RSS counts pages
shared with others in full, PSS in proportion. *Idle* is CPU time in percent of one core, measured after a second of rest.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.peers import cpu_seconds  # noqa: E402 - the path is set before
from stepwedge.lab import hospital, labfile  # noqa: E402 - the same

REST = 1.0


def family(process):
    """Return a process and everything it started that lives."""
    found = [process]
    for one in found:
        for task in Path(f"/proc/{one}/task").iterdir():
            children = task / "children"
            if children.exists():
                found += map(int, children.read_text().split())
    return found


def megabytes(processes, kind):
    """Return ``Rss`` or ``Pss`` of processes together; None where the kernel does not tell."""
    total = 0
    for one in processes:
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            return None
        total += sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))
    return total / 1024


def resident(processes):
    """Return the resident set of processes together, from ``statm``, in MB."""
    pages = sum(int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in processes)
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def measure(lab, folder, idle):
    """Return seconds to ready, RSS and PSS in MB, and percent of a core while idle."""
    began = time.perf_counter()
    with hospital.start(lab, folder, 1) as running:
        ready = time.perf_counter() - began
        time.sleep(REST)
        processes = family(running.told["pid"])
        used, since = sum(map(cpu_seconds, processes)), time.perf_counter()
        time.sleep(idle)
        used, since = sum(map(cpu_seconds, processes)) - used, time.perf_counter() - since
        return ready, resident(processes), megabytes(processes, "Pss"), used / since * 100


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lab", type=Path, default=Path(sys.path[0]) / "fixtures/labs/hospital.yaml")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--idle", type=float, default=20.0)
    chosen = parser.parse_args()
    lab = labfile.load(chosen.lab)
    rows = []
    for number in range(chosen.repeats):
        with tempfile.TemporaryDirectory() as name:
            idle = chosen.idle if number == 0 else 0.5
            rows.append(measure(lab, Path(name), idle))
    ready = statistics.median(row[0] for row in rows)
    _, rss, pss, idle = rows[0]
    shared = "not told" if pss is None else f"{pss:.0f} MB"
    print(f"{len(lab.actors)} systems ready       {ready:6.2f} s     goal 3 s")
    print(f"resident set          {rss:6.0f} MB    goal 400 MB (PSS {shared})")
    print(f"idle                  {idle:6.2f} %     goal 1 % of a core, over {chosen.idle:g} s")


if __name__ == "__main__":
    main()
