"""GET /api/v1/stream/metrics: the points of a run's series, sent as they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rundial.server.arguments import of_query
from rundial.server.keys import STREAM_READ
from rundial.server.livepoints import News, Watch, place_of
from rundial.server.livestreams import Look, Stream, event, looks
from rundial.server.problems import Problem, invalid
from rundial.server.routes.curves import MAX_NAMES
from rundial.server.routes.workspaces import need_project_by_id
from rundial.server.runlife import status_at
from rundial.server.services import Services, principal_of, services_of
from rundial.server.store.history import AnyRow, need_run

# A run's last points and its end come in two requests, which may change places.
_QUIET_S: Final = 1.0


async def stream(request: Request) -> Response:
    """Send a run's points as they are stored, as server-sent events."""
    principal = principal_of(request, STREAM_READ)
    services = services_of(request)
    arguments = of_query(request)
    project_id, run_id = arguments.text("projectId"), arguments.text("runId")
    names = _names(request.query_params.getlist("metricKeys"))
    is_followed = arguments.one_of("follow", ("true", "false")) == "true"
    seen = request.headers.get("last-event-id", "")
    place = place_of(seen) if seen else None

    def begin(connection: Connection) -> _Looks:
        project = need_project_by_id(connection, principal, project_id)
        run = need_run(connection, project.id, run_id)
        watch = Watch(run.id, names, place)
        if place is None:
            watch.look(services.events.points, connection)
        return _Looks(services, watch, (project.id, run_id), is_followed=is_followed)

    found = await services.read(begin)
    services.streams.need_room()
    return Stream(lambda: looks(services.streams, services.clock, found.place, found.next))


def _names(given: Sequence[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(given))
    if len(names) > MAX_NAMES:
        raise invalid(f"metricKeys has {len(names)} names; it may have {MAX_NAMES}")
    return names


class _Looks:
    """The looks of a stream at a run's series; it ends with the run, once nothing more comes."""

    def __init__(
        self, services: Services, watch: Watch, identity: tuple[int, str], *, is_followed: bool
    ) -> None:
        self._services: Final = services
        self._watch: Final = watch
        self._project, self._run_id = identity
        self._is_followed: Final = is_followed
        # Since when the run is over and nothing came.
        self._quiet_s: float | None = None

    @property
    def place(self) -> str:
        """Where the reader is."""
        return str(self._watch.place)

    async def next(self) -> Look:
        """Find what is behind the look before."""
        try:
            news, status = await self._services.read(self._read)
        except Problem as problem:
            if problem.status != 404:
                raise
            return Look(self.place, end={"reason": "deleted"})
        told = self._watch.told(news)
        sent = [event(told, name="points", event_id=self.place)] if told else []
        return Look(self.place, sent, end=self._end(status, is_quiet=not sent))

    def _read(self, connection: Connection) -> tuple[News, str]:
        # The status first: of a run that was over there, everything is found.
        run = need_run(connection, self._project, self._run_id)
        return self._watch.look(self._services.events.points, connection), self._status(run)

    def _status(self, run: AnyRow) -> str:
        return status_at(
            run.status,
            alive_ns=run.alive_unix_ns,
            now_unix_ns=self._services.clock.time_unix_ns(),
            silence_ns=self._services.silence_ns,
            is_foreign=run.is_foreign,
        )

    def _end(self, status: str, *, is_quiet: bool) -> dict[str, object] | None:
        if not self._is_followed:
            return {"reason": "caught up", "status": status}
        now_s = self._services.clock.monotonic_s()
        if status == "running" or not is_quiet:
            self._quiet_s = None
        elif self._quiet_s is None:
            self._quiet_s = now_s
        elif now_s - self._quiet_s >= _QUIET_S:
            return {"reason": "over", "status": status}
        return None


ROUTES: Final = [Route("/api/v1/stream/metrics", stream, methods=["GET"])]
