"""What `run.log` and `run.log_text` make of whatever a training loop hands them."""

from __future__ import annotations

import json
import math
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from rundial.api.run import Run
from rundial.errors import RecordDroppedError
from tests.support.recorded import Recorded

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]
Told = list[warnings.WarningMessage]


class StandInTensor:
    """A stand-in for a torch tensor (torch is not installed): what a scalar of it offers, no more."""

    dtype = "torch.float32"

    def __init__(self, value: float, shape: tuple[int, ...] = ()) -> None:
        self.value, self.shape = value, shape

    def item(self) -> float:
        """Return the number, or raise as torch does for more than one."""
        if self.shape:
            raise RuntimeError("a Tensor with 2 elements cannot be converted to Scalar")
        return self.value

    def __float__(self) -> float:
        return float(self.item())


class Hostile:
    """A value whose every conversion raises."""

    def __float__(self) -> float:
        raise ZeroDivisionError("float")

    def __repr__(self) -> str:
        raise ZeroDivisionError("repr")

    def __str__(self) -> str:
        raise ZeroDivisionError("str")


class HostileMapping(Mapping[str, object]):
    """A mapping that cannot be read."""

    def __getitem__(self, key: str) -> object:
        raise OSError("gone")

    def __iter__(self) -> Iterator[str]:
        raise OSError("gone")

    def __len__(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3.0), (0.25, 0.25), (True, 1.0), (False, 0.0), (np.float64(0.1), 0.1), (np.float32(0.5), 0.5),
        (np.float16(0.5), 0.5), (np.int64(-7), -7.0), (np.uint8(200), 200.0), (np.bool_(True), 1.0),
        (np.array(2.5), 2.5), (np.array(7), 7.0), (np.longdouble(0.5), 0.5), (StandInTensor(0.75), 0.75),
        (Decimal("0.5"), 0.5), (2**63 - 1, float(2**63 - 1)),
    ],
)  # fmt: skip  # one line a value would be a page
def test_log_takes_any_scalar(run: Run, read: Read, value: object, number: float) -> None:
    """Python, numpy and torch-like scalars and 0-d arrays are recorded as the number they are."""
    assert run.log({"x": value}, step=1)
    assert run.log({"x": value}, step=2), "the second call goes the fast way"

    assert read(run).values("x") == [number, number]


@pytest.mark.parametrize("value", [2**63, 2**64, -(2**63) - 1, 10**300])
def test_log_makes_floats_of_huge_integers(run: Run, read: Read, value: int) -> None:
    """An int beyond int64 becomes the nearest float."""
    assert run.log({"x": value}, step=0)
    assert run.log({"x": value}, step=1)

    assert read(run).values("x") == [float(value)] * 2


@pytest.mark.parametrize(
    ("step", "number"),
    [
        (0, 0), (5, 5), (np.int64(7), 7), (np.int32(7), 7), (np.uint16(7), 7), (4.0, 4), (np.float32(4), 4),
        (np.array(9), 9), (2**63 - 1, 2**63 - 1),
    ],
)  # fmt: skip  # the pairs read better side by side
def test_log_takes_a_step_of_any_integer_type(run: Run, read: Read, step: Any, number: int) -> None:
    """A step is the same step whatever integer type or whole float it comes in."""
    assert run.log({"x": 1.0}, step=step)
    assert run.log({"x": 1.0}, step=step)

    assert [point.step for point in read(run).points] == [number, number]


@pytest.mark.parametrize(
    "step",
    [-1, 1.5, True, False, "3", b"3", float("nan"), float("inf"), 2**63, [], np.array([1, 2]), Hostile()],
)
def test_log_refuses_a_wrong_step(run: Run, read: Read, step: Any) -> None:
    """A wrong step costs the points of its call, counted invalid; it neither raises nor is guessed."""
    run.log({"x": 1.0}, step=0)
    with pytest.warns(RuntimeWarning, match="step"):
        assert run.log({"x": 2.0, "y": 3.0}, step=step) is False

    assert read(run).values("x") == [1.0]
    assert run.diagnostics().ledger.points.dropped == {"invalid": 2}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -math.inf, np.nan, np.float32("inf")])
