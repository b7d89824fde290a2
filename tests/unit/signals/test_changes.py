"""Changes of a config as the bodies of events."""

from __future__ import annotations

from rundial.signals.changes import bodies_of


def test_top_deeper_and_removed_each_have_their_place() -> None:
    """A reader of the wire sees at once what was set where."""
    top, _ = bodies_of("config", {"lr": 0.1})
    deeper, _ = bodies_of("config", {"depth": 3}, path=("model",))
    gone, _ = bodies_of("summary", {}, path=("model",), gone=("depth", "heads"))

    assert top == [{"config": {"lr": 0.1}}]
    assert deeper == [{"entries": [{"path": ["model", "depth"], "value": 3}]}]
    assert gone == [{"removed": [["model", "depth"], ["model", "heads"]]}]


def test_nothing_to_say_is_no_event() -> None:
    """A change that changes nothing costs nothing."""
    assert bodies_of("config", {}) == ([], [])


def test_what_stands_below_a_secret_name_is_secret() -> None:
    """A nested write cannot carry out what a whole one would not."""
    (body,), _ = bodies_of("config", {"user": "ada", "port": 5432}, path=("db", "credentials"))

    values = {entry["path"][-1]: entry["value"] for entry in body["entries"]}
    assert values["user"] == "[redacted]"
