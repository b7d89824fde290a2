"""`Run`: what a training script holds; checks arguments and hands records to a `Sink`.

A logging call does no I/O, waits for one short lock, and never raises into training: what cannot be
kept is counted by reason, the good entries of a call are kept, and the user is told once per key.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from math import isfinite

from rundial.api.ending import Ending, Status, of_exception, of_user, seconds_of
from rundial.api.guard import Notices
from rundial.api.lines import LEVELS, Lines
from rundial.api.rows import Found, Rows
from rundial.api.tally import Tally
from rundial.api.trace import LOSING_SPANS, Spans, Tracing
from rundial.errors import RecordDroppedError, RunFinishedError
from rundial.interrupts import let_through
from rundial.signals import values
from rundial.typed import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from types import TracebackType

    from rundial.api.client import Client
    from rundial.api.sink import Delivery, Sink
    from rundial.diagnostics import RundialDiagnostics
    from rundial.settings import Settings

LogLevel = Literal["trace", "debug", "info", "warn", "error", "fatal"]

MAX_STEP = values.MAX_STEP


class Run(Spans):
    """One execution, with an id; made by `rundial.init`, usable as a context manager.

    Leaving the `with` block completes the run; an exception fails it, KeyboardInterrupt and
    SystemExit abort it, and the exception always goes on its way untouched.

    Attributes:
        run_id, project_id, workspace, project, name, kind: Who the run is, as in `Facts`.
        outlives_process: Whether it goes on when its process ends without having finished it.
        lines: Where its text lines go; not for users.

    Threads: every method may be called from any thread.
    """

    def __init__(
        self,
        identity: dict[str, Any],
        settings: Settings,
        *,
        sink: Sink,
        delivery: Delivery,
        tracing: Tracing,
        attributes: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(identity)
        self.outlives_process: bool = identity.get("outlives_process", False)
        self.settings = settings
        self._tally = Tally(strict=settings.strict)
        self._sink = sink
        self._delivery = delivery
        self._tracing = tracing
        tracing.prices = settings.prices
        tracing.redirect(sink)
        self._attributes = attributes
        self._rows = Rows(attributes)
        self._known = self._rows.known
        self.lines = Lines(sink, tracing, self._tally)
        self._steps = itertools.count(identity.get("first_step", 0))
        self._highest_step = 0
        self._offer_row = sink.row
        self._notices = Notices()
        self._status: Status | Literal["left"] | None = None
        self._client: Client | None = None
        # A Collector takes no files: there a span keeps as much of each value as it can hold.
        if self.settings.mode != "disabled" and not self.settings.is_plain_otlp:
            tracing.offload = self._offloaded
        # What stops before the run does: capture, collection, sampling.
        self.before_finish: list[Callable[[float], None]] = []

    def __reduce__(self) -> Any:
        """In this process the run itself; in another one an instance of it, without the key."""
        from rundial.api.elsewhere import packed

        return packed(self)

    @property
    def has_finished(self) -> bool:
        """Whether `finish` or `leave` was called."""
        return self._status is not None

    @property
    def client(self) -> Client:
        """The server's control and query API, with the run's own key.

        `run.client.api_key = "…"` gives the run another key in mid-run: its next request carries it, and
        what waited because the server had refused the old one is sent at once.
        """
        if self._client is None:
            from rundial.api.client import Client  # HTTP, which offline runs never need

            self._client = Client(self.settings.endpoint, api_key=self._delivery.key)
        return self._client

    def share_client(self, client: Client) -> None:
        """Be one of a client's runs, so that `run.client` is that client; not for users."""
        self._client = client

    def rewire(self, sink: Sink, delivery: Delivery) -> None:
        """Go on with other parts, in a forked child; not for users.

        Args:
            sink: Where records go from now on.
            delivery: What happens to them.
        """
        self._sink = sink
        self._offer_row = sink.row
        self._delivery = delivery
        self._client = self._stop = self._alerts = None  # connections, threads and locks are the parent's
        # Key sets are numbered by their ring, and a lock may have been held by a thread that is no more.
        self._rows = Rows(self._attributes)
        self._known = self._rows.known
        self._tally = Tally(strict=self.settings.strict)
        self.lines = Lines(sink, self._tracing, self._tally)
        self._tracing.redirect(sink)

    def leave_spans_to_parent(self) -> None:
        """Record no span that the parent process has begun, in a forked child; not for users."""
        self._tracing.leave_to_parent()

    def on_span_failure(self, what: str, error: Exception) -> None:
        """Tell of a failure of ours, and count the span if it is lost by it; not for users."""
        # A span that lost an attribute or its parent is stored all the same when it ends.
        self._failed("spans", int(what in LOSING_SPANS), error, f"a span could not {what}")

    def log(
        self,
        metrics: Mapping[str, object],
        *,
        step: int | None = None,
        time_ms: int | None = None,
        context: Mapping[str, str] | None = None,
    ) -> bool:
        """Record one value for each key, all at one step.

        Args:
            metrics: Names (1 to 512 characters) and numbers (int, float, bool, numpy and torch scalars), or
                `Image`, `Table`, `Histogram`, `Figure`. Nested mappings become `a/b`. NaN and infinities are
                dropped and counted per key; what is neither is dropped and counted `invalid`.
            step: The x of the points, 0 to 2^63-1; None takes the next number of the run's own count.
            time_ms: The points' time, milliseconds since the Unix epoch; None is now.
            context: Attributes of all the points, such as `{"split": "val"}`.

        Returns:
            Whether every entry was accepted, False where there is none. Never raises, but in strict mode.
        """
        # The quick way is for what nearly every call is: names that were seen before, plain numbers, a
        # step that goes on. It finds out by trying; whatever does not fit goes the slow way, which
        # sorts the call out entry by entry.
        if context is None and time_ms is None:
            try:
                if len(metrics) == 1:
                    (key,) = metrics
                    keys = self._known[key]
                    value: Any = metrics[key]
                    kind = type(value)
                    # NaN - NaN and inf - inf are not 0. The rest is for numpy's float64, a float too.
                    is_plain = (
                        value - value == 0.0
                        if kind is float
                        else kind is int or (isinstance(value, float) and isfinite(value))
                    )
                    body = keys.pack(value) if is_plain else b""
                else:
                    keys = self._known[tuple(metrics)]
                    numbers: Any = metrics.values()
                    # The sum of plain numbers is one, and not finite if one of them is not.
                    total = sum(numbers)
                    kind = type(total)
                    is_plain = (
                        total - total == 0.0
                        if kind is float
                        else kind is int or (isinstance(total, float) and isfinite(total))
                    )
                    body = keys.pack(*numbers) if is_plain else b""
            except Exception as error:  # noqa: BLE001 - whatever it was, the slow way sorts it out
                let_through(error)
                is_plain = False
            if is_plain:
                if type(step) is int and self._highest_step <= step <= MAX_STEP:
                    self._highest_step = step
                elif step is None:
                    step = next(self._steps)
                elif type(step) is int and 0 <= step <= MAX_STEP:
                    self._tally.count_out_of_order()
                else:
                    return self._log_slowly(metrics, step, time_ms, context)
                return self._offer_row(keys, body, step) or self._refused("points")
        return self._log_slowly(metrics, step, time_ms, context)

    def log_metric(
        self,
        metric_key: str,
        *,
        step: int | None = None,
        value: object,
        timestamp_ms: int | None = None,
        time_ms: int | None = None,
        context: Mapping[str, str] | None = None,
    ) -> bool:
        """Record one value; `timestamp_ms` is another name of `time_ms`, which wins."""
        stamp = timestamp_ms if time_ms is None else time_ms
        return self.log({metric_key: value}, step=step, time_ms=stamp, context=context)

    def log_text(
        self,
        message: object,
        *,
        level: str = "info",
        timestamp_ms: int | None = None,
        time_ms: int | None = None,
    ) -> bool:
        """Record one text line, at most 8,192 bytes of UTF-8; a longer one is cut and flagged.

        Args:
            message: Anything; `str()` is taken of it.
            level: trace, debug, info, warn, error or fatal, in any case.
            timestamp_ms: Another name of `time_ms`, which wins.
            time_ms: Milliseconds since the Unix epoch; None is now.

        Returns:
            Whether the line was accepted. Never raises, but in strict mode.
        """
        try:
            severity = LEVELS.get(level) if type(level) is str else None
            if severity is None or time_ms is not None or timestamp_ms is not None:
                kept = self.lines.add_checked(level, message, timestamp_ms if time_ms is None else time_ms)
                return False if kept is None else kept or self._refused("lines")
            return self.lines.add(severity, message) or self._refused("lines")
        except (RecordDroppedError, RunFinishedError):
            raise
        except Exception as error:  # noqa: BLE001 - counted as internal_error
            return self._failed("lines", 1, error)

    def flush(self, timeout_seconds: float | None = None) -> bool:
        """Wait until everything logged so far is answered by the server; offline: is on disk.

        Args:
            timeout_seconds: Seconds to wait at most; None waits for ever.

        Returns:
            True only when it is.
        """
        return self._delivery.flush(seconds_of(timeout_seconds))

    def diagnostics(self) -> RundialDiagnostics:
        """Return what became of everything logged so far, with the exact ledger."""
        tally = self._tally
        return self._delivery.diagnostics(
            {
                "non_finite": dict(tally.non_finite),
                "lines_truncated": tally.lines_truncated,
                "lines_invalid": tally.lines_invalid,
                "out_of_order_steps": tally.out_of_order_steps,
                "config_truncations": tally.config_truncations,
            }
        )

    def finish(
        self, timeout_seconds: float | None = 5.0, *, status: Status = "completed", reason: object = None
    ) -> bool:
        """End the run: stop intake, write everything to disk, send for at most `timeout_seconds`.

        Args:
            timeout_seconds: The deadline of the whole call, kept whatever the server does; None is none.
            status: `completed`, `failed` or `aborted`.
            reason: In words, at most 512 characters; or the exception that was the reason.

        Returns:
            True when everything is answered (offline: is on disk). What is not stays in the spool for
            `rundial sync` or the next run. Called again with the same status it tries once more;
            with another status it changes nothing and returns False.

        Raises:
            ValueError: The status is not one of the three, or the deadline no number; the run goes on.
        """
        return self.end(of_user(status, reason), seconds_of(timeout_seconds))

    def end(self, ending: Ending, timeout_s: float) -> bool:
        """End the run; see `finish`, which is for users."""
        end = time.monotonic() + timeout_s
        if self._status is None:
            self._stop_parts(timeout_s)
            self._status = ending.status
        elif self._status != ending.status:
            return False
        return self._end_here(max(0.0, end - time.monotonic()), ending)

    def complete(self, reason: object = None, timeout_seconds: float | None = 5.0) -> bool:
        """Finish as completed."""
        return self.finish(timeout_seconds, status="completed", reason=reason)

    def fail(self, reason: object = None, timeout_seconds: float | None = 5.0) -> bool:
        """Finish as failed."""
        return self.finish(timeout_seconds, status="failed", reason=reason)

    def abort(self, reason: object = None, timeout_seconds: float | None = 5.0) -> bool:
        """Finish as aborted."""
        return self.finish(timeout_seconds, status="aborted", reason=reason)

    def leave(self, timeout_seconds: float | None = 5.0) -> bool:
        """Stop recording here without ending the run: other processes go on with it, or end it.

        Args:
            timeout_seconds: The deadline of the whole call.

        Returns:
            As for `finish`; False also for a run that has finished.
        """
        if self._status is None:
            self._stop_parts(seconds_of(timeout_seconds))
            self._status = "left"
        elif self._status != "left":
            return False
        return self._end_here(seconds_of(timeout_seconds), None)

    def close(self, timeout_seconds: float | None = 5.0) -> bool:
        """Finish with whatever status the run has; completed when it has none. Idempotent."""
        if self._status == "left":
            return self.leave(timeout_seconds)
        return self.finish(timeout_seconds, status=self._status or "completed")

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is None:
            ending = Ending("completed") if error is None else of_exception(error)
            self.end(ending, self.settings.finish_timeout_seconds)

    def line(
        self,
        severity: int,
        message: object,
        *,
        time_ms: int | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> bool:
        """Record one text line with attributes, for `LoggingHandler`; not for users."""
        is_kept = self.lines.add(severity, message, time_ms=time_ms, attributes=attributes)
        return is_kept or self._refused("lines")

    def _end_here(self, timeout_s: float, ending: Ending | None) -> bool:
        try:
            return self._delivery.finish(timeout_s, ending)
        except Exception as error:
            let_through(error)
            if self.settings.strict:
                raise
            self._notices.warn("finish", f"finish of {self.run_id} failed; its data is kept", error=error)
            return False

    def _stop_parts(self, timeout_s: float) -> None:
        if self._stop is not None:
            self._stop.close()
        until_s = time.monotonic() + timeout_s
        for stop in reversed(self.before_finish[:]):
            self._stop_part(stop, max(0.0, until_s - time.monotonic()))
        # Not before: what a Ctrl-C has kept from stopping is stopped by the next call, or at the exit.
        self.before_finish.clear()

    def _stop_part(self, stop: Callable[[float], None], timeout_s: float) -> None:
        try:
            stop(timeout_s)
        except Exception as error:  # noqa: BLE001 - one part's failure keeps no run from ending
            let_through(error)
            self._notices.warn("stop", f"a part of {self.run_id} did not stop", error=error)

    def _log_slowly(
        self,
        metrics: Mapping[str, object],
        step: object,
        time_ms: object,
        context: Mapping[str, str] | None,
    ) -> bool:
        try:
            found = self._rows.examine_again(metrics, step, time_ms, context)
            if found is None:
                media, metrics = self._separated(metrics)
                if media:
                    return self._log_with_media(media, metrics, step, time_ms, context)
                found = self._rows.examine(metrics, step, time_ms, context, sink=self._sink)
            if not (found.rows or found.non_finite or found.invalid):
                self._tally.lost("invalid", "", "log() was given no metric; such calls record nothing")
                return False  # and no step of the run's own is taken
            is_whole = self._offer(found)
            # Counted before anyone is told: in strict mode telling raises.
            if found.non_finite:
                self._sink.drop("points", "non_finite", len(found.non_finite))
            if found.invalid:
                self._sink.drop("points", "invalid", len(found.invalid))
            self._tell(found)
            return is_whole and not found.non_finite and not found.invalid
        except (RecordDroppedError, RunFinishedError):
            raise
        except Exception as error:  # noqa: BLE001 - counted as internal_error
            return self._failed("points", 1, error)

    def _offer(self, found: Found) -> bool:
        if found.step is not None:
            if found.step < self._highest_step:
                self._tally.count_out_of_order()
            else:
                self._highest_step = found.step
        step = next(self._steps) if found.step is None else found.step
        is_whole = True
        for keys, body in found.rows:
            explicit_ns = 0 if found.time_ms is None else self._sink.explicit_unix_ns(found.time_ms)
            if not self._sink.row(keys, body, step, explicit_ns):
                is_whole = self._refused("points")
        return is_whole

    def _tell(self, found: Found) -> None:
        for key in found.non_finite:
            self._tally.count_non_finite(key)
        for key, why in found.invalid:
            shown = f"metric {key[:80]!r}" if key else "log()"
            message = f"{shown}: {why}; dropped and counted invalid, the other entries are kept"
            self._tally.lost("invalid", key, message)

    def _refused(self, signal: str) -> bool:
        if self._status is None:
            if self.settings.strict:
                raise RecordDroppedError("queue_full", f"{signal} were refused: the recorder is full")
            return False
        message = f"{signal} were logged after the run had finished; they are dropped and counted"
        if self.settings.strict:
            raise RunFinishedError(message)
        self._tally.lost("after_finish", signal, message)
        return False