def test_log_drops_what_is_not_finite(run: Run, read: Read, value: float, told: Told) -> None:
    """NaN and infinities are dropped, counted per key at once, and the other entries are kept."""
    for step in range(3):
        assert run.log({"loss": value, "acc": 0.5}, step=step) is False
        assert run.diagnostics().non_finite_dropped == {"loss": step + 1}

    assert len(told) == 1, "one warning a key"
    assert read(run).values("acc") == [0.5] * 3
    assert read(run).values("loss") == []
    assert run.diagnostics().ledger.points.dropped == {"non_finite": 3}
    assert run.diagnostics().dropped_points_non_finite == 3
    assert all("loss" in str(warning.message) for warning in told)


def test_log_warns_once_for_each_non_finite_key(run: Run, told: Told) -> None:
    """Each key that goes wrong is named once, however often it does."""
    for _ in range(3):
        run.log({"a": math.nan, "b": math.inf, "c": 1.0})

    assert sorted(str(warning.message).split("'")[1] for warning in told) == ["a", "b"]
    assert {warning.filename for warning in told} == {__file__}, "it points at the caller's own line"
    assert told


def test_log_keeps_finite_values_whose_sum_is_not(run: Run, read: Read) -> None:
    """Two values near the largest float are each finite, and are kept."""
    for step in range(2):
        assert run.log({"a": 1.5e308, "b": 1.5e308}, step=step)

    assert read(run).values("a") == [1.5e308] * 2


@pytest.mark.parametrize(
    "value",
    [
        None, "0.5", b"1", [1.0], (1,), {1}, 1j, object(), np.array([1.0, 2.0]), np.array("1.5"),
        np.str_("1"), StandInTensor(0.0, (2,)), Hostile(), 10**400, np.datetime64("2020"), lambda: 1,
    ],
)  # fmt: skip  # one line a value would be a page
def test_log_drops_what_is_no_number(run: Run, read: Read, value: object, told: Told) -> None:
    """What is no number costs itself alone, in every call: never an exception, one warning a key."""
    for step in range(3):
        assert run.log({"good": step, "bad": value, "also": 1}, step=step) is False

    assert len(told) == 1
    found = read(run)
    assert found.values("good") == [0.0, 1.0, 2.0]
    assert found.values("also") == [1.0] * 3
    assert found.values("bad") == []
    assert run.diagnostics().ledger.points.dropped == {"invalid": 3}
    assert all("bad" in str(warning.message) for warning in told)


@pytest.mark.parametrize("key", [3, ("a", "b"), None, True, b"x", "", "k" * 513, 1.5, Hostile()])
def test_log_drops_a_key_that_is_no_name(run: Run, read: Read, key: Any, told: Told) -> None:
    """A key that is not a string of 1 to 512 characters is counted; the other entries are kept."""
    for step in range(2):
        assert run.log({"good": 1.0, key: 2.0}, step=step) is False

    assert [point.name for point in read(run).points] == ["good", "good"]
    assert run.diagnostics().ledger.points.dropped == {"invalid": 2}
    assert told


def test_log_takes_keys_of_512_characters(run: Run, read: Read) -> None:
    """The longest name that is allowed arrives whole, in any script."""
    names = ["k" * 512, "ä" * 512, "✓" * 512, "𝄞" * 512]
    assert run.log(dict.fromkeys(names, 1.0), step=0)

    assert {point.name for point in read(run).points} == set(names)


def test_log_flattens_nested_mappings(run: Run, read: Read) -> None:
    """`{"a": {"b": 1}}` is the series `a/b`."""
    assert run.log({"a": {"b": 1, "c": {"d": 2}}, "e": 3}, step=0)

    assert {point.name: point.value for point in read(run).points} == {"a/b": 1, "a/c/d": 2, "e": 3}


def test_log_of_a_mapping_that_contains_itself_returns(run: Run, read: Read) -> None:
    """A cycle is one invalid entry, not an endless walk."""
    endless: dict[str, object] = {"good": 1.0}
    endless["self"] = endless
    with pytest.warns(RuntimeWarning):
        assert run.log(endless) is False

    assert read(run).values("good") == [1.0]


