"""The Collector configurations hold together; Rotel's is run, by tests/e2e/test_rotel.py."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

FILES = ("node.yaml", "gateway.yaml")
SIGNALS = {"metrics", "logs", "traces"}
# What docs/collector.md says of the way to a server: the rest of its table is for its readers.
BREAKS = {
    "batch", "interval", "metricsgeneration", "cumulativetodelta", "deltatorate", "groupbyattrs",
    "metricstransform", "transform", "attributes", "redaction", "resource", "filter", "probabilistic_sampler",
    "tail_sampling", "log_dedup", "prometheus", "prometheusremotewrite",
}  # fmt: skip  # a table of names


@pytest.fixture(params=FILES)
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    """One of the files."""
    found = yaml.safe_load((ROOT / "collector" / request.param).read_text())
    assert isinstance(found, dict)
    return found


def kind_of(component: str) -> str:
    """`otlp` of `otlp/traces`."""
    return component.partition("/")[0]


def pipelines(config: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """The pipelines by signal."""
    found: dict[str, dict[str, list[str]]] = config["service"]["pipelines"]
    return found


def test_each_signal_has_a_pipeline_to_rundial(config: dict[str, Any]) -> None:
    """A run is points, text and spans: where one has no way, the run is not whole."""
    assert set(pipelines(config)) == SIGNALS
    assert all("otlphttp/rundial" in each["exporters"] for each in pipelines(config).values())


def test_whatever_is_named_is_defined_and_whatever_is_defined_is_used(config: dict[str, Any]) -> None:
    """The Collector refuses to start over a name that it does not know."""
    for kind in ("receivers", "processors", "exporters"):
        used = {name for each in pipelines(config).values() for name in each[kind]}
        assert used == set(config[kind]), kind
    assert set(config["service"]["extensions"]) == set(config["extensions"])


def test_each_exporter_keeps_what_it_has_on_a_disk_of_its_own(config: dict[str, Any]) -> None:
    """What was answered is on disk, for ever tried again, and one store that is away holds up no other."""
    stores = [exporter["sending_queue"]["storage"] for exporter in config["exporters"].values()]
    assert sorted(stores) == sorted(set(stores))
    for exporter in config["exporters"].values():
        queue, retry = exporter["sending_queue"], exporter["retry_on_failure"]
        assert queue["enabled"]
        assert not queue["block_on_overflow"]
        assert retry["enabled"]
        assert retry["max_elapsed_time"] == 0
        assert config["extensions"][queue["storage"]]["fsync"]
        assert queue["storage"] in config["service"]["extensions"]


def test_nothing_on_the_way_breaks_step_series(config: dict[str, Any]) -> None:
    """No file of ours does what the page warns of."""
    used = {kind_of(name) for each in pipelines(config).values() for names in each.values() for name in names}

    assert not used & BREAKS
    page = (ROOT / "docs" / "collector.md").read_text()
    assert [name for name in sorted(BREAKS) if f"`{name}`" not in page] == []


def test_no_secret_stands_in_a_file(config: dict[str, Any]) -> None:
    """Keys, tokens and passwords come from the environment."""
    secrets = []

    def look(value: object, name: str = "") -> None:
        if isinstance(value, dict):
            for key, each in value.items():
                look(each, str(key))
        elif re.search("authorization|token|password|username", name) and isinstance(value, str):
            secrets.append(value)

    look(config)
    assert secrets
    assert all(re.fullmatch(r"(Bearer )?\$\{env:\w+\}", secret) for secret in secrets)


def test_whoever_may_reach_a_port_must_show_something_or_be_on_the_machine(config: dict[str, Any]) -> None:
    """A Collector writes with its own key, so not everybody may write to it."""
    for protocol in config["receivers"]["otlp"]["protocols"].values():
        is_local = protocol["endpoint"].startswith("127.0.0.1:")
        assert is_local or (protocol["auth"]["authenticator"] in config["extensions"] and "tls" in protocol)
