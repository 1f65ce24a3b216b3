"""Make a lab of one's own: a lab file and a first scenario, taken from what ships, to be changed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

from stepwedge import kit
from stepwedge.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

_LAB: Final = """\
# Who is simulated and who is real. Change one line at a time, then: stepwedge check, stepwedge preflight, stepwedge run --lab
lab: my-lab
sut: {name: our RIS and PACS, version: "", claims: []}   # what it claims is expected of it; nothing else is
actors:
  ehr: simulated
  ris: simulated
  pacs: simulated
  # a real archive instead (claims and allow must name what it does and where it is):
  # pacs: {real: {hl7: mllp://127.0.0.1:2576, dicom: dicom://PACS@127.0.0.1:11112, web: http://127.0.0.1:8042/dicom-web}}
  ct: {simulated: modality, ae_title: SW_CT1}
  reader: simulated
allow: [127.0.0.0/8]                                     # hosts that may be contacted at all
"""
_FIRST: Final = "scenarios/cancel/after-worklist.yaml"


def init(folder: Path) -> list[Path]:
    """Write a new lab into ``folder``; return the files."""
    if (folder / "scenarios").exists():
        raise BadInput(str(folder), "a folder without scenarios in it", "scenarios", "name another folder")
    lab = folder / "fixtures/labs/my-lab.yaml"
    lab.parent.mkdir(parents=True, exist_ok=True)
    lab.write_text(_LAB, encoding="utf-8")
    first = folder / "scenarios/first/order-cancelled.yaml"
    first.parent.mkdir(parents=True, exist_ok=True)
    text = kit.find(_FIRST).read_text(encoding="utf-8")
    first.write_text(
        text.replace("scenario: cancel-after-worklist", "scenario: order-cancelled"), encoding="utf-8"
    )
    schema = folder / "scenarios/scenario.schema.json"
    shutil.copyfile(kit.find("scenarios/scenario.schema.json"), schema)
    ignored = folder / ".gitignore"
    ignored.write_text("runs/\n", encoding="utf-8")
    return [lab, first, schema, ignored]
