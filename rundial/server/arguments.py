"""Arguments of a request, checked: JSON bodies, query strings, cursors.

A cursor is where the last page ended, as opaque text. It holds no rights: the query behind it is
guarded like the first one.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Final

from starlette.requests import Request

from rundial.server.bodies import unpack
from rundial.server.problems import Problem, invalid
from rundial.server.services import services_of

MAX_BODY_BYTES: Final = 4 * 2**20
# A larger body is read in a worker thread.
_AT_ONCE_BYTES: Final = 256 * 1024
MAX_LIMIT: Final = 1_000
_MS: Final = 1_000_000
_END_OF_TIME: Final = 2**63 - 1
# Whole numbers of JSON have no bound, floats have.
_MOST: Final = 1e300


class Arguments:
    """Named values of one request; each getter checks the type and says what it expected.

    Args:
        values: As they came: text from a query string, any JSON from a body.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        """A text that must be there and not empty."""
        value = self.optional_text(name)
        if not value:
            raise invalid(f"{name} is missing", f"send {name} as a text that is not empty")
        return value

    def has(self, name: str) -> bool:
        """Whether it is there, null too."""
        return name in self._values

    def optional_text(self, name: str, *, greatest: int = 4096) -> str | None:
        """A text of at most so many characters, None when it is absent or null."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > greatest:
            raise invalid(f"{name} is not a text of at most {greatest:,} characters")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of texts, empty when it is absent."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise invalid(f"{name} is not a list of texts")
        return value

    def mappings(self, name: str, most: int) -> list[dict[str, Any]]:
        """A list of at most `most` JSON objects, empty when it is absent."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise invalid(f"{name} is not a list of JSON objects")
        if len(value) > most:
            raise Problem(413, f"{name} holds {len(value):,} entries; at most {most:,} are taken")
        return value

    def objects_or_texts(self, name: str, most: int) -> list[dict[str, Any] | str]:
        """A list of at most `most` JSON objects or texts, empty when it is absent."""
        value = self._values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, (dict, str)) for each in value):
            raise invalid(f"{name} is not a list of JSON objects or texts")
        if len(value) > most:
            raise Problem(413, f"{name} holds {len(value):,} entries; at most {most:,} are taken")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """A JSON object, empty when it is absent."""
        value = self._values.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise invalid(f"{name} is not a JSON object")
        return value

    def whole(self, name: str) -> int | None:
        """A whole number, None when it is absent."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value.lstrip("-").isdecimal() and len(value) < 20:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**63:
            raise invalid(f"{name} is not a whole number")
        return value

    def number(self, name: str) -> float | None:
        """A number, None when it is absent."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, (int, float)) or isinstance(value, bool) or abs(value) > _MOST:
            raise invalid(f"{name} is not a number")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false, false when it is absent."""
        value = self._values.get(name)
        if value is not None and not isinstance(value, bool):
            raise invalid(f"{name} is not true or false")
        return bool(value)

    def limit(self, default: int, *, greatest: int = MAX_LIMIT) -> int:
        """How many rows a page may have, 1 to `greatest`."""
        value = self.whole("limit")
        if value is None:
            return default
        if value < 1:
            raise invalid(f"limit is {value}; it must be 1 to {greatest}")
        return min(value, greatest)

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        """One of the choices, the first when it is absent."""
        value = self.optional_text(name)
        if value is None:
            return choices[0]
        if value not in choices:
            raise invalid(f"{name} is {value[:80]!r}; it must be one of {', '.join(choices)}")
        return value

    def cursor(self, *kinds: type) -> list[Any] | None:
        """Where the last page ended, as many values as kinds; None for the first page."""
        text = self.optional_text("cursor")
        if not text:
            return None
        try:
            values = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
        except (ValueError, binascii.Error, UnicodeError) as error:
            raise invalid("the cursor is not one of this server's", "start again without a cursor") from error
        is_ours = isinstance(values, list) and len(values) == len(kinds)
        if not is_ours or not all(type(each) is kind for each, kind in zip(values, kinds, strict=True)):
            raise invalid("the cursor belongs to another query", "start again without a cursor")
        return list(values)


def time_range(arguments: Arguments) -> tuple[int, int]:
    """`startMs` and `endMs` as nanoseconds, both inclusive; all of time when they are absent."""
    start_ms, end_ms = arguments.whole("startMs"), arguments.whole("endMs")
    start = 0 if start_ms is None else start_ms * _MS
    end = _END_OF_TIME if end_ms is None else (end_ms + 1) * _MS - 1
    if start > end:
        raise invalid("startMs is after endMs")
    return max(0, min(start, _END_OF_TIME)), max(0, min(end, _END_OF_TIME))


def page(values: list[Any] | None) -> dict[str, object]:
    """The `page` part of an answer; values say where this page ended, None that it was the last."""
    if values is None:
        return {"hasMore": False, "nextCursor": None}
    text = json.dumps(values, separators=(",", ":")).encode()
    return {"hasMore": True, "nextCursor": base64.urlsafe_b64encode(text).decode("ascii")}


def of_query(request: Request) -> Arguments:
    """The query string's arguments."""
    return Arguments(dict(request.query_params))


async def of_body(request: Request, *, max_bytes: int = MAX_BODY_BYTES) -> Arguments:
    """The JSON body's arguments, plain or gzip.

    Raises:
        Problem: 400 not a JSON object, 413 too large, 415 an encoding that is not read.
    """
    services = services_of(request)
    body = await services.bodies.read(request)
    encoding = request.headers.get("content-encoding", "")
    if encoding:
        body = await services.decode(lambda: unpack(body, encoding, max_bytes=max_bytes))
    if len(body) > max_bytes:
        raise Problem(413, f"the body is larger than {max_bytes:,} bytes", "send less at once")
    if len(body) > _AT_ONCE_BYTES:
        # A list of 100,000 files takes a second, and nobody else is to wait for it.
        return await services.decode(lambda: _arguments_of(body))
    return _arguments_of(body)


def _arguments_of(body: bytes) -> Arguments:
    try:
        values = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise invalid(
            "the body is not JSON", "send a JSON object with content-type application/json"
        ) from error
    if not isinstance(values, dict):
        raise invalid("the body is not a JSON object")
    return Arguments(values)
