"""The Grafana dashboard asks for nothing that is not counted, and names no place of its own."""

from __future__ import annotations

import json
import re
from typing import Any

from stepwedge import kit
from stepwedge.sim import metrics

DASHBOARD = json.loads(kit.find("reports/grafana/stepwedge.json").read_text(encoding="utf-8"))
PANELS = [one for one in DASHBOARD["panels"] if one["type"] != "row"]
METRIC = re.compile(r"\b(?:stepwedge|process)_[a-z_]+\b")


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_every_metric_it_asks_for_is_counted() -> None:
    counted = {line.split()[0] for line in metrics.process() if not line.startswith("#")}
    counted |= {f"stepwedge_exchange_seconds_{one}" for one in ("bucket", "count", "sum")}
    counted |= {f"stepwedge_{one}" for one in ("exchanges_total", "outbox_waiting", "outbox_parked")}
    counted.add("stepwedge_quirk_acted_total")
    asked = {name for one in expressions() for name in METRIC.findall(one)}
    assert asked <= counted
    assert asked >= {"stepwedge_exchange_seconds_bucket", "process_cpu_seconds_total"}


def test_every_label_it_asks_for_is_given() -> None:
    labels = {name for one in expressions() for name in re.findall(r"(?<=[{,])([a-z]+)(?:=|!)", one)}
    assert labels <= {"actor", "direction", "result", "job", "protocol", "kind"}


def test_panels_do_not_overlap_and_the_source_is_chosen_by_who_opens_it() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at: dict[str, Any] = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${source}"}
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert "://" not in json.dumps(DASHBOARD)
