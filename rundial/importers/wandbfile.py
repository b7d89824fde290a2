"""W&B's offline `.wandb` file → its records. Torn files end where they are torn.

The format is LevelDB's log: a header of seven bytes, then blocks of 32 KiB of pieces, each with a crc32 over
its type and its bytes, a length and a type (whole, first, middle, last). A piece whose checksum does not
hold ends what can be trusted: nothing behind it is read, for W&B's own client writes the file from the front
and never goes back.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rundial.importers import protobuf
from rundial.importers.protobuf import BrokenMessageError

HEADER = b":W&B"
HEADER_BYTES = 7
BLOCK_BYTES = 32_768
PIECE = struct.Struct("<IHB")
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4
# Numbers of `Record`'s fields, and of those inside: wandb_internal.proto.
HISTORY, SUMMARY, CONFIG, FILES, STATS, ARTIFACT, ALERT = 2, 3, 5, 6, 7, 8, 10
METRIC, OUTPUT_RAW, RUN, EXIT = 12, 13, 17, 18
# What W&B writes into each row by itself.
OWN = ("_step", "_timestamp", "_runtime")
_RULES = {1: "min", 2: "max", 3: "mean", 4: "best", 5: "last", 6: "none"}


class NotAFileOfWandbError(ValueError):
    """A file has not the header of a `.wandb` file."""


@dataclass(slots=True)
class Row:
    """What was logged at one step.

    Attributes:
        step: The step.
        time_unix_ns: When; 0 where it does not say.
        values: By path; JSON values. What W&B has written of one picture, table or the like is one mapping
            with its `_type`.
    """

    step: int
    time_unix_ns: int
    values: dict[tuple[str, ...], Any]


@dataclass(slots=True)
class WandbRun:
    """What a `.wandb` file tells of a run.

    Attributes:
        run_id, project, entity, name, notes, group, job_type: As W&B has them.
        tags: Labels.
        config: Names and values.
        summary: What was set last, by path.
        started_unix_ns: When it began.
        rows: What was logged.
        stats: What the machine did: time and values.
        lines: What was printed: time, stream, text.
        metrics: Definitions: name, step metric, rule.
        alerts: Title, text and level.
        artifacts: Name, type, aliases, metadata and files of each.
        exit_code: None where the file does not tell of an end.
        is_torn: Whether the file ends within a record.
        unknown: Kinds of record that nothing was made of, and how many.
    """

    run_id: str = ""
    project: str = ""
    entity: str = ""
    name: str = ""
    notes: str = ""
    group: str = ""
    job_type: str = ""
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[tuple[str, ...], Any] = field(default_factory=dict)
    started_unix_ns: int = 0
    rows: list[Row] = field(default_factory=list)
    stats: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    lines: list[tuple[int, str, str]] = field(default_factory=list)
    metrics: list[tuple[str, str, str]] = field(default_factory=list)
    alerts: list[tuple[str, str, str]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    exit_code: int | None = None
    is_torn: bool = False
    unknown: dict[int, int] = field(default_factory=dict)


def bodies(content: bytes) -> Iterator[bytes | None]:
    """Yield the body of each whole record; last of all None where the file is torn.

    Raises:
        NotAFileOfWandbError: It is no such file.
    """
    if content[: len(HEADER)] != HEADER:
        raise NotAFileOfWandbError("it does not begin as a .wandb file does")
    at, pieces, is_open = HEADER_BYTES, [], False
    while at < len(content):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < PIECE.size:
            at += left
            continue
        piece = _piece(content, at)
        if piece is None:
            yield None
            return
        kind, body = piece
        at += PIECE.size + len(body)
        if kind in (WHOLE, FIRST):
            pieces = [body]
        else:
            pieces.append(body)
        is_open = kind in (FIRST, MIDDLE)
        if not is_open:
            yield b"".join(pieces)
    if is_open:
        yield None


def _piece(content: bytes, at: int) -> tuple[int, bytes] | None:
    if at + PIECE.size > len(content):
        return None
    checksum, length, kind = PIECE.unpack_from(content, at)
    body = content[at + PIECE.size : at + PIECE.size + length]
    is_whole = len(body) == length and WHOLE <= kind <= LAST
    return (kind, body) if is_whole and zlib.crc32(body, zlib.crc32(bytes((kind,)))) == checksum else None


def read(path: Path) -> WandbRun:
    """Read a `.wandb` file.

    Raises:
        NotAFileOfWandbError: It is no such file.
        OSError: It cannot be read.
    """
    run = WandbRun()
    for body in bodies(path.read_bytes()):
        if body is None:
            run.is_torn = True
            break
        try:
            _take(run, protobuf.message(body))
        except BrokenMessageError:
            run.is_torn = True
            break
    return run


def _take(run: WandbRun, record: dict[int, list[Any]]) -> None:
    for number, take in _TAKERS.items():
        if number in record:
            take(run, protobuf.message(record[number][-1]))
            return
    for number in record:
        # 1 is the record's own number, 16 how it is to be handled, 200 who wrote it.
        if number not in (1, 16, 200):
            run.unknown[number] = run.unknown.get(number, 0) + 1


def _take_run(run: WandbRun, found: dict[int, list[Any]]) -> None:
    run.run_id, run.entity, run.project = (protobuf.text(found, number) for number in (1, 2, 3))
    run.group, run.job_type, run.name, run.notes = (protobuf.text(found, number) for number in (6, 7, 8, 9))
    run.tags = protobuf.texts(found, 10)
    if 4 in found:
        _take_config(run, protobuf.message(found[4][-1]))
    if 17 in found:
        run.started_unix_ns = protobuf.timestamp_ns(found[17][-1])


def _take_config(run: WandbRun, found: dict[int, list[Any]]) -> None:
    for path, value in _items(found.get(1, ())):
        if path[0] == "_wandb":
            continue
        place = run.config
        for name in path[:-1]:
            below = place.get(name)
            place[name] = below if isinstance(below, dict) else {}
            place = place[name]
        place[path[-1]] = value
    for path, _ in _items(found.get(2, ())):
        run.config.pop(path[0], None)


def _take_summary(run: WandbRun, found: dict[int, list[Any]]) -> None:
    run.summary.update(_items(found.get(1, ())))
    for path, _ in _items(found.get(2, ())):
        run.summary.pop(path, None)


def _take_history(run: WandbRun, found: dict[int, list[Any]]) -> None:
    values = dict(_items(found.get(1, ())))
    step = protobuf.integer(protobuf.message(found[2][-1]), 1) if 2 in found else values.get(("_step",), 0)
    stamp = values.get(("_timestamp",))
    kept = {
        path: value for path, value in values.items() if path[0] not in ("_step", "_timestamp", "_runtime")
    }
    time_unix_ns = int(stamp * 1e9) if isinstance(stamp, (int, float)) else 0
    run.rows.append(Row(int(step), time_unix_ns, _gathered(kept)))


def _gathered(values: dict[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
    """Put together what belongs to one picture or table, whose facts are a path each."""
    heads = [path[:-1] for path, value in values.items() if path[-1] == "_type" and isinstance(value, str)]
    out: dict[tuple[str, ...], Any] = {}
    for path, value in values.items():
        head = next((each for each in heads if path[: len(each)] == each), None)
        if head is None:
            out[path] = value
        else:
            out.setdefault(head, {})[".".join(path[len(head) :])] = value
    return out


def _take_stats(run: WandbRun, found: dict[int, list[Any]]) -> None:
    stamp = protobuf.timestamp_ns(found[2][-1]) if 2 in found else 0
    run.stats.append((stamp, {path[0]: value for path, value in _items(found.get(3, ()))}))


def _take_output(run: WandbRun, found: dict[int, list[Any]]) -> None:
    stream = "stdout" if protobuf.integer(found, 1) == 1 else "stderr"
    stamp = protobuf.timestamp_ns(found[2][-1]) if 2 in found else 0
    run.lines.append((stamp, stream, protobuf.text(found, 3)))


def _take_metric(run: WandbRun, found: dict[int, list[Any]]) -> None:
    rules = protobuf.message(found[7][-1]) if 7 in found else {}
    rule = next((word for number, word in _RULES.items() if rules.get(number)), "")
    name = protobuf.text(found, 1) or protobuf.text(found, 2)
    run.metrics.append((name, protobuf.text(found, 4), rule))


def _take_alert(run: WandbRun, found: dict[int, list[Any]]) -> None:
    title, text, level = (protobuf.text(found, number) for number in (1, 2, 3))
    run.alerts.append((title, text, level.lower()))


def _take_artifact(run: WandbRun, found: dict[int, list[Any]]) -> None:
    manifest = protobuf.message(found[12][-1]) if 12 in found else {}
    files = []
    for body in manifest.get(4, ()):
        entry = protobuf.message(body)
        names = ((1, "path"), (3, "reference"), (6, "local"))
        files.append({name: protobuf.text(entry, number) for number, name in names})
    facts: dict[str, Any] = {"type": protobuf.text(found, 4), "name": protobuf.text(found, 5)}
    run.artifacts.append(
        {
            **facts,
            "aliases": protobuf.texts(found, 11),
            "metadata": _json(protobuf.text(found, 8)),
            "description": protobuf.text(found, 7),
            "files": files,
        }
    )


def _take_exit(run: WandbRun, found: dict[int, list[Any]]) -> None:
    code = protobuf.integer(found, 1)
    run.exit_code = code - (1 << 32) if code >= 1 << 31 else code


_TAKERS: Mapping[int, Any] = {
    RUN: _take_run,
    CONFIG: _take_config,
    SUMMARY: _take_summary,
    HISTORY: _take_history,
    STATS: _take_stats,
    OUTPUT_RAW: _take_output,
    METRIC: _take_metric,
    ALERT: _take_alert,
    ARTIFACT: _take_artifact,
    EXIT: _take_exit,
    # The files of a run lie beside the file; `rundial.importers.wandbruns` looks there.
    FILES: lambda run, found: None,
}


def _items(items: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield path and value of history, summary, config and stats items, which are alike."""
    for body in items:
        found = protobuf.message(body)
        path = tuple(protobuf.texts(found, 2)) or (protobuf.text(found, 1),)
        if path[0]:
            yield path, _json(protobuf.text(found, 16))


def _json(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