def test_log_of_an_empty_mapping_is_false(run: Run, read: Read) -> None:
    """`log({})` records nothing, says so once, and takes no step of the run's own count."""
    with pytest.warns(RuntimeWarning, match="given no metric"):
        assert run.log({}) is False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run.log({}, step=3) is False
        assert run.log({"nested": {}}) is False
    assert run.log({"x": 1.0})

    assert [point.step for point in read(run).points] == [0]
    assert run.diagnostics().ledger.points.dropped == {}


@pytest.mark.parametrize("metrics", [None, 3, "loss", [("a", 1)], HostileMapping(), Hostile()])
def test_log_of_what_is_no_mapping_never_raises(run: Run, metrics: Any) -> None:
    """Whatever is handed to `log`, training goes on and the call is counted."""
    with pytest.warns(RuntimeWarning):
        assert run.log(metrics) is False

    assert run.diagnostics().ledger.points.dropped == {"invalid": 1}


def test_log_counts_its_own_steps(run: Run, read: Read) -> None:
    """Without a step the run counts from 0; explicit steps leave the count alone."""
    run.log({"x": 1})
    run.log({"x": 1}, step=100)
    run.log({"x": 1})
    run.log({"x": np.float32(1)})

    assert [point.step for point in read(run).points] == [0, 100, 1, 2]


