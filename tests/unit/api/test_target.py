"""Which headers a lane's requests carry, and to whom."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rundial.api.key import Key
from rundial.api.target import Target

OURS = "http://collector:4318"
THEIRS = "https://traces.example"
GIVEN = {"x-tenant": "7"}


def target(environ: Mapping[str, str], endpoint: str = OURS) -> Target:
    """Return an OTLP endpoint with a key and headers of its own."""
    return Target.of_collector(endpoint, Key("rdk_secret"), environ, GIVEN)


def said(of: Target, lane: str) -> dict[str, str]:
    """What a lane's requests say beside who sends them."""
    return {name: text for name, text in of.headers(lane).items() if not name.startswith("x-rundial-")}


def test_headers_and_key_go_to_the_endpoint_that_they_were_given_for() -> None:
    """A signal that the environment sends to somebody else carries neither."""
    to = target(
        {"OTEL_EXPORTER_OTLP_ENDPOINT": OURS, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{THEIRS}/v1/traces"}
    )

    assert to.url("traces") == f"{THEIRS}/v1/traces"
    assert said(to, "traces") == {}
    assert said(to, "metrics") == {"authorization": "Bearer rdk_secret", **GIVEN}


@pytest.mark.parametrize(
    "url", ["http://collector:4318/own/traces", "http://COLLECTOR:4318/v1/traces", "http://collector:4318"]
)
def test_another_path_of_the_same_origin_gets_them_too(url: str) -> None:
    """It is the same party that answers there."""
    to = target({"OTEL_EXPORTER_OTLP_ENDPOINT": OURS, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url})

    assert said(to, "traces") == {"authorization": "Bearer rdk_secret", **GIVEN}


@pytest.mark.parametrize(
    "url",
    ["https://collector:4318/v1/traces", "http://collector:4319/v1/traces", "http://collector/v1/traces"],
)
def test_another_scheme_or_port_is_another_origin(url: str) -> None:
    """Somebody else may listen there."""
    to = target({"OTEL_EXPORTER_OTLP_ENDPOINT": OURS, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": url})

    assert said(to, "traces") == {}


def test_the_environments_headers_go_where_the_environment_says() -> None:
    """As OpenTelemetry has it: the general ones to every signal's endpoint, a signal's own in their place."""
    to = target(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": OURS,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-general=1",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{THEIRS}/v1/traces",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{THEIRS}/v1/metrics",
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "x-own=2",
        }
    )

    assert said(to, "traces") == {"x-general": "1"}
    assert said(to, "metrics") == {"x-own": "2"}
    assert said(to, "logs") == {"authorization": "Bearer rdk_secret", "x-general": "1", **GIVEN}


def test_what_an_earlier_process_left_for_another_address_gets_no_header_of_this_environment() -> None:
    """Its spool names the address; nobody says that today's headers are for it."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": OURS, "OTEL_EXPORTER_OTLP_HEADERS": "x-general=1"}
    to = target(environ).with_urls({"traces": f"{THEIRS}/v1/traces", "logs": None})

    assert said(to, "traces") == {}
    assert said(to, "logs") == {"authorization": "Bearer rdk_secret", "x-general": "1", **GIVEN}


def test_the_environments_headers_stay_away_from_another_endpoint() -> None:
    """They belong to the endpoint of the same variables."""
    to = target(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": OURS,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-general=1",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{THEIRS}/v1/traces",
        },
        endpoint="http://other:4318",
    )

    assert to.url("traces") == "http://other:4318/v1/traces"
    assert said(to, "traces") == {"authorization": "Bearer rdk_secret", **GIVEN}
