"""The highest step in a request, held against OpenTelemetry's own messages."""

from __future__ import annotations

import pytest

from rundial.signals.steps import highest_steps
from tests.support import otlp

OWNER = otlp.resource("run")


@pytest.mark.parametrize("step", [0, 1, 127, 128, 2**21, 2**31, 2**63 - 1])
def test_step_of_any_size_is_found(step: int) -> None:
    """A resumed run goes on behind the highest step, however large it is."""
    steps = (0, step, step // 2)
    points = [otlp.point(each, 1.0, time=otlp.T0, split="val") for each in steps]

    assert highest_steps(otlp.metrics((OWNER, [otlp.gauge("loss", points)]))) == (step, -1)


def test_system_metrics_count_for_themselves() -> None:
    """A long run's samples do not push its own steps on, nor the other way round."""
    held = [
        otlp.gauge("loss", [otlp.point(5, 1.0)]),
        otlp.gauge("system/cpu.percent", [otlp.point(70, 1.0)]),
        otlp.gauge("acc", [otlp.point(7, 1.0)]),
    ]

    assert highest_steps(otlp.metrics((OWNER, held), (OWNER, held[:1]))) == (7, 70)


def test_points_without_a_step_have_none() -> None:
    """What was logged by other programs, without steps, counts for nothing."""
    request = otlp.metrics((OWNER, [otlp.gauge("loss", [otlp.point(None, 1.0)])]))

    assert highest_steps(request) == (-1, -1)
    assert highest_steps(b"") == (-1, -1)


def test_damaged_request_is_said_to_be_none() -> None:
    """Bytes that are no request never become a step."""
    request = otlp.curve("run", "loss", [1.0, 2.0])

    with pytest.raises(ValueError, match="message"):
        highest_steps(request[:-3])
