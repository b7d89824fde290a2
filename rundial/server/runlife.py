"""A run's life as a fold over its events, in any order, with any repeats. Pure.

Every part of the state is a maximum: of a time, of an attempt, or of a (stamp, value) pair. Maxima
commute and ignore repeats, so late syncs, Collectors that re-batch and requests sent twice all lead
to the same run.

- config, summary: last writer wins per path (see `registers`); metric definitions per name; name, kind,
  group, job type, tags: likewise;
  the writer's stamp is (event time, instance, seq).
- The finish of attempt N ends all attempts ≤ N; a later attempt opens the run again. Of several
  finishes of one attempt, as the ranks of a distributed run may send, failed beats aborted beats completed.
- A wish to stop, and the note that the machine is being taken away, count for their attempt alone.
- Silence is not in the fold: it is judged by receive time, when someone looks (`status_at`). Only a run
  that once sent a heartbeat can fall silent; nobody promised any for the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from rundial.server.anyvalue import canonical
from rundial.server.registers import Omitted, Register, Registers, Stamp, capped, values_of, written
from rundial.signals import semconv

# Stands where telemetry has `service.instance.id`, for what a person wrote over what the run said.
EDITOR: Final = "edit"
DEFAULT_SILENCE_S: Final = 90.0
# How far a record may lag and still prove that its run lives. Older ones are a late sync: they bring
# news of the past. It is also how far a host's clock may be behind before its live run looks crashed.
LIVE_LAG_NS: Final = 300 * 10**9

# Later ones win over earlier ones within an attempt.
_ENDS: Final = ("completed", "aborted", "failed")
TERMINAL: Final = frozenset(_ENDS)
STATUSES: Final = TERMINAL | {"running", "crashed"}

_Note = tuple[int, int, str, int, str]  # attempt, stamp, and what it says as canonical JSON

_DEFINITION: Final = ("step_metric", "summary", "goal")
_NOTES: Final = {semconv.EVENT_RUN_PREEMPTING: "preempting", semconv.EVENT_RUN_STOP: "stop"}
_Finish = tuple[int, int, str, int, str]
_FINISH: Final = ("status", "reason", "finished_unix_ns", "error")
_FIELDS: Final = ("name", "kind", "group", "job_type", "resume", "tags", "launch")


@dataclass(frozen=True, slots=True)
class Happening:
    """One event as the fold sees it.

    Attributes:
        name: The event's name, one of `semconv.EVENT_RUN_*`.
        stamp: (event time in unix ns, instance, seq).
        attempt: The attempt that it belongs to, from 1.
        body: What it says.
    """

    name: str
    stamp: Stamp
    attempt: int
    body: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class RunLife:
    """What all events of a run seen so far add up to.

    Attributes:
        attempt: The greatest attempt seen, 0 before any.
        started_unix_ns: The earliest start, None before any.
        has_beaten: Whether a heartbeat was ever heard.
        finish: (attempt, time, instance, seq, what it said as JSON) of the finish that counts.
        fields: Registers of what a start says.
        config: Registers of the config, by path.
        summary: Registers of what was set in the summary, by path.
        metrics: Registers of the metrics' definitions, by name or pattern.
        preempting: The last note that the machine is being taken away, None without any.
        stop: The last wish that the run stops, None without any.
        config_omitted: Names of the config beyond the bound of `registers`.
        summary_omitted: Likewise of the summary.
    """

    attempt: int = 0
    started_unix_ns: int | None = None
    has_beaten: bool = False
    finish: _Finish | None = None
    fields: Registers = field(default_factory=dict)
    config: Registers = field(default_factory=dict)
    summary: Registers = field(default_factory=dict)
    metrics: Registers = field(default_factory=dict)
    preempting: _Note | None = None
    stop: _Note | None = None
    config_omitted: Omitted = ()
    summary_omitted: Omitted = ()

    def value(self, name: str) -> object:
        """What stands in a start's field (`name`, `kind`, `group`, `job_type`, `tags`), None when unset."""
        register = self.fields.get(name)
        return None if register is None else json.loads(register[3])

    def config_values(self) -> dict[str, object]:
        """The config as it stands."""
        return values_of(self.config)

    def summary_values(self) -> dict[str, object]:
        """What was set in the summary by hand, as it stands."""
        return values_of(self.summary)

    def metric_definitions(self) -> dict[str, dict[str, object]]:
        """How metrics are to be read, by name or pattern; of two patterns the later one comes first."""
        latest_first = sorted(self.metrics.items(), key=lambda item: item[1], reverse=True)
        return {name: json.loads(register[3]) for name, register in latest_first}

    def note_of(self, note: _Note | None, attempt: int | None = None) -> Mapping[str, object] | None:
        """What `stop` or `preempting` says for an attempt, the latest one for None; None for nothing."""
        if note is None or note[0] < (attempt or self.attempt):
            return None
        said = json.loads(note[4])
        return {"unix_ns": note[1], **said} if isinstance(said, dict) else None

    @property
    def status(self) -> str:
        """`running`, or how the latest attempt ended."""
        if self.finish is None or self.finish[0] < self.attempt:
            return "running"
        return str(json.loads(self.finish[4])["status"])

    @property
    def reason(self) -> str | None:
        """Why the run ended as it did; None while it runs or when it did not say."""
        if self.finish is None or self.status == "running":
            return None
        reason = json.loads(self.finish[4]).get("reason")
        return None if reason is None else str(reason)

    @property
    def error(self) -> Mapping[str, object] | None:
        """The exception that ended the run (`type`, `message`, `traceback`), None when none did."""
        if self.finish is None or self.status == "running":
            return None
        error = json.loads(self.finish[4]).get("error")
        return error if isinstance(error, dict) else None

    @property
    def latest_start_unix_ns(self) -> int:
        """When the last start happened, by its own clock; 0 before any."""
        told = (register[0] for register in self.fields.values() if register[1] != EDITOR)
        return max(told, default=0)

    @property
    def finished_unix_ns(self) -> int | None:
        """When the run ended, by its own clock; None while it runs."""
        if self.finish is None or self.status == "running":
            return None
        finished = json.loads(self.finish[4]).get("finished_unix_ns")
        return finished if isinstance(finished, int) else self.finish[1]


