"""OpenTelemetry's own variables of where OTLP goes, read as its specification has them.

Pure: the environment is handed in. Asked only where such a variable is set.

Source:
    OpenTelemetry specification, "OpenTelemetry Protocol Exporter": a signal's own endpoint is used as it
    is, the general one gets the signal's path; a signal's own headers stand in the place of the general ones.
"""

from __future__ import annotations

from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
SIGNAL_OF = {"events": "LOGS", "metrics": "METRICS", "logs": "LOGS", "traces": "TRACES"}
_PATHS = {"METRICS": "/v1/metrics", "LOGS": "/v1/logs", "TRACES": "/v1/traces"}


def endpoint(environ: Mapping[str, str]) -> str | None:
    """Return where a run goes by these variables alone; None where they do not say it for all of it.

    The general variable names it, or all three of the signals' do: a run is points, text and spans, and
    a variable that sends an application's traces somewhere says nothing of the rest.
    """
    general = environ.get(ENDPOINT, "").strip()
    if general:
        return general
    own = [_own(environ, signal) for signal in _PATHS]
    return own[1].removesuffix(_PATHS["LOGS"]) if all(own) else None


def lane_urls(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the URLs of the lanes whose signal has an endpoint of its own."""
    return {lane: url for lane, signal in SIGNAL_OF.items() if (url := _own(environ, signal))}


def lane_headers(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the headers of each lane, names in lower case."""
    general = read_headers(environ.get(HEADERS, ""))
    found = {}
    for lane, signal in SIGNAL_OF.items():
        own = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_HEADERS", "")
        found[lane] = read_headers(own) if own.strip() else general
    return found


def read_headers(text: str) -> dict[str, str]:
    """Read `key=value,key=value`, percent-encoded; what is not of that form is left out."""
    if not text.strip():
        return {}
    from urllib.parse import unquote

    found: dict[str, str] = {}
    for pair in text.split(","):
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            found[unquote(key.strip()).lower()] = unquote(value.strip())
    return found


def _own(environ: Mapping[str, str], signal: str) -> str:
    return environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "").strip()
