"""What the run table can be asked: fields, and a filter as text. Pure.

    status = "running" and config.lr > 0.01 and (tags = "baseline" or not summary.loss <= 0.5)

    filter     = all, { "or", all } ;
    all        = one, { "and", one } ;
    one        = "not", one | "(", filter, ")" | field, test ;
    test       = ( "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~" ), value
               | [ "not" ], "in", "(", value, { ",", value }, ")" | "exists" ;
    field      = name | ( "config." | "summary." ), ( name | text ) ;
    value      = number | text | "true" | "false" | "null" ;

A text is a JSON string. A name is of letters, digits and `_ . / : @ % + -`; any other goes in quotes
(`config."my key"`). Words of the grammar may be in any case.

Every test is true or false: what is missing, or of another type than the value, is not equal to it and
neither less nor greater; `a != b` is `not a = b`. So `not` turns any filter round.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final

from rundial.server.problems import invalid

Value = float | int | str | bool | None

MAX_TESTS: Final = 64
MAX_DEPTH: Final = 32
MAX_FIELDS: Final = 24

# Fields of their own, and what their values are.
FIELDS: Final = {
    "runId": "text",
    "runName": "text",
    "kind": "text",
    "status": "text",
    "group": "text",
    "jobType": "text",
    "tags": "tags",
    "startedAtMs": "time",
    "updatedAtMs": "time",
}
_SPACES: Final = ("config", "summary")
_OPERATORS: Final = ("!=", "<=", ">=", "!~", "=", "<", ">", "~")
_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\\x00-\x1f]|\\.)*")
    | (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w./:@%+-]))
    | (?P<name>[\w][\w./:@%+-]*)
    | (?P<mark>!=|<=|>=|!~|[=<>~(),])
    )""",
    re.VERBOSE,
)
_HINT: Final = "see the filter grammar in the documentation's HTTP API page"


@dataclass(frozen=True, slots=True)
class Field:
    """Something that a run has or has not.

    Attributes:
        space: `config`, `summary`, or empty for fields of their own.
        name: The field's name within that.
    """

    space: str
    name: str

    @property
    def kind(self) -> str:
        """`text`, `time`, `tags`, or `any`."""
        return "any" if self.space else FIELDS[self.name]

    def __str__(self) -> str:
        return f"{self.space}.{self.name}" if self.space else self.name


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison: `=`, `<`, `<=`, `>`, `>=`, `~` or `exists`; the value is of the field's type."""

    field: Field
    operator: str
    value: Value = None


@dataclass(frozen=True, slots=True)
class Not:
    """What is true when its part is not."""

    part: Filter


@dataclass(frozen=True, slots=True)
class Group:
    """Parts of which all (`and`) or at least one (`or`) must be true."""

    word: str
    parts: tuple[Filter, ...]


Filter = Test | Not | Group


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int

    def is_word(self, word: str) -> bool:
        return self.kind == "name" and self.text.lower() == word


def parse_filter(text: str) -> Filter:
    """Read a filter.

    Raises:
        Problem: 400, with the place at which it cannot be read.
    """
    parser = _Parser(text)
    found = parser.either(0)
    parser.need_end()
    return found


def parse_fields(text: str) -> list[Field]:
    """Read a list of fields, separated by commas.

    Raises:
        Problem: 400, with the place at which it cannot be read.
    """
    parser = _Parser(text)
    fields = [parser.field()]
    while parser.take("mark", ","):
        fields.append(parser.field())
    parser.need_end()
    if len(fields) > MAX_FIELDS:
        raise invalid(f"{len(fields)} fields are asked for; there may be {MAX_FIELDS}")
    return list(dict.fromkeys(fields))


