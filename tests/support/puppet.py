"""A program that does with Rundial what it is told, a step at a time; for `tests.support.nursery`.

Each method of `Puppet` is one thing that it can be asked for.
"""

from __future__ import annotations

import json
import logging
import random
import resource
import socket
import traceback
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

# Imported before any fork, so that no child has to: OpenTelemetry's SDK and HTTP come late otherwise.
import opentelemetry.sdk.trace

import rundial as rd
import rundial.api.adoption
import rundial.export.http
import rundial.export.sender
from rundial.api import adopt, session, start
from rundial.api.run import Run
from rundial.api.span import Span
from rundial.api.target import RunSource

IMPORTED = (opentelemetry.sdk.trace, rundial.api.adoption, rundial.export, start)
LINE_BYTES = 4000
LARGE = {"events": 4, "characters": 40_000}


class Puppet:
    """One process with its runs by id."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.spans: list[Span] = []

    def init(self, run_id: str, **options: Any) -> str:
        """Begin a run; return why it cannot be, empty when it can."""
        try:
            self.runs[run_id] = rd.init(run_id=run_id, **options)
        except rd.RundialError as error:
            return str(error)
        return ""

    def log(self, run_id: str, number: int, names: list[str], value: Any) -> bool:
        """Log one row, one value for all names, at a step of its own."""
        return self.runs[run_id].log(dict.fromkeys(names, value), step=number)

    def say(self, run_id: str, first: int, lines: int, mark: str, level: str = "info") -> list[int]:
        """Log lines that begin with their numbers and that gzip halves at most; return those accepted."""
        numbers = range(first, first + lines)
        return [
            number
            for number in numbers
            if self.runs[run_id].log_text(
                f"{number} {mark} {random.Random(number).randbytes(LINE_BYTES).hex()}", level=level
            )
        ]

    def trace(self, run_id: str, number: int, is_large: bool = False) -> None:
        """Begin and end a span."""
        with self.runs[run_id].trace(str(number)) as span:
            for event in range(LARGE["events"] if is_large else 0):
                span.event(f"e{event}", {"text": "x" * LARGE["characters"]})

    def open_span(self, run_id: str, number: int) -> None:
        """Begin a span and leave it open."""
        self.spans.append(self.runs[run_id].trace(str(number)))
        self.spans[-1].set_attrs({"open": True})

    def ledger(self, run_id: str) -> dict[str, Any]:
        """Return a run's account."""
        ledger = self.runs[run_id].diagnostics().ledger
        return {**asdict(ledger), "closes": ledger.closes}

    def flush(self, run_id: str, timeout_s: float) -> bool:
        """Flush."""
        return self.runs[run_id].flush(timeout_s)

    def finish(self, run_id: str, timeout_s: float) -> bool:
        """Finish, once or again."""
        return self.runs[run_id].finish(timeout_s)

    def limit_files(self, size: int) -> None:
        """Let no file of this process grow beyond a size from now on; -1 ends that."""
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size if size >= 0 else hard, hard))

    def restart_sender(self, run_id: str) -> None:
        """Take a run from its sender and give it back, as when its spool is made again."""
        attached, delivery = session._SESSION.parts.live.get(self.runs[run_id], (None, None))
        if attached is None or attached.source is None or delivery.is_done:
            return
        attached.sender.remove(attached.source)
        attached.source = RunSource(attached.spool.lanes, attached.target, label=attached.source.label)
        attached.sender.add(attached.source)

    def sync(self, root: str, endpoint: str, timeout_s: float) -> list[dict[str, Any]]:
        """Do what `rundial sync` does; return a result for each instance."""
        report = adopt.sync([Path(root)], endpoint=endpoint, timeout_s=timeout_s)
        return [{**asdict(result), "path": str(result.path)} for result in report.results]


def serve(connection: socket.socket) -> None:
    """Do as told until there is nobody to tell."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    puppet = Puppet()
    with connection.makefile("r") as asked:
        for line in asked:
            what, arguments = json.loads(line)
            try:
                answer = {"result": getattr(puppet, what)(**arguments)}
            except Exception:  # noqa: BLE001 - told to the test, which fails with it
                answer = {"failure": traceback.format_exc()}
            connection.sendall(json.dumps(answer).encode() + b"\n")
