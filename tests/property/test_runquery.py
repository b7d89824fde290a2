"""The run table against a model of it in Python: filters, orders, pages."""

from __future__ import annotations

import json
import operator
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from rundial.server import keys
from rundial.server.app import close_services, open_services
from rundial.server.keys import Principal
from rundial.server.problems import Problem
from rundial.server.rows import Delivery, EventRow, Target
from rundial.server.runquery import Field, parse_fields, parse_filter
from rundial.server.services import Services
from rundial.server.store.runtable import Table, columns_of, page_of
from rundial.server.store.tables import projects
from tests.support.clock import ManualClock

OWNER = Principal("key", "test", frozenset({keys.ADMIN}), 0)
START = 1_700_000_000_000_000_000
NOW = START + 10**9

TEXTS = st.sampled_from(["", "a", "A", "ab", "b%", "b_", "12", "zoë", 'qu"ote'])
NUMBERS = st.sampled_from([0, -1, 1, 2, 0.5, 12, 1e300, -2.25])
LEAVES = st.one_of(TEXTS, NUMBERS, st.booleans(), st.none(), st.just([1, "a"]))
CONFIG = st.dictionaries(
    st.sampled_from(["lr", "name", "my key"]), st.one_of(LEAVES, st.dictionaries(st.just("deep"), LEAVES))
)
SUMMARY = st.dictionaries(st.sampled_from(["loss", "note"]), LEAVES)


@dataclass(frozen=True, slots=True)
class Told:
    """What a run says of itself."""

    name: str | None
    tags: list[str]
    group: str | None
    config: dict[str, Any]
    summary: dict[str, Any]
    losses: dict[int | None, list[int]]
    rule: str | None
    started: int


TOLD = st.builds(
    Told,
    st.one_of(st.none(), TEXTS.filter(bool)),
    st.lists(TEXTS.filter(bool), max_size=2, unique=True),
    st.one_of(st.none(), TEXTS.filter(bool)),
    CONFIG,
    SUMMARY,
    st.dictionaries(
        st.sampled_from([None, 0, 2, 10]), st.lists(st.integers(-2, 2), min_size=1, max_size=3), max_size=3
    ),
    st.sampled_from([None, "min", "max", "last", "none", "mean"]),
    st.integers(0, 3),
)

FIELDS = ["config.lr", "config.name", 'config."my key"', "config.lr.deep", "summary.loss", "summary.note"]
OWN = ["runName", "group", "kind"]
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

