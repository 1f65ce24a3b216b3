"""What a hospital without a registry and without a network gets: images built so, and one file that installs so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

pytestmark = pytest.mark.docker

IMAGE = os.environ.get("STEPWEDGE_IMAGE", "stepwedge:0.1.0")


def done(*command, **more):
    ended = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, timeout=300, **more
    )
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    return ended.stdout


@pytest.fixture
def alone():
    """Return a command prefix whose process has no network but its own loopback, or skip."""
    for prefix in (["unshare", "--net"], ["unshare", "--net", "--map-root-user"]):
        try:
            if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
                return prefix
        except OSError:
            break
    pytest.skip("unshare cannot take the network away here")


@pytest.mark.timeout(600)
def test_a_bundle_installs_without_a_network(engine, alone, tmp_path):
    places = (ROOT / ".venv/bin/pip", Path(sys.prefix) / "bin/pip")
    pip = next((path for path in places if path.exists()), None)
    if pip is None or not list((ROOT / "containers/wheels").glob("*.whl")):
        pytest.skip("no wheels: make images")
    bundle = tmp_path / "bundle.tar"
    done(ROOT / "containers/bundle", bundle, cwd=ROOT, env={**os.environ, "PIP": str(pip)})
    done("tar", "-xf", bundle, "-C", tmp_path)
    bundle.unlink()
    before = engine.images.get(IMAGE).id
    engine.images.remove(IMAGE, force=True)  # what runs afterwards came out of the bundle
    home = tmp_path / "installed"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PIP", "PYTHONPATH"))
    }
    environment["PYTHON"] = sys.executable
    done(*alone, tmp_path / "stepwedge-bundle/install", home, env=environment)
    assert engine.images.get(IMAGE).id == before
    program = home / ".venv/bin/stepwedge"
    try:
        done(program, "up", "--containers", cwd=home, env=environment)
        said = done(
            program, "run", "--lab", "fixtures/labs/containers.yaml", "--smoke", cwd=home, env=environment
        )
    finally:
        down = done(program, "down", cwd=home, env=environment)
    assert "Everything that ran passed" in said
    assert "5 containers" in down


def test_a_changed_bundle_is_refused(tmp_path):
    """One bit of a wheel, and nothing is installed."""
    folder = tmp_path / "stepwedge-bundle"
    folder.mkdir()
    (folder / "wheel").write_bytes(b"as it was")
    sums = done("sha256sum", "wheel", cwd=folder)
    (folder / "SHA256SUMS").write_text(sums)
    (folder / "wheel").write_bytes(b"as it is")
    (folder / "install").write_bytes((ROOT / "containers/install").read_bytes())
    ended = subprocess.run(
        ["bash", str(folder / "install"), str(tmp_path / "home")], capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert "wheel: FAILED" in ended.stdout
    assert not (tmp_path / "home").exists()