def test_log_takes_a_time_of_the_users(run: Run, read: Read) -> None:
    """`time_ms` of any number type is the point's time, and two points stamped alike stay two."""
    for stamp in (1_700_000_000_123, np.int64(1_700_000_000_123), 1_700_000_000_123.75):
        assert run.log({"x": 1.0}, step=1, time_ms=stamp)  # type: ignore[arg-type]  # any number is taken

    times = [point.time_unix_ns for point in read(run).points]
    assert [time // 1_000_000 for time in times] == [1_700_000_000_123] * 3
    assert len(set(times)) == 3


@pytest.mark.parametrize("stamp", [-1, "now", math.nan, 1e300, True, 2**64])
def test_log_refuses_a_time_that_is_none(run: Run, stamp: Any) -> None:
    """A time that cannot be one is counted invalid and never raises."""
    with pytest.warns(RuntimeWarning, match="time_ms"):
        assert run.log({"x": 1.0}, time_ms=stamp) is False

    assert run.diagnostics().ledger.points.dropped == {"invalid": 1}


@pytest.mark.parametrize("context", ["val", {3: "x"}, {"": "x"}, {"rundial.step": "1"}, HostileMapping()])
def test_log_refuses_a_context_that_is_none(run: Run, context: Any) -> None:
    """A context that cannot be attributes is counted invalid and never raises."""
    with pytest.warns(RuntimeWarning, match="context"):
        assert run.log({"x": 1.0}, context=context) is False

    assert run.diagnostics().ledger.points.dropped == {"invalid": 1}


def test_log_metric_is_log_of_one_entry(run: Run, read: Read) -> None:
    """`log_metric` records one point; `time_ms` wins over its older name."""
    assert run.log_metric("x", value=np.float32(0.5), step=3, timestamp_ms=1_000, time_ms=2_000)
    with pytest.warns(RuntimeWarning):
        assert run.log_metric("y", value=None) is False

    (point,) = read(run).points
    assert (point.name, point.value, point.step, point.time_unix_ns // 1_000_000) == ("x", 0.5, 3, 2_000)


def test_log_of_very_many_keys_is_split_into_records(start: Start, read: Read) -> None:
    """A call of any size is recorded whole, though a record holds 64 KiB at most."""
    run = start(ring_bytes=16 << 20)
    metrics = {f"layer{number}/{'w' * 100}": float(number) for number in range(10_000)}

    assert run.log(metrics, step=1)
    assert run.log(metrics, step=2)

    found = {(point.name, point.step): point.value for point in read(run).points}
    assert found == {(name, step): value for step in (1, 2) for name, value in metrics.items()}


def test_log_text_caps_a_line_and_says_so(run: Run, read: Read) -> None:
    """A line is at most 8,192 bytes of UTF-8; a longer one is cut between characters, flagged, counted."""
    assert run.log_text("x" * 8_192)
    assert run.log_text("ä" * 5_000)

    whole, cut = read(run).lines
    assert (whole.body, "rundial.truncated" in whole.attributes) == ("x" * 8_192, False)
    assert cut.body == "ä" * 4_096
    assert cut.attributes["rundial.truncated"] is True
    assert cut.attributes["rundial.original_bytes"] == 10_000
    assert run.diagnostics().log_lines_truncated == 1


@pytest.mark.parametrize(
    ("message", "body"), [(None, "None"), (3, "3"), ("", ""), ("a\nb", "a\nb"), ("\ud800", "?")]
)
def test_log_text_takes_anything(run: Run, read: Read, message: object, body: str) -> None:
    """`str()` is taken of the message, and what UTF-8 cannot say is replaced."""
    assert run.log_text(message)

    assert [line.body for line in read(run).lines] == [body]


def test_log_text_survives_a_message_that_raises(run: Run) -> None:
    """A message whose own code fails costs at most itself and never raises."""
    run.log_text(Hostile())

    account = run.diagnostics().ledger.lines
    assert account.logged == 1
    assert run.diagnostics().ledger.closes


@pytest.mark.parametrize("arguments", [{"level": "loud"}, {"level": 3}, {"time_ms": "now"}, {"time_ms": -5}])
def test_log_text_refuses_wrong_arguments(run: Run, arguments: dict[str, Any], told: Told) -> None:
    """A wrong level or time drops the line, counts it, and warns once."""
    assert run.log_text("x", **arguments) is False
    assert run.log_text("x", **arguments) is False

    assert len(told) == 1
    assert run.diagnostics().dropped_log_lines_invalid == 2
    assert run.diagnostics().ledger.lines.dropped == {"invalid": 2}


@pytest.mark.parametrize(("level", "severity"), [("trace", 1), ("DEBUG", 5), ("Warn", 13), ("fatal", 21)])
def test_log_text_takes_levels_in_any_case(run: Run, read: Read, level: str, severity: int) -> None:
    """The six level names are OpenTelemetry's severities."""
    assert run.log_text("x", level=level)

    assert [line.severity for line in read(run).lines] == [severity]


def test_strict_mode_raises_what_is_dropped(start: Start, read: Read) -> None:
    """In strict mode a drop is an exception, counted all the same, and the good entries are kept."""
    run = start(strict=True)
    for metrics in ({"bad": None, "good": 1.0}, {"nan": math.nan, "good": 2.0}, {"good": 3.0, 3: 1}):
        with pytest.raises(RecordDroppedError):
            run.log(metrics)
    with pytest.raises(RecordDroppedError, match="step"):
        run.log({"good": 1.0}, step=-1)
    with pytest.raises(RecordDroppedError, match="level"):
        run.log_text("x", level="loud")

    ledger = run.diagnostics().ledger
    assert ledger.points.dropped == {"invalid": 3, "non_finite": 1}
    assert ledger.lines.dropped == {"invalid": 1}
    assert read(run).values("good") == [1.0, 2.0, 3.0]


def test_log_never_raises_where_warnings_are_errors(run: Run) -> None:
    """A program that turns warnings into errors is not stopped by one of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert run.log({"bad": None, "good": 1.0}) is False


def test_values_read_back_bit_for_bit(run: Run, read: Read) -> None:
    """A float64 is stored as it is, to the last bit."""
    numbers = [0.1, 1 / 3, 5e-324, -0.0, 1.7976931348623157e308]
    for number in numbers:
        assert run.log({"x": number})

    found = read(run).values("x")
    assert [struct.pack("<d", value) for value in found] == [struct.pack("<d", value) for value in numbers]


def test_config_is_recorded_with_its_types(start: Start, read: Read) -> None:
    """Ints stay ints and lists stay lists in the run's first event."""
    config = {"layers": 2**40, "rate": 0.5, "sizes": [1, 2], "name": "mlp", "deep": {"on": True}}
    run = start(config=config)

    (first,) = [event for event in read(run).events if event.event_name == "rundial.run.start"]
    assert json.dumps(first.body["config"], sort_keys=True) == json.dumps(config, sort_keys=True)


class Worn(HostileMapping):
    """A mapping that can be read twice and no more."""

    def __init__(self) -> None:
        self._left = [{"good": 1.0}] * 2

    def __getitem__(self, key: str) -> object:
        return 1.0

    def __iter__(self) -> Iterator[str]:
        return iter(self._left.pop())


def test_log_keeps_what_it_has_read(run: Run, read: Read) -> None:
    """What `log` has read of a mapping is recorded, though the mapping fails afterwards."""
    assert run.log(Worn())

    assert read(run).values("good") == [1.0]


@pytest.mark.parametrize(
    "value", [None, "0.5", [1.0], Hostile(), 1j, np.array([1.0, 2.0]), {"on": 1}, math.nan]
)
def test_log_checks_values_of_names_it_knows(run: Run, read: Read, value: object) -> None:
    """A name that held a number before still refuses what is none."""
    assert run.log({"good": 1.0, "bad": 1.0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        is_whole = run.log({"good": 2.0, "bad": value})

    assert is_whole == isinstance(value, dict)
    assert read(run).values("good") == [1.0, 2.0]
    assert read(run).values("bad") == [1.0]


@pytest.mark.parametrize(
    "value", [np.complex64(1 + 2j), np.datetime64(5, "s"), np.timedelta64(5, "s"), np.array("1.5"), 1j, "1"]
)
@pytest.mark.parametrize("beside", [0.5, np.float64(0.5), np.float32(0.5), 2])
def test_log_refuses_what_is_no_number_also_under_names_it_knows(
    run: Run, read: Read, value: object, beside: object
) -> None:
    """What only packs as a float is refused at every call, not at the first one alone."""
    assert run.log({"a": beside, "b": 1.0}, step=1)
    with warnings.catch_warnings(record=True):
        assert not run.log({"a": beside, "b": value}, step=2)
        assert not run.log({"a": beside, "b": value}, step=3)
    assert run.log({"a": beside, "b": 2.0}, step=4)

    assert read(run).values("b") == [1.0, 2.0]
    assert run.diagnostics().ledger.points.dropped == {"invalid": 2}


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.float16, np.int32, np.uint8, np.bool_])
def test_log_takes_numpy_scalars_again_and_again(run: Run, read: Read, kind: type) -> None:
    """The second call with names and kinds of number that were seen before records what the first did."""
    for step in range(3):
        assert run.log({"a": kind(1)}, step=step)
        assert run.log({"b": kind(1), "c": 0.5}, step=step)

    recorded = read(run)
    assert recorded.values("a") == recorded.values("b") == [1.0] * 3
    assert recorded.values("c") == [0.5] * 3


@pytest.mark.parametrize("kind", [float, np.float64, np.float32])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_log_finds_what_is_not_finite_under_names_it_knows(
    run: Run, read: Read, kind: type, bad: float
) -> None:
    """NaN and infinities are counted per key at every call, whatever kind of float they come as."""
    assert run.log({"a": kind(1), "b": kind(2)}, step=0)
    with warnings.catch_warnings(record=True):
        for step in (1, 2):
            assert not run.log({"a": kind(step), "b": kind(bad)}, step=step)
            assert not run.log({"a": kind(bad)}, step=step, context={"split": "val"})

    assert read(run).values("a") == [1.0, 1.0, 2.0]
    assert run.diagnostics().non_finite_dropped == {"a": 2, "b": 2}


def test_log_keeps_contexts_apart_under_the_same_names(run: Run, read: Read) -> None:
    """Points logged with a context again carry it again, beside the same names without one."""
    for step in range(3):
        assert run.log({"a": 1.0}, step=step)
        assert run.log({"a": 2.0}, step=step, context={"split": "val"})
        assert run.log({"a": 3.0}, step=step, context={"split": "test"}, time_ms=1_790_000_000_000 + step)

    found = sorted({(p.attributes.get("split"), p.value) for p in read(run).points}, key=repr)
    assert found == [("test", 3.0), ("val", 2.0), (None, 1.0)]
