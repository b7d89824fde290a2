"""What records beside a program's own calls: its console and its environment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from rundial.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from rundial.api.pipeline import Attached
    from rundial.api.run import Run
    from rundial.api.start import Parts


def start_capture(run: Run, parts: Parts, attached: Attached, identity: Mapping[str, Any]) -> None:
    """Begin what records beside the program's own calls; each part is stopped before the run ends."""
    settings = run.settings
    if settings.capture_console == "fd":
        from rundial.api import descriptors

        run.before_finish.append(descriptors.capture(run, parts, attached.spool.directory))
    elif settings.capture_console:
        from rundial.api.console import Console

        run.before_finish.append(Console(run).close)
    # Who joins a run is not what the run is made of.
    is_whole = not identity.get("is_joined", False)
    if settings.capture_environment and identity["rank"] in (None, 0) and is_whole:
        from rundial.api.gatherer import Gatherer
        from rundial.signals import semconv

        tell = partial(attached.recorder.event, semconv.EVENT_RUN_ENVIRONMENT)
        gatherer = Gatherer(tell, with_diff=settings.capture_diff)
        gatherer.start(parts.gatherer)
        parts.gatherer = gatherer
        run.before_finish.append(gatherer.close)
