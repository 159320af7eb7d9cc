"""The Grafana dashboard and the Prometheus rules in deploy/ name only what a running relay exports."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
_METRIC = re.compile(r"\brelay_[a-z_]+")
_LABEL = re.compile(r"\{\{ ?(?:\$labels\.)?([a-z_]+) ?\}\}")


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DEPLOY / "prometheus-rules.yaml").read_text(encoding="utf-8"))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))["panels"]
    return found


def asked() -> list[tuple[str, str]]:
    """Every expression, with the text that shows its labels."""
    targets = [(target["expr"], target["legendFormat"]) for one in panels() for target in one["targets"]]
    return targets + [(one["expr"], " ".join(one["annotations"].values())) for one in rules()]


def exported() -> str:
    with (
        ScriptedUpstream() as upstream,
        RelayProcess(config(upstream.url), env={"RELAY_METRICS_TOKEN": "public"}) as relay,
    ):
        sent = relay.form({"email": "seen@example.com"}).json["receipt"]
        relay.wait_state(sent, "delivered")
        relay.api("POST", "/api/destinations/ocamba/pause")
        relay.form({"email": "waits@example.com"})
        return relay.get("/metrics").text


def test_every_metric_and_label_that_is_asked_for_is_exported() -> None:
    text = exported()
    names = set(re.findall(r"^(relay_[a-z_]+)[ {]", text, re.MULTILINE))
    labels = {name: set(re.findall(r"[{,]([a-z_]+)=", " ".join(_samples(text, name)))) for name in names}

    for expression, shown in asked():
        used = set(_METRIC.findall(expression))
        assert used and used <= names, expression
        assert set(_LABEL.findall(shown)) <= set.union(*(labels[name] for name in used)), shown


def _samples(text: str, name: str) -> list[str]:
    return [line for line in text.splitlines() if re.match(rf"{name}[ {{]", line)]


def test_every_alert_says_what_it_is_and_where_to_look() -> None:
    for rule in rules():
        assert re.fullmatch(r"Relay[A-Z][A-Za-z]+", rule["alert"])
        assert rule["annotations"].keys() == {"summary", "description"}
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_no_two_panels_lie_on_one_another() -> None:
    places = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in panels()]
    assert len(places) == len(set(places)) and len({one["id"] for one in panels()}) == len(places)
