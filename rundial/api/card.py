"""What a notebook shows of a run: a small card of HTML, everything in it escaped."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from rundial.settings import Settings


def run_url(settings: Settings, workspace: str | None, project: str, run_id: str) -> str | None:
    """Return the address of the run's page on its server; None where there is none.

    A Collector has no pages, and the workspace is only known once the server has told it.
    """
    if settings.mode != "online" or settings.is_plain_otlp or workspace is None:
        return None
    parts = "/".join(quote(part, safe="") for part in (workspace, project, "runs", run_id))
    return f"{settings.endpoint}/{parts}"


def card(identity: Mapping[str, Any], settings: Settings, status: str) -> str:
    """Return the card.

    Args:
        identity: The run's.
        settings: The run's.
        status: `running`, or how it ended.
    """
    run_id, project = str(identity["run_id"]), str(identity["project"])
    workspace = identity["workspace"]
    title = escape(str(identity["name"] or run_id))
    url = run_url(settings, workspace, project, run_id)
    if url is not None:
        title = f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{title}</a>'
    place = project if workspace is None else f"{workspace}/{project}"
    rows = [("run", run_id), ("project", place), ("kind", str(identity["kind"])), ("mode", settings.mode)]
    cells = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in rows)
    return f"<div><strong>{title}</strong> <em>{escape(status)}</em><table>{cells}</table></div>"
