"""Spans as the server shows them → requests in OTLP's JSON, which any server or Collector takes. Pure.

Exact: what comes back in from such a request is the same span, with the same times, attributes, events and
links. What never was an OTLP span, one that still runs, is left to the caller.

Source:
    OTLP 1.x, "JSON Protobuf Encoding".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rundial.signals import semconv

Json = dict[str, Any]
_KINDS: Final = {"internal": 1, "server": 2, "client": 3, "producer": 4, "consumer": 5}
_STATUSES: Final = {"unset": 0, "ok": 1, "error": 2}


def request_of(spans: Iterable[Mapping[str, Any]], project: str, run: Mapping[str, Any]) -> Json:
    """Make one request of spans of a run.

    Args:
        spans: As the server shows them, all of them ended.
        project: Slug; the service's name, so a key of another project takes them there.
        run: The run's details.
    """
    known = {each.get("instanceId"): each for each in run.get("instances") or []}
    by_instance: dict[str, list[Json]] = {}
    for span in spans:
        by_instance.setdefault(str(span.get("instanceId") or ""), []).append(_span(span))
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _resource(project, run, instance, known.get(instance) or {})},
                "scopeSpans": [{"scope": {"name": semconv.SCOPE_NAME}, "spans": held}],
            }
            for instance, held in by_instance.items()
        ]
    }


def _resource(project: str, run: Mapping[str, Any], instance: str, known: Mapping[str, Any]) -> list[Json]:
    said = {
        semconv.SERVICE_NAME: project,
        semconv.SERVICE_INSTANCE_ID: instance or None,
        semconv.RUN_ID: run.get("runId"),
        semconv.RUN_KIND: run.get("kind"),
        semconv.RUN_ATTEMPT: known.get("attempt"),
        semconv.RANK: known.get("rank"),
        semconv.HOST_NAME: known.get("host") or None,
    }
    return _attributes({name: value for name, value in said.items() if value is not None})


def _span(span: Mapping[str, Any]) -> Json:
    attributes = dict(span.get("attributes") or {})
    if span.get("interrupted"):
        attributes[semconv.INTERRUPTED] = True
    parent = span.get("parentSpanId")
    return {
        "traceId": span["traceId"],
        "spanId": span["spanId"],
        **({"parentSpanId": parent} if parent else {}),
        "name": span["name"],
        "kind": _KINDS.get(str(span.get("kind")), _KINDS["internal"]),
        "startTimeUnixNano": span["startNs"],
        "endTimeUnixNano": span["endNs"],
        "attributes": _attributes(attributes),
        "events": [
            {
                "timeUnixNano": event["timestampNs"],
                "name": event["name"],
                "attributes": _attributes(event.get("attributes") or {}),
            }
            for event in span.get("events") or []
        ],
        "links": [
            {
                "traceId": link["traceId"],
                "spanId": link["spanId"],
                "attributes": _attributes(link.get("attributes") or {}),
            }
            for link in span.get("links") or []
        ],
        "status": {
            "code": _STATUSES.get(str(span.get("status")), 0),
            "message": span.get("statusMessage") or "",
        },
    }


def _attributes(values: Mapping[str, Any]) -> list[Json]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: object) -> Json:
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(each) for each in value]}}
    if isinstance(value, dict):
        return {"kvlistValue": {"values": _attributes(value)}}
    return {}
