"""One call of the control API: a path and JSON in, a JSON object out.

Adds the headers that every request carries, the key among them, to the server's own address
only; what comes back is judged by `rundial.api.answers`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from rundial.api import answers
from rundial.api.exchange import Answer, Exchange, NoAnswerError, Request
from rundial.api.key import Key
from rundial.errors import RundialRequestError
from rundial.version import __version__

Json = dict[str, Any]

PROTOCOL = "1"


class Caller:
    """Calls one server with one key.

    Args:
        endpoint: The server's address, normalised.
        key: Bearer token; read at every call.
        timeout_s: What one call may take in all.
        exchange: How requests travel.
    """

    def __init__(self, endpoint: str, key: Key, *, timeout_s: float, exchange: Exchange) -> None:
        self._endpoint = endpoint
        self._key = key
        self._timeout_s = timeout_s
        self._exchange = exchange

    def get(
        self, path: str, *, what: str, query: Mapping[str, object] | None = None, sends_key: bool = True
    ) -> Json:
        """Return the object that a GET answers.

        Args:
            path: From the endpoint on, escaped.
            what: What is asked, in words, for an error's message.
            query: Parameters of the query string.
            sends_key: False where the route needs no key.

        Raises:
            RundialRequestError: No answer, an error, or not the API's JSON.
        """
        url = self._endpoint + path + (f"?{urlencode(query)}" if query else "")
        request = Request("GET", url, self._headers(sends_key=sends_key, has_body=False))
        return answers.interpret(self._send(request, what), what=what, endpoint=self._endpoint)

    def post(
        self, path: str, body: Mapping[str, object], *, what: str, stale_advice: str | None = None
    ) -> Json:
        """Return the object that a POST of JSON answers.

        Args:
            path: From the endpoint on, escaped.
            body: What is sent.
            what: What is asked, in words, for an error's message.
            stale_advice: Said when the server does not know the route.

        Raises:
            RundialRequestError: No answer, an error, or not the API's JSON.
        """
        headers = self._headers(sends_key=True, has_body=True)
        request = Request("POST", self._endpoint + path, headers, json.dumps(body).encode())
        answer = self._send(request, what)
        return answers.interpret(answer, what=what, endpoint=self._endpoint, stale_advice=stale_advice)

    def pages(self, path: str, name: str, *, limit: int, max_pages: int) -> list[Json]:
        """Return the rows of a paged listing, at most `limit * max_pages`.

        Raises:
            RundialRequestError: As for `get`.
        """
        rows: list[Json] = []
        cursor: str | None = None
        for _ in range(max_pages):
            found = self.get(path, query=given(limit=limit, cursor=cursor), what=f"listing {name}")
            rows += self.rows(found, name)
            page = found.get("page")
            cursor = page.get("nextCursor") if isinstance(page, dict) and page.get("hasMore") else None
            if not cursor:
                break
        return rows

    def rows(self, found: Json, name: str) -> list[Json]:
        """Return a list of objects out of an answer.

        Raises:
            RundialRequestError: The answer has no such list.
        """
        rows = found.get(name)
        if not isinstance(rows, list):
            raise RundialRequestError(
                f"the answer of {self._endpoint} lacks {name!r}. Upgrade the server", 200
            )
        return [row for row in rows if isinstance(row, dict)]

    def _headers(self, *, sends_key: bool, has_body: bool) -> dict[str, str]:
        headers = {
            "accept": "application/json",
            "x-rundial-client": f"rundial-python/{__version__}",
            "x-rundial-protocol": PROTOCOL,
        }
        api_key = self._key.value if sends_key else None
        if api_key:
            headers["authorization"] = f"Bearer {api_key}"
        if has_body:
            headers["content-type"] = "application/json"
        return headers

    def _send(self, request: Request, what: str) -> Answer:
        try:
            return self._exchange(request, timeout_s=self._timeout_s)
        except NoAnswerError as error:
            raise RundialRequestError(
                f"{what}: {self._endpoint} could not be reached ({error}). "
                f"Check the address, or start a server there: rundial server"
            ) from error


def given(**fields: object) -> Json:
    """Return the fields that have a value: the API reads an absent one as "no wish"."""
    return {name: value for name, value in fields.items() if value is not None}
