"""Where a run's lanes go and what their requests carry: the sender's view of a run.

The key is read anew at every request, so that a new one takes effect at once, and it is sent to the
endpoint that it belongs to and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rundial.api.key import Key
from rundial.typed import TYPE_CHECKING
from rundial.version import __version__

if TYPE_CHECKING:
    from rundial.export.outcome import Outcome
    from rundial.spool.lane import Lane

PATHS = {"events": "/v1/logs", "metrics": "/v1/metrics", "logs": "/v1/logs", "traces": "/v1/traces"}
_OTEL_SIGNAL = {"events": "LOGS", "metrics": "METRICS", "logs": "LOGS", "traces": "TRACES"}


class Target:
    """An endpoint with its key.

    Attributes:
        endpoint: URL without a trailing slash.
        key: The bearer key, which may change while a run goes on.
    """

    def __init__(
        self,
        endpoint: str,
        key: Key,
        *,
        urls: Mapping[str, str] | None = None,
        extra_headers: Mapping[str, str] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.key = key
        self._urls = dict(urls or {})
        self._extra = dict(extra_headers or {})

    @classmethod
    def from_otel(cls, endpoint: str, key: Key, environ: Mapping[str, str]) -> Target:
        """Return a target that honours `OTEL_EXPORTER_OTLP_*`, per signal where set.

        Source:
            OpenTelemetry specification, "OpenTelemetry Protocol Exporter": a signal's own endpoint is
            used as it is, the general one gets the signal's path.
        """
        urls: dict[str, str] = {}
        for lane, signal in _OTEL_SIGNAL.items():
            own = environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "").strip()
            if own:
                urls[lane] = own
        headers = _headers(environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""))
        return cls(endpoint, key, urls=urls, extra_headers=headers)

    @property
    def origin(self) -> str:
        """Scheme, host and port: requests to one origin go one at a time."""
        from urllib.parse import urlsplit  # offline runs never need it

        parts = urlsplit(self.endpoint)
        return f"{parts.scheme}://{parts.netloc}"

    def url(self, lane: str) -> str:
        """Return where a lane's requests go."""
        return self._urls.get(lane) or self.endpoint + PATHS[lane]

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the next request."""
        return {
            **self._extra,
            "x-rundial-client": f"rundial-python/{__version__}",
            "x-rundial-protocol": "1",
            **self.key.headers(),
        }


class RunSource:
    """One spool and its target, as the sender asks for them.

    Args:
        lanes: The spool's lanes.
        target: Where they go.
        label: What messages call it.
        on_outcome: Told of every outcome; the sender's thread, must not wait.
        announce: Called before each request, on the sender's thread; a start that the server could not
            be told at the time is told there.
    """

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        target: Target,
        *,
        label: str,
        on_outcome: Callable[[str, Outcome], None] | None = None,
        announce: Callable[[], None] | None = None,
    ) -> None:
        self.announce = announce
        self.lanes = lanes
        self.label = label
        self._target = target
        self._on_outcome = on_outcome

    def url(self, lane: str) -> str:
        """Return where a lane's next request goes."""
        if self.announce is not None:
            self.announce()
        return self._target.url(lane)

    def headers(self) -> Mapping[str, str]:
        """Return the headers of the next request."""
        return self._target.headers()

    def on_outcome(self, lane: str, outcome: Outcome) -> None:
        """Pass an outcome on."""
        if self._on_outcome is not None:
            self._on_outcome(lane, outcome)


def _headers(text: str) -> dict[str, str]:
    """Read `key=value,key=value`, percent-encoded, as OpenTelemetry's variable has it."""
    if not text:
        return {}
    from urllib.parse import unquote

    found: dict[str, str] = {}
    for pair in text.split(","):
        key, equals, value = pair.partition("=")
        if equals and key.strip():
            found[unquote(key.strip()).lower()] = unquote(value.strip())
    return found