def fold(life: RunLife, happening: Happening) -> RunLife:
    """Return the life with one more event in it; the order of calls does not matter."""
    life = seen_attempt(life, happening.attempt)
    body = happening.body
    if happening.name == semconv.EVENT_RUN_START:
        fields = {name: body[name] for name in _FIELDS if body.get(name) is not None}
        started = body.get("started_unix_ns")
        return _configured(
            replace(
                life,
                started_unix_ns=_earliest(
                    life.started_unix_ns, started if _is_int(started) else happening.stamp[0]
                ),
                fields=_written(life.fields, fields, happening.stamp),
            ),
            happening,
        )
    if happening.name == semconv.EVENT_RUN_CONFIG:
        return _configured(life, happening)
    if happening.name == semconv.EVENT_RUN_SUMMARY:
        summary, omitted = capped(
            written(life.summary, body, "summary", happening.stamp), life.summary_omitted
        )
        return replace(life, summary=summary, summary_omitted=omitted)
    if happening.name == semconv.EVENT_RUN_METRIC and isinstance(body.get("name"), str):
        definition = {str(body["name"]): {key: body.get(key) for key in _DEFINITION}}
        return replace(life, metrics=_written(life.metrics, definition, happening.stamp))
    if happening.name in _NOTES:
        return _noted(life, happening)
    if happening.name == semconv.EVENT_RUN_FINISH and body.get("status") in TERMINAL:
        ended = canonical({key: body[key] for key in _FINISH if body.get(key) is not None})
        finish = (happening.attempt, *happening.stamp, ended)
        known = [finish] if life.finish is None else [life.finish, finish]
        return replace(life, finish=max(known, key=_weight))
    if happening.name == semconv.EVENT_RUN_HEARTBEAT:
        return replace(life, has_beaten=True)
    return life


def edited(life: RunLife, values: Mapping[str, object], now_ns: int) -> RunLife:
    """Return the life with `name` or `tags` as a person wants them, until a later start says otherwise."""
    return replace(life, fields=_written(life.fields, values, (now_ns, EDITOR, 0)))


