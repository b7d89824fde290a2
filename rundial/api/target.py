"""Where a run's lanes go and what their requests carry: the sender's view of a run.

The key is read anew at every request, so that a new one takes effect at once, and it is sent to the
endpoint that it belongs to and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import lru_cache

from rundial.api.key import Key
from rundial.typed import TYPE_CHECKING
from rundial.version import __version__

if TYPE_CHECKING:
    from rundial.export.outcome import Outcome
    from rundial.settings import Settings
    from rundial.spool.lane import Lane

PATHS = {"events": "/v1/logs", "metrics": "/v1/metrics", "logs": "/v1/logs", "traces": "/v1/traces"}


class Target:
    """An endpoint with its key.

    Attributes:
        endpoint: URL without a trailing slash.
        key: The bearer key, which may change while a run goes on.
        takes_files: Whether files can be sent there; a Collector takes none.
    """

    def __init__(
        self,
        endpoint: str,
        key: Key,
        *,
        urls: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        lane_headers: Mapping[str, tuple[str, Mapping[str, str]]] | None = None,
        takes_files: bool = True,
    ) -> None:
        self.takes_files = takes_files
        self.endpoint = endpoint
        self.key = key
        self._urls = dict(urls or {})
        self._headers = dict(headers or {})
        # By lane, the URL that they were said for.
        self._lane_headers = dict(lane_headers or {})

    @classmethod
    def of_collector(
        cls,
        endpoint: str,
        key: Key,
        environ: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> Target:
        """Return a target without our control API.

        Args:
            endpoint: Its URL.
            key: The run's own; `headers` come first.
            environ: `OTEL_EXPORTER_OTLP_*` counts where it names the same endpoint: its headers, and the
                signals' own endpoints and headers. A header of it may be a key, and goes nowhere else.
            headers: What every request to the endpoint carries, by lower-case name. Like the key, they go
                to no signal's own endpoint of another origin: only the environment's go there.
        """
        from rundial import otlpenv

        urls: dict[str, str] = {}
        said: dict[str, tuple[str, Mapping[str, str]]] = {}
        named = otlpenv.endpoint(environ)
        if named is not None and named.rstrip("/") == endpoint:
            urls = otlpenv.lane_urls(environ)
            said = {
                lane: (urls.get(lane) or endpoint, each)
                for lane, each in otlpenv.lane_headers(environ).items()
            }
        return cls(endpoint, key, urls=urls, headers=headers, lane_headers=said, takes_files=False)

    @property
    def lane_urls(self) -> dict[str, str | None]:
        """The URL of each lane that has one of its own, None for the others."""
        return {lane: self._urls.get(lane) for lane in PATHS}

    def with_urls(self, urls: Mapping[str, str | None]) -> Target:
        """Return this target with the lanes at these URLs, None leaving a lane where it is."""
        known = {**self._urls, **{lane: url for lane, url in urls.items() if url}}
        return Target(
            self.endpoint,
            self.key,
            urls=known,
            headers=self._headers,
            lane_headers=self._lane_headers,
            takes_files=self.takes_files,
        )

    @property
    def origin(self) -> str:
        """Scheme, host and port: requests to one origin go one at a time."""
        return _origin(self.endpoint)

    def url(self, lane: str) -> str:
        """Return where a lane's requests go."""
        return self._urls.get(lane) or self.endpoint + PATHS[lane]

    def headers(self, lane: str = "events") -> Mapping[str, str]:
        """Return the headers of a lane's next request."""
        origin = _origin(self.url(lane))
        is_ours = origin == self.origin
        said_for, said = self._lane_headers.get(lane, ("", {}))
        return {
            "x-rundial-client": f"rundial-python/{__version__}",
            "x-rundial-protocol": "1",
            **(self.key.headers() if is_ours else {}),
            # Said by the user for this very endpoint: a Collector's own key comes before the run's.
            **(said if said and _origin(said_for) == origin else {}),
            **(self._headers if is_ours else {}),
        }


@lru_cache(maxsize=64)
def _origin(url: str) -> str:
    from urllib.parse import urlsplit  # offline runs never need it

    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def target_of(settings: Settings) -> Target:
    """Return where a run's records are to go."""
    key = Key(settings.api_key, stored_for=settings.endpoint if settings.is_key_stored else None)
    if settings.is_plain_otlp:
        return collector_of(settings, settings.endpoint, key)
    return Target(settings.endpoint, key)


def collector_of(settings: Settings, endpoint: str, key: Key) -> Target:
    """Return one of a run's OTLP endpoints as a target."""
    headers = settings.otlp_headers.get(endpoint) or settings.otlp_headers.get("")
    return Target.of_collector(endpoint, key, os.environ, headers)


def said_headers(endpoint: str, environ: Mapping[str, str]) -> Mapping[str, str] | None:
    """Return what `RUNDIAL_OTLP_HEADERS` says for an OTLP endpoint; None for nothing.

    They are for the endpoint that the environment names, and go nowhere else: one may be a key.

    Raises:
        ValueError: They cannot be read; the text says why and holds none of them.
    """
    from rundial import otlpenv, otlpvalues

    text = environ.get("RUNDIAL_OTLP_HEADERS", "").strip()
    named = environ.get("RUNDIAL_OTLP_ENDPOINT", "").strip() or otlpenv.endpoint(environ) or ""
    is_named = named.rstrip("/") == endpoint
    return otlpvalues.headers(text, str).get("") if text and is_named else None


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
        self.target = target
        self.lanes = lanes
        self.label = label
        self._on_outcome = on_outcome

    def url(self, lane: str) -> str:
        """Return where a lane's next request goes."""
        if self.announce is not None:
            self.announce()
        return self.target.url(lane)

    def headers(self, lane: str) -> Mapping[str, str]:
        """Return the headers of a lane's next request."""
        return self.target.headers(lane)

    def on_outcome(self, lane: str, outcome: Outcome) -> None:
        """Pass an outcome on."""
        if self._on_outcome is not None:
            self._on_outcome(lane, outcome)
