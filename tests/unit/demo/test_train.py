"""The demonstration's training, on a run that only counts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

from rundial.demo.train import load, steps_of, train


class _Counting:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.points: list[tuple[str, int | None, float]] = []
        self.lines: list[str] = []
        self.spans: list[str] = []

    def log(self, metrics: Mapping[str, Any], *, step: int | None = None) -> bool:
        """Keep the values."""
        self.points += [(name, step, value) for name, value in metrics.items()]
        return True

    def log_text(self, message: object, *, level: str = "info") -> bool:
        """Keep the line."""
        self.lines.append(str(message))
        return True

    def trace(self, name: str, *, attrs: Mapping[str, Any] | None = None) -> nullcontext[Any]:
        """Keep the name."""
        self.spans.append(name)
        return nullcontext(SimpleNamespace(set_attrs=lambda attrs: None))


def test_training_learns_and_counts_exactly_what_it_logs() -> None:
    """The number that the demo compares with the server's is the number of records that it made."""
    run, digits, seen = _Counting(), load(), list[int]()
    recorded = train(run, digits, epochs=12, on_step=lambda done, last: seen.append(done))
    steps = steps_of(digits, 12)

    assert (recorded.points, recorded.lines, recorded.spans) == (
        len(run.points),
        len(run.lines),
        len(run.spans),
    )
    assert seen == list(range(1, steps + 1))
    assert len(set(run.points)) == len(run.points)
    assert run.spans.count("epoch") == 12
    assert recorded.last["val/accuracy"] > 0.95
    assert recorded.last["test/accuracy"] > 0.9


def test_parts_of_the_data_share_no_image() -> None:
    """The accuracy that is shown is measured on images that were not trained on."""
    digits = load()
    parts = [{image.tobytes() for image in part.images} for part in (digits.train, digits.val, digits.test)]

    assert sum(map(len, parts)) == 1797
    assert len(parts[0] | parts[1] | parts[2]) == 1797
