"""What is written for OTLP headers and exporters, read; only who sets them needs it.

Each function raises `ValueError` with words that begin with "must", without the value: a header may be a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rundial import otlpenv
from rundial.typed import Any
from rundial.value import value

_KINDS = ("SpanExporter", "LogRecordExporter", "MetricExporter")


def headers(value: Any, read_url: Callable[[Any], str]) -> dict[str, dict[str, str]]:
    """Return headers by URL, the empty one for the only endpoint; names in lower case.

    Args:
        value: One mapping, a mapping for each URL, or `name=value,name=value`.
        read_url: Reads a URL.
    """
    if isinstance(value, str):
        value = otlpenv.read_headers(value) or {"": value}
    if not isinstance(value, Mapping):
        raise ValueError("must be a mapping of names to texts, or of URLs to such mappings")
    if any(isinstance(each, Mapping) for each in value.values()):
        return {read_url(url): _checked(each) for url, each in value.items()}
    return {"": _checked(value)}


@value
class Named:
    """An exporter that is still to be made, by a run that sends.

    Attributes:
        name: `module:name` of what makes it.
        make: That function.
    """

    name: str
    make: Callable[[], Any]


def exporters(value: Any, read_maker: Callable[[str], Callable[[], Any]]) -> tuple[Any, ...]:
    """Return exporters; of those that are named, what makes them.

    Args:
        value: Objects derived from OpenTelemetry's own classes, or `module:name` of what makes each, between
            commas.
        read_maker: Reads one such name.
    """
    if isinstance(value, str):
        names = [part.strip() for part in value.split(",")]
        return tuple(Named(name, read_maker(name)) for name in names if name)
    found = tuple(value) if isinstance(value, Iterable) else (None,)
    if not all(isinstance(each, Named) or is_exporter(each) for each in found):
        raise ValueError("must be a list of exporters derived from OpenTelemetry's own classes")
    return found


def is_exporter(found: object) -> bool:
    """Whether an object is derived from one of OpenTelemetry's own classes."""
    # By the names of classes: OpenTelemetry's SDK is imported when a run needs it, and not by `init`.
    return any(kind.__name__ in _KINDS for kind in type(found).__mro__)


def _checked(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError("must be a mapping of names to texts for every URL")
    for name, text in value.items():
        if not (isinstance(name, str) and name and name.replace("-", "a").replace("_", "a").isalnum()):
            raise ValueError("must have names of letters, digits, '-' and '_'")
        if not (isinstance(text, str) and text.isascii() and text.isprintable()):
            raise ValueError("must have values that HTTP can carry")
    return {name.lower(): text for name, text in value.items()}
