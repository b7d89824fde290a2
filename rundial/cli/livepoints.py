"""`metrics tail --follow` by the server's stream of a run's points: each is printed as it is stored.

Thread: one reads the stream; the command's own prints.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rundial.cli.follow import OVER
from rundial.cli.livereader import Reader
from rundial.cli.points import Printer, identity
from rundial.cli.series import MAX_KEYS, Series, keys_of, last_points
from rundial.cli.target import Place

if TYPE_CHECKING:
    from rundial.api.client import Client

# Of each series: which points were printed, so that what is read anew does not come again.
_KNOWN = 1_000


def follow(
    printer: Printer, client: Client, place: Place, run_id: str, keys: Sequence[str], points: int
) -> bool:
    """Print a run's last points, then each new one, until the run is over or Ctrl-C.

    Returns:
        False when the run is over, or the server streams no points to this key; nothing was printed then.

    Raises:
        RundialRequestError: The run cannot be read, or the stream was refused later on.
    """
    from rundial.api.livestream import POINTS

    found = client.get_run_details(workspace_slug=place.workspace, project_slug=place.project, run_id=run_id)
    if found.get("status") in OVER:
        return False
    project_id = str(found.get("projectId", ""))
    names = list(keys) or keys_of(client, project_id, run_id)
    # Without names given, series that come up later are shown, too, as long as they are few.
    is_open = not keys and len(names) < MAX_KEYS
    query = {"projectId": project_id, "runId": run_id, "follow": "true"}
    reader = Reader(client, POINTS, query if is_open else {**query, "metricKeys": names})
    told = _Told(names, is_open=is_open)
    try:
        # The stream stands before the last points are read, so none falls between them.
        if reader.opened() is None:
            return False

        def read(wanted: Sequence[str]) -> Series:
            if not wanted:
                return []
            return last_points(client, project_id, run_id, keys=list(wanted), points=points)

        printer.show(told.unseen(read(names)))
        for event in _events(reader, printer):
            fresh = told.unseen(told.series_of(event))
            fresh += told.unseen(read(told.to_read(event)))
            if fresh:
                printer.show(fresh)
    except KeyboardInterrupt:
        return True  # how a person leaves it
    finally:
        reader.stop.set()
    return True


def _events(reader: Reader, printer: Printer) -> Iterator[Mapping[str, Any]]:
    """Yield what the server tells until the run is over; say once that a stream broke off."""
    from rundial.api.livestream import FINAL

    is_cut = False
    while True:
        event = reader.next()
        assert event is not None  # it was waited for without an end
        if event.name == "end" and event.data.get("reason") in FINAL:
            return
        if event.name == "cut" and not is_cut:
            printer.note(str(event.data["reason"]))
        is_cut = event.name == "cut"
        if event.name == "points":
            yield event.data


@dataclass(slots=True)
class _Told:
    """What was printed of which series.

    Attributes:
        names: The metrics that are shown.
        is_open: Whether further ones may be.
    """

    names: list[str]
    is_open: bool
    _series: dict[int, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    _known: dict[tuple[str, str], deque[tuple[object, ...]]] = field(default_factory=dict)

    def series_of(self, event: Mapping[str, Any]) -> Series:
        """Return the points of an event as `query_series` has them."""
        # After each new beginning of the stream its numbers begin anew, each with its name.
        for number, name, context in event.get("series", ()):
            self._series[number] = str(name), context
        found: dict[int, dict[str, Any]] = {}
        for number, step, time_ms, value, *_ in event.get("rows", ()):
            name, context = self._series[number]
            if self._is_shown(name):
                row = found.setdefault(number, {"metricKey": name, "context": context, "points": []})
                row["points"].append({"step": step, "timestampMs": time_ms, "value": value})
        return list(found.values())

    def to_read(self, event: Mapping[str, Any]) -> list[str]:
        """Return the metrics that an event says are to be read anew."""
        names = (self._series[number][0] for number in event.get("reread", ()))
        return [name for name in dict.fromkeys(names) if self._is_shown(name)]

    def unseen(self, found: Series) -> Series:
        """Return the series with those points alone that were not printed yet; they are then."""
        fresh = []
        for row in found:
            context = json.dumps(row.get("context") or {}, sort_keys=True)
            known = self._known.setdefault((str(row.get("metricKey")), context), deque(maxlen=_KNOWN))
            seen = set(known)
            points = [point for point in row["points"] if identity(point) not in seen]
            known.extend(map(identity, points))
            if points:
                fresh.append({**row, "points": points})
        return fresh

    def _is_shown(self, name: str) -> bool:
        if name in self.names:
            return True
        if self.is_open and len(self.names) < MAX_KEYS:
            self.names.append(name)
            return True
        return False