Asked = tuple[Any, ...]
VALUES = st.one_of(TEXTS, NUMBERS)
TESTS = st.one_of(
    st.tuples(st.just("test"), st.sampled_from(FIELDS), st.sampled_from(list(COMPARISONS)), VALUES),
    st.tuples(
        st.just("test"), st.sampled_from(FIELDS), st.just("="), st.one_of(st.booleans(), st.none(), VALUES)
    ),
    st.tuples(st.just("test"), st.sampled_from([*FIELDS, *OWN, "tags"]), st.just("~"), TEXTS),
    st.tuples(st.just("test"), st.sampled_from(OWN), st.sampled_from(list(COMPARISONS)), TEXTS),
    st.tuples(st.just("test"), st.just("tags"), st.just("="), TEXTS),
    st.tuples(st.just("test"), st.sampled_from([*FIELDS, *OWN, "tags"]), st.just("exists"), st.none()),
    st.tuples(
        st.just("test"),
        st.just("startedAtMs"),
        st.sampled_from(list(COMPARISONS)),
        st.integers(0, 3).map(lambda each: START // 10**6 + each),
    ),
    st.tuples(
        st.just("in"), st.sampled_from(FIELDS), st.lists(VALUES, min_size=1, max_size=3), st.booleans()
    ),
)
ASKED = st.recursive(
    TESTS,
    lambda part: st.one_of(
        st.tuples(st.just("not"), part),
        st.tuples(st.sampled_from(["and", "or"]), st.lists(part, min_size=2, max_size=3)),
    ),
    max_leaves=6,
)


def written(asked: Asked) -> str:
    """A filter as someone writes it."""
    kind, *rest = asked
    if kind == "test":
        field, sign, value = rest
        return f"{field} exists" if sign == "exists" else f"{field} {sign} {json.dumps(value)}"
    if kind == "in":
        field, values, is_not = rest
        return f"{field} {'NOT ' * is_not}in ({', '.join(map(json.dumps, values))})"
    if kind == "not":
        return f"not ({written(rest[0])})"
    return "(" + f" {kind} ".join(written(part) for part in rest[0]) + ")"


MISSING: Any = object()


def value_of(run: Told, run_id: str, field: str) -> Any:
    """What a run has in a field."""
    if field == "runName":
        return run.name or run_id
    if field == "kind":
        return "training"
    if field == "group":
        return MISSING if run.group is None else run.group
    space, _, name = field.partition(".")
    name = name.strip('"')
    values = run.config if space == "config" else run.summary
    if space == "summary" and name not in values and name == "loss":
        return metric(run)
    for part in name.split("."):
        if not isinstance(values, dict) or part not in values:
            return MISSING
        values = values[part]
    return MISSING if isinstance(values, dict) and values else values


def metric(run: Told) -> Any:
    """What the plain metric shows: that of no rank, else of the lowest one."""
    if not run.losses or run.rule == "none":
        return MISSING
    numbers = run.losses[min(run.losses, key=lambda rank: -1 if rank is None else rank)]
    rules: Mapping[str, Callable[[list[int]], float]] = {
        "min": min,
        "max": max,
        "mean": lambda each: sum(each) / len(each),
    }
    return float(rules.get(run.rule or "last", lambda each: each[-1])(numbers))


def is_number(value: object) -> bool:
    """Whether a value compares as a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def shown_text(value: Any) -> str | None:
    """What `~` looks into."""
    if isinstance(value, str):
        return value
    return (
        json.dumps(value, separators=(",", ":")) if value is None or isinstance(value, list | dict) else None
    )


def lowered(text: str) -> str:
    """In lower case as SQLite has it: ASCII only."""
    return "".join(each.lower() if each.isascii() else each for each in text)


def is_true(run: Told, run_id: str, asked: Asked) -> bool:
    """The filter in Python."""
    kind, *rest = asked
    if kind == "not":
        return not is_true(run, run_id, rest[0])
    if kind in ("and", "or"):
        parts = [is_true(run, run_id, part) for part in rest[0]]
        return all(parts) if kind == "and" else any(parts)
    if kind == "in":
        field, values, is_not = rest
        return is_not != any(is_true(run, run_id, ("test", field, "=", each)) for each in values)
    field, sign, value = rest
    return passes(run, run_id, field, sign, value)


def passes(run: Told, run_id: str, field: str, sign: str, value: Any) -> bool:
    """One test in Python."""
    if field == "tags":
        if sign == "exists":
            return bool(run.tags)
        if sign == "=":
            return value in run.tags
        return any(lowered(value) in lowered(tag) for tag in run.tags)
    if field == "startedAtMs":
        return COMPARISONS[sign](START // 10**6 + run.started, value)
    found = value_of(run, run_id, field)
    if found is MISSING or sign == "exists":
        return found is not MISSING
    if sign == "~":
        text = shown_text(found)
        return text is not None and lowered(value) in lowered(text)
    if value is None or isinstance(value, bool):
        return found is value
    if is_number(value) != is_number(found) or isinstance(value, str) != isinstance(found, str):
        return False
    return COMPARISONS[sign](found, value)


def place_of(run: Told, run_id: str, order: str) -> tuple[int, float, bytes]:
    """Where a run stands: numbers, texts, truths, all else, and last those without the field."""
    if order == "startedAtMs":
        return 0, run.started, b""
    found = value_of(run, run_id, order)
    if found is MISSING:
        return 4, 0.0, b""
    if isinstance(found, bool):
        return 2, float(found), b""
    if is_number(found):
        return 0, float(found), b""
    kind = 1 if isinstance(found, str) else 3
    return kind, 0.0, (shown_text(found) or "").encode()


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One store for all examples: each has a project of its own."""
    opened = open_services(tmp_path_factory.mktemp("data"), ManualClock())
    yield opened
    close_services(opened)


def tell(services: Services, project: str, run_id: str, run: Told) -> None:
    """Store a run."""
    target = Target("lab", project, project, run_id, "training", 1, None, "one", "", is_foreign=False)
    delivery = Delivery(target)
    start = {
        "name": run.name,
        "tags": run.tags or None,
        "group": run.group,
        "config": run.config,
        "started_unix_ns": START + run.started * 10**6,
    }
    said = [("start", start), ("summary", {"summary": run.summary})]
    if run.rule is not None:
        said.append(("metric", {"name": "lo*", "summary": run.rule}))
    for seq, (name, body) in enumerate(said, 1):
        delivery.events.append(EventRow(seq, START, f"rundial.run.{name}", body))
    for rank, numbers in run.losses.items():
        attributes = "{}" if rank is None else json.dumps({"rundial.rank": rank}, separators=(",", ":"))
        steps = list(range(len(numbers)))
        delivery.add_points("loss", "", attributes, (steps, [START] * len(steps), list(map(float, numbers))))
    # A metric with a context of its own is no plain one.
    delivery.add_points("loss", "", '{"split":"val"}', ([0], [START], [99.0]))
    with services.engines.writing.begin() as connection:
        assert services.intake.store(connection, OWNER, delivery, START) is None


@settings(max_examples=60)
@given(
    told=st.lists(TOLD, max_size=6),
    asked=st.lists(ASKED, min_size=1, max_size=3),
    order=st.sampled_from([*FIELDS, "group", "runName", "startedAtMs"]),
    is_descending=st.booleans(),
    limit=st.integers(1, 3),
)
def test_the_run_table_is_what_a_model_of_it_says(
    services: Services,
    told: list[Told],
    asked: list[Asked],
    order: str,
    is_descending: bool,
    limit: int,
) -> None:
    """Numbers compare as numbers and texts as texts; pages add up to the whole, in order, each run once."""
    project = f"p-{uuid.uuid4().hex}"
    by_id = {f"run-{place}": run for place, run in enumerate(told)}
    for run_id, run in by_id.items():
        tell(services, project, run_id, run)
    for each in asked:
        with services.engines.reading.begin() as connection:
            row_id = connection.execute(select(projects.c.id).where(projects.c.slug == project)).scalar()
            wanted = Table(
                row_id or -1,
                parse_filter(written(each)),
                "",
                (),
                parse_fields(order)[0],
                is_descending,
                NOW,
                10**9,
            )
            found: list[str] = []
            after = None
            while True:
                page = page_of(connection, wanted, after=after, limit=limit)
                found += [row.run_id for row in page.rows]
                if page.ended is None:
                    break
                after = json.loads(json.dumps(page.ended))
        expected = [run_id for run_id, run in by_id.items() if is_true(run, run_id, each)]
        # Sorted twice, for the kinds stand in one order whichever way their values go.
        expected.sort(key=lambda run_id: place_of(by_id[run_id], run_id, order)[1:], reverse=is_descending)
        expected.sort(key=lambda run_id: place_of(by_id[run_id], run_id, order)[0])
        places = [place_of(by_id[run_id], run_id, order) for run_id in found]

        assert sorted(found) == sorted(expected), written(each)
        assert places == [place_of(by_id[run_id], run_id, order) for run_id in expected]


@given(st.lists(TOLD, max_size=4))
def test_columns_are_what_the_runs_say(services: Services, told: list[Told]) -> None:
    """Integers stay integers, texts texts; what a run has not is left out."""
    project = f"p-{uuid.uuid4().hex}"
    for place, run in enumerate(told):
        tell(services, project, f"run-{place}", run)
    with services.engines.reading.begin() as connection:
        row_id = connection.execute(select(projects.c.id).where(projects.c.slug == project)).scalar()
        wanted = Table(row_id or -1, None, "", (), Field("", "startedAtMs"), False, NOW, 10**9)
        rows = page_of(connection, wanted, after=None, limit=10).rows
        fields = [parse_fields(name)[0] for name in [*FIELDS, "tags", "group"]]
        found = columns_of(connection, [row.id for row in rows], fields)

    for row in rows:
        run = told[int(row.run_id.removeprefix("run-"))]
        shown = dict(found[row.id])
        assert sorted(shown.pop("tags")) == sorted(run.tags)  # type: ignore[call-overload]  # a list
        expected = {
            str(parse_fields(field)[0]): value_of(run, row.run_id, field) for field in [*FIELDS, "group"]
        }
        assert shown == {name: value for name, value in expected.items() if value is not MISSING}


@given(st.text(max_size=40) | st.text("()\"'<>=~!,. andornt0123config.", max_size=60))
def test_any_text_is_a_filter_or_refused_with_a_reason(text: str) -> None:
    """Nothing that someone types breaks the parser."""
    refused = None
    try:
        parse_filter(text)
    except Problem as problem:
        refused = problem

    assert refused is None or (refused.status == 400 and refused.message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config.lr >", "the text ends where a value should be"),
        ("lr > 1", "there is no field 'lr' (at character 1)"),
        ("config.lr > fast", "'fast' at character 13 stands where a number"),
        ("status = running", "'running' at character 10 stands where"),
        ("status = 3", "status is a text, 3 at character 10 is none"),
        ("config.a = 1 config.b = 2", "'config.b' at character 14 stands where the end should be"),
        ("(config.a = 1", "the text ends where ')' should be"),
        ('tags < "a"', "tags have no order"),
        ('startedAtMs > "soon"', "startedAtMs is a time, 'soon' at character 15 is none"),
        ("config.a < true", "< at character 12 compares numbers or texts"),
        ("config.a = 'x'", "\"'x'\" at character 11 makes no sense"),
        ("not " * 40 + "config.a exists", "nested more than 32 deep"),
        (" or ".join(["config.a exists"] * 65), "more than 64 tests"),
    ],
)
def test_a_filter_that_cannot_be_read_says_where(text: str, message: str) -> None:
    """The place, what stands there and what should."""
    with pytest.raises(Problem) as caught:
        parse_filter(text)

    assert caught.value.status == 400
    assert message in caught.value.message
