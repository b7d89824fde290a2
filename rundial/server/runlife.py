"""A run's life as a fold over its events, in any order, with any repeats. Pure.

Every part of the state is a maximum: of a time, of an attempt, or of a (stamp, value) pair. Maxima
commute and ignore repeats, so late syncs, Collectors that re-batch and requests sent twice all lead
to the same run.

- config, summary: last writer wins per key; name, kind, group, job type, tags: likewise;
  the writer's stamp is (event time, instance, seq).
- The finish of attempt N ends all attempts ≤ N; a later attempt opens the run again. Of several
  finishes of one attempt, as the ranks of a distributed run may send, failed beats aborted beats completed.
- Silence is not in the fold: it is judged by receive time, when someone looks (`status_at`). Only a run
  that once sent a heartbeat can fall silent; nobody promised any for the others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from rundial.server.anyvalue import canonical
from rundial.signals import semconv

DEFAULT_SILENCE_S: Final = 90.0
# How far a record may lag and still prove that its run lives. Older ones are a late sync: they bring
# news of the past. It is also how far a host's clock may be behind before its live run looks crashed.
LIVE_LAG_NS: Final = 300 * 10**9

# Later ones win over earlier ones within an attempt.
_ENDS: Final = ("completed", "aborted", "failed")
TERMINAL: Final = frozenset(_ENDS)
STATUSES: Final = TERMINAL | {"running", "crashed"}

Stamp = tuple[int, str, int]
_Register = tuple[int, str, int, str]  # a stamp and the value as canonical JSON: totally ordered

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
        config: Registers of the config, by key.
        summary: Registers of the summary, by key.
    """

    attempt: int = 0
    started_unix_ns: int | None = None
    has_beaten: bool = False
    finish: _Finish | None = None
    fields: Mapping[str, _Register] = field(default_factory=dict)
    config: Mapping[str, _Register] = field(default_factory=dict)
    summary: Mapping[str, _Register] = field(default_factory=dict)

    def value(self, name: str) -> object:
        """What stands in a start's field (`name`, `kind`, `group`, `job_type`, `tags`), None when unset."""
        register = self.fields.get(name)
        return None if register is None else json.loads(register[3])

    def config_values(self) -> dict[str, object]:
        """The config as it stands."""
        return {key: json.loads(register[3]) for key, register in sorted(self.config.items())}

    def summary_values(self) -> dict[str, object]:
        """The summary as it stands."""
        return {key: json.loads(register[3]) for key, register in sorted(self.summary.items())}

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
        return max((register[0] for register in self.fields.values()), default=0)

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
        return replace(
            life,
            started_unix_ns=_earliest(
                life.started_unix_ns, started if _is_int(started) else happening.stamp[0]
            ),
            fields=_written(life.fields, fields, happening.stamp),
            config=_written(life.config, body.get("config"), happening.stamp),
        )
    if happening.name == semconv.EVENT_RUN_CONFIG:
        return replace(life, config=_written(life.config, body.get("config"), happening.stamp))
    if happening.name == semconv.EVENT_RUN_SUMMARY:
        return replace(life, summary=_written(life.summary, body.get("summary"), happening.stamp))
    if happening.name == semconv.EVENT_RUN_FINISH and body.get("status") in TERMINAL:
        ended = canonical({key: body[key] for key in _FINISH if body.get(key) is not None})
        finish = (happening.attempt, *happening.stamp, ended)
        known = [finish] if life.finish is None else [life.finish, finish]
        return replace(life, finish=max(known, key=_weight))
    if happening.name == semconv.EVENT_RUN_HEARTBEAT:
        return replace(life, has_beaten=True)
    return life


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
    )


def _written(registers: Mapping[str, _Register], values: object, stamp: Stamp) -> Mapping[str, _Register]:
    if not isinstance(values, Mapping) or not values:
        return registers
    written = dict(registers)
    for key, value in values.items():
        # The value is part of the order: two writers with one stamp must not depend on who came first.
        register = (*stamp, canonical(value))
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
