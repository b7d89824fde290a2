"""The descriptor that sees what the interpreter reads last of a SystemExit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rundial.api.exitcode import ExitCode, Unknown


@pytest.fixture(autouse=True)
def free_place() -> Iterator[None]:
    """The interpreter's own stands there; the first run of a process takes its place until the exit."""
    taken = vars(SystemExit)["code"]
    if not isinstance(taken, ExitCode):
        yield
        return
    taken.restore()
    yield
    assert taken.install()


@pytest.fixture
def seen(free_place: None) -> Iterator[ExitCode]:
    """One that is in its place."""
    code = ExitCode()
    assert code.install()
    yield code
    code.restore()


def test_code_reads_and_writes_as_before(seen: ExitCode) -> None:
    """A program that handles its own SystemExit notices nothing."""
    error = SystemExit(3)
    assert error.code == 3
    error.code = "no data"
    assert (error.code, error.args) == ("no data", (3,))
    del error.code

    assert error.code is None
    assert SystemExit(1, 2).code == (1, 2)
    assert type(SystemExit.code).__name__ == "member_descriptor"
    assert seen.status is Unknown


def test_each_stands_in_for_the_interpreters_own_alone() -> None:
    """A second one finds the place taken, and neither takes the other's."""
    own = vars(SystemExit)["code"]
    first = ExitCode()
    first.install()
    second = ExitCode()

    assert not second.install()
    second.restore()
    assert vars(SystemExit)["code"] is first
    first.restore()
    assert vars(SystemExit)["code"] is own
    assert SystemExit(5).code == 5


def test_what_was_read_before_is_forgotten() -> None:
    """The interpreter remembers where it found a name; it looks again."""
    reads: list[object] = []

    class Telling(ExitCode):
        def __get__(self, error: BaseException | None, kind: type | None = None) -> object:
            reads.append(error)
            return super().__get__(error, kind)

    error = SystemExit(4)
    assert getattr(error, "code") == 4  # noqa: B009 - as the interpreter reads it, by way of its cache
    code = Telling()
    code.install()
    try:
        assert getattr(error, "code") == 4  # noqa: B009 - the same
    finally:
        code.restore()
    assert getattr(error, "code") == 4  # noqa: B009 - the same

    assert reads == [error]
