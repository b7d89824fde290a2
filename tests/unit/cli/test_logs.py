"""What `rundial logs tail` prints of lines that were rewritten."""

from __future__ import annotations

from typing import Any

from rundial.cli.lines import folded


def row(message: str, number: int | None = None, stream: str = "stdout") -> dict[str, Any]:
    """A row as the server gives it."""
    return {
        "message": message,
        "attributes": {} if number is None else {"rundial.line": number, "log.iostream": stream},
    }


def test_states_of_one_line_fold_into_the_last() -> None:
    """A progress bar is one line, its newest state; lines of other numbers and streams are their own."""
    newest_first = [
        row("100%", 7), row("plain"), row("50%", 7), row("50%", 7, "stderr"), row("plain"), row("0%", 7),
        row("1", 8),
    ]  # fmt: skip  # the rows read better side by side

    assert [each["message"] for each in folded(newest_first)] == ["100%", "plain", "50%", "plain", "1"]