def fields_of(found: Filter) -> list[Field]:
    """The fields that a filter looks at, each once."""
    if isinstance(found, Test):
        return [found.field]
    parts = (found.part,) if isinstance(found, Not) else found.parts
    return list(dict.fromkeys(field for part in parts for field in fields_of(part)))


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._place = 0
        self._tests = 0

    def either(self, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise invalid(f"the filter is nested more than {MAX_DEPTH} deep", _HINT)
        return self._joined("or", lambda: self._joined("and", lambda: self._one(depth)))

    def field(self) -> Field:
        token = self._next("a field")
        if token.kind != "name":
            raise self._wrong(token, "a field")
        space, dot, name = token.text.partition(".")
        if space in _SPACES and dot:
            following = self._peek()
            is_quoted = not name and following is not None and following.kind == "text"
            if is_quoted and following is not None and following.start == token.start + len(token.text):
                self._place += 1
                return Field(space, _unquoted(following.text))
            if name:
                return Field(space, name)
        elif token.text in FIELDS:
            return Field("", token.text)
        raise invalid(
            f"there is no field {token.text[:80]!r} (at character {token.start + 1})",
            f"use config.NAME, summary.NAME, {', '.join(FIELDS)}",
        )

    def take(self, kind: str, text: str) -> bool:
        token = self._peek()
        if token is None or token.kind != kind or token.text != text:
            return False
        self._place += 1
        return True

    def need_end(self) -> None:
        token = self._peek()
        if token is not None:
            raise self._wrong(token, "the end")

    def _joined(self, word: str, part: Callable[[], Filter]) -> Filter:
        parts: list[Filter] = [part()]
        while self._word(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Group(word, tuple(parts))

    def _one(self, depth: int) -> Filter:
        if depth > MAX_DEPTH:
            raise invalid(f"the filter is nested more than {MAX_DEPTH} deep", _HINT)
        if self._word("not"):
            return Not(self._one(depth + 1))
        if self.take("mark", "("):
            found = self.either(depth + 1)
            self._close()
            return found
        return self._test(self.field())

    def _test(self, field: Field) -> Filter:
        self._tests += 1
        if self._tests > MAX_TESTS:
            raise invalid(f"the filter has more than {MAX_TESTS} tests", _HINT)
        if self._word("exists"):
            return Test(field, "exists")
        is_not = self._word("not")
        if self._word("in"):
            if not self.take("mark", "("):
                raise self._wrong(self._peek(), "'('")
            found: list[Filter] = [self._compared(field, "=")]
            while self.take("mark", ","):
                found.append(self._compared(field, "="))
            self._close()
            chosen = found[0] if len(found) == 1 else Group("or", tuple(found))
            return Not(chosen) if is_not else chosen
        token = self._next("an operator")
        if is_not or token.text not in _OPERATORS:
            raise self._wrong(token, "an operator")
        if token.text in ("!=", "!~"):
            return Not(self._compared(field, "=" if token.text == "!=" else "~"))
        return self._compared(field, token.text)

    def _compared(self, field: Field, operator: str) -> Test:
        token = self._next("a value")
        value = self._value(token)
        return Test(field, operator, _fitting(field, operator, value, token.start))

    def _value(self, token: _Token) -> Value:
        if token.kind == "text":
            return _unquoted(token.text)
        if token.kind == "number":
            return float(token.text) if any(each in token.text for each in ".eE") else int(token.text)
        words: dict[str, Value] = {"true": True, "false": False, "null": None}
        if token.kind == "name" and token.text.lower() in words:
            return words[token.text.lower()]
        raise self._wrong(token, "a number, a text in double quotes, true, false or null")

    def _close(self) -> None:
        if not self.take("mark", ")"):
            raise self._wrong(self._peek(), "')'")

    def _word(self, word: str) -> bool:
        token = self._peek()
        if token is None or not token.is_word(word):
            return False
        self._place += 1
        return True

    def _peek(self) -> _Token | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _next(self, wanted: str) -> _Token:
        token = self._peek()
        if token is None:
            raise self._wrong(None, wanted)
        self._place += 1
        return token

    def _wrong(self, token: _Token | None, wanted: str) -> Exception:
        if token is None:
            return invalid(f"the text ends where {wanted} should be", _HINT)
        return invalid(
            f"{token.text[:40]!r} at character {token.start + 1} stands where {wanted} should be", _HINT
        )


def _tokens(text: str) -> list[_Token]:
    found = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            shown = text[place:].lstrip()[:20]
            raise invalid(f"{shown!r} at character {place + 1} makes no sense", _HINT)
        found.append(_Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup)))
        place = match.end()
    return found


def _unquoted(text: str) -> str:
    try:
        found = json.loads(text)
        assert isinstance(found, str)
        found.encode()
    except (ValueError, UnicodeError) as error:
        raise invalid(f"{text[:40]} is not a JSON string", _HINT) from error
    return found


def _fitting(field: Field, operator: str, value: Value, start: int) -> Value:
    """The value as the field's type has it.

    Raises:
        Problem: 400, the field never has such values.
    """
    where = f"at character {start + 1}"
    if operator == "~" and not isinstance(value, str):
        raise invalid(f"~ {where} looks for a text", "put it in double quotes")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**1023:
        raise invalid(f"the number {where} is too large")
    if operator not in ("=", "~") and (value is None or isinstance(value, bool)):
        raise invalid(f"{operator} {where} compares numbers or texts", "use = or !=")
    if field.kind in ("text", "tags") and not isinstance(value, str):
        raise invalid(f"{field} is a text, {value!r} {where} is none", "put the value in double quotes")
    if field.kind == "tags" and operator not in ("=", "~"):
        raise invalid(f"tags have no order, so {operator} {where} makes no sense", 'use tags = "one of them"')
    if field.kind == "time":
        return _time(field, operator, value, where)
    return value


def _time(field: Field, operator: str, value: Value, where: str) -> Value:
    """A time as Unix nanoseconds."""
    if operator == "~":
        raise invalid(f"{field} is a time; ~ {where} looks for a text")
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            when = None
        if when is not None:
            aware = when if when.tzinfo else when.replace(tzinfo=timezone.utc)
            since = aware - datetime(1970, 1, 1, tzinfo=timezone.utc)
            return _in_range((since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return _in_range(int(value * 1_000_000) if abs(value) < 2**62 else 2**63)
    raise invalid(
        f"{field} is a time, {value!r} {where} is none",
        'use "2026-01-31", "2026-01-31T12:00:00Z", or milliseconds since 1970',
    )


def _in_range(unix_ns: int) -> int:
    return max(-(2**63), min(unix_ns, 2**63 - 1))
