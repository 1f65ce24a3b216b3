"""The tutorial is run word for word: its files are written, its commands end as it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(?:<!-- file: (?P<file>\S+) -->\n|<!-- exit: (?P<exit>\d+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)```",
    re.DOTALL,
)


def test_every_example_of_the_tutorial_works(tmp_path: Path) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name, command in (("stepwedge", "-m stepwedge"), ("python", "")):
        (binaries / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        (binaries / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    folder, commands, files = tmp_path, 0, 0
    for block in BLOCK.finditer((ROOT / "docs/tutorial/README.md").read_text(encoding="utf-8")):
        if block["file"]:
            path = folder / block["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block["text"], encoding="utf-8")
            files += 1
        if block["kind"] != "console":
            continue
        for number, line in enumerate(block["text"].splitlines()):
            assert line.startswith("$ "), line
            if line.startswith("$ cd "):
                folder = folder / line[5:]
                continue
            done = subprocess.run(
                ["sh", "-c", line[2:]],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            expected = int(block["exit"] or 0) if number == 0 else 0
            assert done.returncode == expected, f"{line}\n{done.stdout}\n{done.stderr}"
            commands += 1
    assert (commands, files) == (10, 3)
