"""The JSON Schemas by which an editor completes load cases and days: ``python -m stepwedge.load.schema``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from stepwedge import kit
from stepwedge.load.case import LoadCase
from stepwedge.load.day import Day

if TYPE_CHECKING:
    from pydantic import BaseModel

SCHEMAS: Final[dict[str, type[BaseModel]]] = {"case": LoadCase, "day": Day}


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of ``case`` or ``day``."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **SCHEMAS[name].model_json_schema()}


def text(name: str) -> str:
    """Return it as its file (``load/case.schema.json``, ``load/day.schema.json``) holds it."""
    return json.dumps(schema(name), indent=1) + "\n"


if __name__ == "__main__":
    for each in SCHEMAS:
        (kit.find("load") / f"{each}.schema.json").write_text(text(each), encoding="utf-8")
