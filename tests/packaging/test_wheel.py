"""The wheel carries a whole lab, and works where nothing of the repository is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=100)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_has_the_library_and_the_five_folders(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"stepwedge"}
    for wanted in (
        "stepwedge/py.typed",
        "stepwedge/_kit/simulators/ris/state.py",
        "stepwedge/_kit/scenarios/routine/ct-order-to-report.yaml",
        "stepwedge/_kit/fixtures/labs/default.yaml",
        "stepwedge/_kit/load/locustfile.py",
        "stepwedge/_kit/reports/templates/report.html.j2",
    ):
        assert wanted in names
    assert not [
        name for name in names if "__pycache__" in name or name.startswith(("tests/", "docs/", "runs/"))
    ]


def test_the_installed_wheel_runs_the_main_job(wheel: Path, tmp_path: Path) -> None:
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(install, check=True, capture_output=True, timeout=60)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-m", "stepwedge", "run", "--quiet", "-k", "ct-order-to-report and routine"]
    done = subprocess.run(
        command, cwd=work, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((work / "runs" / "latest" / "summary.json").read_text())
    assert summary["counts"]["passed"] >= 1
    where = subprocess.run(
        [sys.executable, "-c", "import stepwedge; print(stepwedge.__file__)"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert where.startswith(str(site))
