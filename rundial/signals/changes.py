"""Changes of a run's config or summary → the bodies of the events that carry them. Pure.

A body is `{<field>: {name: value}}` for what stands at the top, `entries` for what stands deeper, as
`{path, value}`, and `removed` for what is gone, as paths. What does not fit one event is several.
Secrets are taken out here, where everything passes.
"""

from __future__ import annotations

from collections.abc import Mapping

from rundial.signals.configvalue import Entry, Path, entries_of
from rundial.signals.redaction import is_secret_name, redact
from rundial.typed import Any

ENTRIES = "entries"
REMOVED = "removed"


def bodies_of(
    field: str, values: Mapping[str, Any], *, path: Path = (), gone: tuple[str, ...] = ()
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Return the bodies of the events that say what has changed, and what had to be cut.

    Args:
        field: `config` or `summary`.
        values: What is set, clean, by its last name.
        path: Where that stands; empty for the top.
        gone: Names that were removed from there.
    """
    secret = next((name for name in path if is_secret_name(name)), "")
    groups, cut = entries_of(redact(values, secret), path)
    bodies = [_body(field, group) for group in groups if group]
    if gone:
        bodies.append({REMOVED: [[*path, name] for name in gone]})
    return bodies, cut


def _body(field: str, group: list[Entry]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    top = {path[0]: value for path, value in group if len(path) == 1}
    deeper = [{"path": list(path), "value": value} for path, value in group if len(path) > 1]
    if top:
        body[field] = top
    if deeper:
        body[ENTRIES] = deeper
    return body
