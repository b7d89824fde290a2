"""`Facts`: what a run says about itself, beside the streams that it logs. The one base of `Run`.

Its config and summary, how its metrics are to be read, alerts, and whether it is about to be stopped:
each change is an event in the run's life, recorded like everything else and folded by the server. A
base class and not a part, because all of it is the run's own public surface, which does not fit one file.

Nothing here waits, and nothing raises into training. What a run does not use is not imported.
"""

from __future__ import annotations

from collections.abc import Mapping

from rundial.api.guard import Notices
from rundial.errors import RecordDroppedError, RunFinishedError
from rundial.interrupts import let_through
from rundial.signals import semconv
from rundial.signals.attributes import as_text
from rundial.typed import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rundial.api.alerts import AlertLimit
    from rundial.api.config import Changes, Config
    from rundial.api.sink import Delivery, Sink
    from rundial.api.stopping import StopWatch
    from rundial.api.summary import Summary
    from rundial.api.tally import Tally
    from rundial.choices import RunKind, Signal
    from rundial.settings import Settings

AlertLevel = Literal["info", "warn", "error"]
SummaryRule = Literal["last", "min", "max", "mean", "best", "none"]
Goal = Literal["minimize", "maximize"]
RULES: tuple[SummaryRule, ...] = ("last", "min", "max", "mean", "best", "none")
GOALS: tuple[Goal, ...] = ("minimize", "maximize")
MAX_METRIC_CHARS = 512