def seen_attempt(life: RunLife, attempt: int) -> RunLife:
    """Return the life knowing that an attempt exists."""
    return life if attempt <= life.attempt else replace(life, attempt=attempt)


def alive_unix_ns(received_unix_ns: int, record_unix_ns: int) -> int:
    """Until when a record proves that its run lived: its arrival, unless it is old news."""
    return min(received_unix_ns, record_unix_ns + LIVE_LAG_NS)


def status_at(folded: str, *, alive_ns: int, now_unix_ns: int, silence_ns: int, is_foreign: bool) -> str:
    """A run's status as someone sees it now.

    Args:
        folded: `RunLife.status`.
        alive_ns: Greatest `alive_unix_ns` of the run's records; 0 for a run that never sent a heartbeat.
        now_unix_ns: The server's time.
        silence_ns: How long a run that sent heartbeats may be silent.
        is_foreign: True for programs that know no runs: nobody promised heartbeats, so their
            silence is an end and not a crash.
    """
    if folded != "running" or alive_ns == 0 or now_unix_ns - alive_ns <= silence_ns:
        return folded
    return "completed" if is_foreign else "crashed"


def dump(life: RunLife) -> str:
    """The life as JSON, for a column."""
    return json.dumps(
        {
            "attempt": life.attempt,
            "started": life.started_unix_ns,
            "beaten": life.has_beaten,
            "finish": life.finish,
            "fields": life.fields,
            "config": life.config,
            "summary": life.summary,
            "metrics": life.metrics,
            "preempting": life.preempting,
            "stop": life.stop,
            "config_omitted": life.config_omitted,
            "summary_omitted": life.summary_omitted,
        },
        separators=(",", ":"),
        ensure_ascii=False,
    )


def load(text: str) -> RunLife:
    """Read what `dump` wrote."""
    raw = json.loads(text)
    return RunLife(
        attempt=raw["attempt"],
        started_unix_ns=raw["started"],
        has_beaten=raw.get("beaten", False),
        finish=None if raw["finish"] is None else tuple(raw["finish"]),
        fields={key: tuple(register) for key, register in raw["fields"].items()},
        config={key: tuple(register) for key, register in raw["config"].items()},
        summary={key: tuple(register) for key, register in raw["summary"].items()},
        # Absent from what an older server wrote.
        metrics={key: tuple(register) for key, register in raw.get("metrics", {}).items()},
        preempting=_tuple(raw.get("preempting")),
        stop=_tuple(raw.get("stop")),
        config_omitted=tuple(raw.get("config_omitted", ())),
        summary_omitted=tuple(raw.get("summary_omitted", ())),
    )


def _configured(life: RunLife, happening: Happening) -> RunLife:
    registers = written(life.config, happening.body, "config", happening.stamp)
    config, omitted = capped(registers, life.config_omitted)
    return replace(life, config=config, config_omitted=omitted)


def _noted(life: RunLife, happening: Happening) -> RunLife:
    reason = happening.body.get("reason")
    said = canonical({"reason": reason if isinstance(reason, str) else ""})
    note: _Note = (happening.attempt, *happening.stamp, said)
    name = _NOTES[happening.name]
    known: _Note | None = getattr(life, name)
    latest = note if known is None else max(known, note)
    return replace(life, stop=latest) if name == "stop" else replace(life, preempting=latest)


def _tuple(raw: Any) -> _Note | None:
    return None if raw is None else tuple(raw)


def _written(registers: Registers, values: object, stamp: Stamp) -> Registers:
    if not isinstance(values, Mapping) or not values:
        return registers
    written = dict(registers)
    for key, value in values.items():
        # The value is part of the order: two writers with one stamp must not depend on who came first.
        register: Register = (*stamp, canonical(value))
        name = str(key)
        written[name] = register if name not in written else max(written[name], register)
    return written


def _weight(finish: _Finish) -> tuple[int, int, int, str, int, str]:
    attempt, time_ns, instance, seq, ended = finish
    return attempt, _ENDS.index(json.loads(ended)["status"]), time_ns, instance, seq, ended


def _earliest(known: int | None, new: object) -> int | None:
    if not isinstance(new, int):
        return known
    return new if known is None else min(known, new)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