class Facts:
    """Who a run is and what it says about itself.

    Attributes:
        run_id: The id, unique on the server.
        project_id: The project's id on the server; its slug until the server has told.
        workspace: Workspace slug, None until the server has told.
        project: Project slug.
        name: What people call it.
        kind: `training`, `agent` or `eval`.
    """

    settings: Settings
    _sink: Sink
    _delivery: Delivery
    _tally: Tally
    _notices: Notices
    _status: str | None
    _config: Config | None = None
    _summary: Summary | None = None
    _alerts: AlertLimit | None = None
    _stop: StopWatch | None = None
    _is_preempting = False

    def __init__(self, identity: dict[str, Any]) -> None:
        # Not a copy: a late answer of the server's may still correct the attempt.
        self.identity = identity
        self.run_id: str = identity["run_id"]
        self.project_id: str = identity["project_id"]
        self.workspace: str | None = identity["workspace"]
        self.project: str = identity["project"]
        self.name: str | None = identity["name"]
        self.kind: RunKind = identity["kind"]

    def __repr__(self) -> str:
        return f"Run({self.run_id!r}, project={self.project!r}, status={self._status or 'running'})"

    def _repr_html_(self) -> str:
        """What a notebook shows of the run: name, status, ids, and a link to the server's page."""
        from rundial.api.card import card

        return card(self.identity, self.settings, self._status or "running")

    @property
    def config(self) -> Config:
        """What the run was started with: a dictionary.

        `run.config["lr"] = 0.1` and `run.config["model"]["depth"] = 3` are recorded and wait for
        nothing. Of several writers of a key the last one stands, by its own clock.
        """
        if self._config is None:
            from rundial.api.config import Config

            # Two threads may come here at once; both get the one that is kept.
            return self.__dict__.setdefault("_config", Config(self.identity["config"], self._tell_config))  # type: ignore[no-any-return]  # as declared above
        return self._config

    def update_config(self, config: Mapping[str, object], *, timeout_seconds: float = 5.0) -> bool:
        """Set some keys of the config, each as a whole.

        Args:
            config: Names and values, of any nesting; an argparse namespace or a dataclass will do.
            timeout_seconds: Not used: nothing is waited for. Kept for scripts of the published client.

        Returns:
            Whether the change is recorded; False after the end of the run. Never raises, but in strict mode.
        """
        del timeout_seconds
        try:
            from rundial.signals.configvalue import fields_of

            fields = fields_of(config)
        except Exception as error:  # noqa: BLE001 - the value's own code runs here, and may raise anything
            return self._failed(
                "lines", 0, error, "a change of the config could not be read; nothing was changed"
            )
        if fields is None:
            message = f"update_config takes a mapping, not {type(config).__name__}; nothing was changed"
            self._tally.lost("invalid", "update_config", message)
            return False
        return self.config.put(fields)

    @property
    def summary(self) -> Summary:
        """The run in a few values: a mapping.

        `run.summary["best/epoch"] = 12` is recorded. Reading a metric gives its last value as this process
        logged it, unless it was set by hand. The server shows each metric by its rule, see `define_metric`.
        """
        if self._summary is None:
            from rundial.api.summary import Summary

            return self.__dict__.setdefault("_summary", Summary(self._latest, self._tell_summary))  # type: ignore[no-any-return]  # as declared above
        return self._summary

    def define_metric(
        self,
        name: str,
        *,
        step_metric: str | None = None,
        summary: SummaryRule | None = None,
        goal: Goal | None = None,
    ) -> bool:
        """Say how a metric is to be read: its x axis, and what the summary shows of it.

        A definition may come before or after the points. Of several for one name the last one stands; an
        exact name counts before a pattern.

        Args:
            name: A metric's name, or a pattern such as `val/*`.
            step_metric: The metric whose values are its x axis; None leaves that to the step.
            summary: What the summary shows: the `last` value (which is what it shows without a
                definition), `min`, `max`, `mean`, the `best` by its goal, or `none`.
            goal: Whether less (`minimize`) or more (`maximize`) is better; `minimize` for None.

        Returns:
            Whether it is recorded. Never raises, but in strict mode.
        """
        why = _misdefined(name, step_metric, summary, goal)
        if why is not None:
            self._tally.lost("invalid", f"define_metric:{_shown(name)}", f"define_metric: {why}; ignored")
            return False
        body = {"name": name, "step_metric": step_metric, "summary": summary, "goal": goal}
        return self._record(semconv.EVENT_RUN_METRIC, [body], f"metric definition {name}")

    def alert(self, title: str, text: str = "", level: AlertLevel = "info") -> bool:
        """Tell people something that should not wait until they look at the run.

        The same title is taken at most once a minute and all together at most 20 in a minute; the next
        alert says how many were held back.

        Args:
            title: At most 256 characters.
            text: At most 8,192 bytes of UTF-8; a longer one is cut and flagged.
            level: `info`, `warn` or `error`, in any case.

        Returns:
            Whether it is recorded. Never raises, but in strict mode for a wrong level.
        """
        try:
            return self._alert(title, text, level)
        except (RecordDroppedError, RunFinishedError):
            raise
        except Exception as error:  # noqa: BLE001 - told, and raised in strict mode
            return self._failed("lines", 0, error, "an alert could not be recorded")

    def _alert(self, title: object, text: object, level: object) -> bool:
        from rundial.api.alerts import LEVELS, AlertLimit, body_of

        wanted = level.lower() if isinstance(level, str) else level
        if wanted not in LEVELS:
            message = f"alert: level {_shown(level)} is none of {', '.join(LEVELS)}; the alert was dropped"
            self._tally.lost("invalid", "alert", message)
            return False
        if self._alerts is None:
            self.__dict__.setdefault("_alerts", AlertLimit())
        limit = self._alerts
        assert limit is not None
        held_back = limit.admit(as_text(title))
        if held_back is None:
            return False
        return self._record(semconv.EVENT_RUN_ALERT, [body_of(title, text, wanted, held_back)], "an alert")

    def mark_preempting(self, reason: str = "") -> bool:
        """Note that the machine is about to be taken away, such as on SLURM's warning signal.

        May be called in a signal handler. The run goes on; when the process ends without `finish`, the run
        is `aborted` and its reason says `preempted`. What is in memory is written to disk at once.

        Args:
            reason: In words, at most 512 characters.

        Returns:
            Whether it is recorded.
        """
        self._is_preempting = True
        is_recorded = self._record(
            semconv.EVENT_RUN_PREEMPTING, [{"reason": as_text(reason)[:512]}], "preempting"
        )
        self._delivery.hurry()
        return is_recorded

    @property
    def is_preempting(self) -> bool:
        """Whether `mark_preempting` was called."""
        return self._is_preempting

    @property
    def should_stop(self) -> bool:
        """Whether somebody has asked the run to stop, with `rundial run stop` or on the server.

        Costs well under a microsecond and never waits: the server is asked at most every 10 seconds, by a
        thread of its own that the first look starts. Always False offline, in a disabled run and
        where the endpoint is a Collector.
        """
        stop = self._stop
        if stop is None:
            from rundial.api.stopping import StopWatch

            stop = self.__dict__.setdefault(
                "_stop", StopWatch.of(self.identity, self.settings, self._delivery)
            )
            assert stop is not None
        return stop.should_stop

    def note_changes(self, changes: Changes) -> None:
        """Count and tell what a config or summary could not keep as it was; not for users."""
        if not changes:
            return
        self._tally.count_config(len(changes))
        name, why = changes[0]
        more = f", and {len(changes) - 1} more like it" if len(changes) > 1 else ""
        self._tally.tell(
            "config", name, f"{name or 'config'}: {why}{more}; counted in diagnostics().config_truncations"
        )

    def _tell_config(self, path: Any, values: Mapping[str, Any], gone: Any, changes: Changes) -> bool:
        return self._tell_change("config", semconv.EVENT_RUN_CONFIG, path, values, gone, changes)

    def _tell_summary(self, path: Any, values: Mapping[str, Any], gone: Any, changes: Changes) -> bool:
        return self._tell_change("summary", semconv.EVENT_RUN_SUMMARY, path, values, gone, changes)

    def _tell_change(
        self, field: str, event: str, path: Any, values: Mapping[str, Any], gone: Any, changes: Changes
    ) -> bool:
        from rundial.signals.changes import bodies_of

        try:
            bodies, cut = bodies_of(field, values, path=path, gone=gone)
            self.note_changes([*changes, *cut])
        except Exception as error:  # noqa: BLE001 - told, and raised in strict mode
            return self._failed("lines", 0, error, f"a change of the {field} could not be recorded")
        return self._record(event, bodies, field)

    def _record(self, event: str, bodies: list[dict[str, Any]], what: str) -> bool:
        """Offer events; what is refused is told, because run events are outside the ledger."""
        try:
            if self._status is not None:
                message = f"{what} came after the run had finished; it is not recorded"
                if self.settings.strict:
                    raise RunFinishedError(message)
                self._tally.lost("after_finish", what, message)
                return False
            offered = [self._sink.event(event, body) for body in bodies]
            if all(offered):
                return True
            self._tally.lost(
                "queue_full", what, f"{what} was refused: the recorder is full; it is not recorded"
            )
            return False
        except (RecordDroppedError, RunFinishedError):
            raise
        except Exception as error:  # noqa: BLE001 - told, and raised in strict mode
            return self._failed("lines", 0, error, f"{what} could not be recorded")

    def _latest(self) -> Mapping[str, float]:
        try:
            return self._sink.latest()
        except Exception as error:  # noqa: BLE001 - told, and raised in strict mode
            self._failed("points", 0, error, "the last values could not be read")
            return {}

    def keep_out(self, points: int, what: str, message: str) -> None:
        """Count points that a caller of ours does not take, and tell why once; not for users."""
        self._sink.drop("points", "invalid", points)
        self._tally.lost("invalid", what, message)

    def console_failed(self, error: Exception | None) -> None:
        """Count a line of the console that could not be recorded; not for users."""
        self._sink.drop("lines", "internal_error", 1)
        if error is not None:
            self._notices.warn("failed:console", "console output could not be recorded", error=error)

    def _failed(self, signal: Signal, units: int, error: Exception, what: str = "") -> bool:
        let_through(error)
        if self.settings.strict:
            raise error
        if units:
            self._sink.drop(signal, "internal_error", units)
        message = what or f"Rundial failed to record {signal}; dropped and counted"
        self._notices.warn(f"failed:{signal}", message, error=error)
        return False


def _misdefined(name: object, step_metric: object, summary: object, goal: object) -> str | None:
    """Say what is wrong with a definition, None when nothing is."""
    for what, text in (("name", name), ("step_metric", step_metric)):
        if text is None and what == "step_metric":
            continue
        if not isinstance(text, str) or not text or len(text) > MAX_METRIC_CHARS:
            return f"{what} must be 1 to {MAX_METRIC_CHARS} characters, not {_shown(text)}"
    if summary is not None and summary not in RULES:
        return f"summary must be one of {', '.join(RULES)}, not {_shown(summary)}"
    if goal is not None and goal not in GOALS:
        return f"goal must be one of {', '.join(GOALS)}, not {_shown(goal)}"
    return None


def _shown(value: object) -> str:
    return repr(value)[:80] if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"
