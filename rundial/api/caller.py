"""One call of the control API: a path and JSON in, a JSON object out.

Adds the headers that every request carries, the key among them, to the server's own address
only; what comes back is judged by `rundial.api.answers`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from rundial.api import answers
from rundial.api.calls import paging
from rundial.api.exchange import Answer, Exchange, NoAnswerError, Request
from rundial.api.key import Key
from rundial.errors import ConfigError, RundialRequestError
from rundial.version import __version__

Json = dict[str, Any]

PROTOCOL = "1"


class Caller:
    """Calls one server with one key.

    Args:
        endpoint: The server's address, normalised.
        key: Key or session; read at every call.
        timeout_s: What one call may take in all.
        exchange: How requests travel.

    Attributes:
        endpoint: As given.
    """

    def __init__(self, endpoint: str, key: Key, *, timeout_s: float, exchange: Exchange) -> None:
        self.endpoint = endpoint
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
        url = self.endpoint + path + (f"?{urlencode(query)}" if query else "")
        request = Request("GET", url, self._headers(sends_key=sends_key, has_body=False))
        return answers.interpret(self._send(request, what), what=what, endpoint=self.endpoint)

    def date(self, path: str, *, what: str) -> str | None:
        """Return the `Date` of a GET's answer, whatever it answers; None where it has none.

        Raises:
            RundialRequestError: No answer.
        """
        request = Request("GET", self.endpoint + path, self._headers(sends_key=False, has_body=False))
        return self._send(request, what).headers.get("date")

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
        return self._written("POST", path, body, what=what, stale_advice=stale_advice)

    def patch(self, path: str, body: Mapping[str, object], *, what: str) -> Json:
        """Return the object that a PATCH of JSON answers; arguments and errors as for `post`."""
        return self._written("PATCH", path, body, what=what)

    def _written(
        self,
        method: str,
        path: str,
        body: Mapping[str, object],
        *,
        what: str,
        stale_advice: str | None = None,
    ) -> Json:
        headers = self._headers(sends_key=True, has_body=True)
        request = Request(method, self.endpoint + path, headers, _encoded(body, what))
        answer = self._send(request, what)
        return answers.interpret(answer, what=what, endpoint=self.endpoint, stale_advice=stale_advice)

    def delete(self, path: str, *, what: str, query: Mapping[str, object] | None = None) -> Json:
        """Return the object that a DELETE answers.

        Args:
            path: From the endpoint on, escaped.
            what: What is asked, in words, for an error's message.
            query: Parameters of the query string.

        Raises:
            RundialRequestError: No answer, an error, or not the API's JSON.
        """
        url = self.endpoint + path + (f"?{urlencode(query)}" if query else "")
        request = Request("DELETE", url, self._headers(sends_key=True, has_body=False))
        return answers.interpret(self._send(request, what), what=what, endpoint=self.endpoint)

    def sign(
        self, path: str, body: Mapping[str, object], *, origin: str | None, what: str, sends_key: bool
    ) -> tuple[Json, Answer]:
        """POST as a browser does, for routes that begin or end a session.

        Args:
            path: From the endpoint on.
            body: What is sent.
            origin: The `Origin` header; None is the endpoint's own.
            what: What is asked, in words, for an error's message.
            sends_key: Whether key or session go along.

        Returns:
            The answer's object, and the answer with its cookies.

        Raises:
            RundialRequestError: No answer, an error, or not the API's JSON.
        """
        headers = self._headers(sends_key=sends_key, has_body=True)
        headers["origin"] = origin or origin_of(self.endpoint)
        request = Request("POST", self.endpoint + path, headers, _encoded(body, what))
        answer = self._send(request, what)
        return answers.interpret(answer, what=what, endpoint=self.endpoint), answer

    def pages(
        self, path: str, name: str, *, limit: int, max_pages: int, query: Mapping[str, object] | None = None
    ) -> list[Json]:
        """Return the rows of a paged listing, at most `limit * max_pages`.

        Raises:
            RundialRequestError: As for `get`.
        """

        def fetch(cursor: str | None) -> Json:
            asked = given(**{**(query or {}), "limit": limit, "cursor": cursor})
            return self.get(path, query=asked, what=f"listing {name}")

        return [
            row
            for page in paging.pages(fetch, max_pages=max_pages)
            for row in paging.rows_of(page, name, self.endpoint)
        ]

    def need(self, found: Json, *names: str, what: str) -> Json:
        """Return an answer that has what callers count on.

        Raises:
            RundialRequestError: It lacks one of the names.
        """
        missing = [name for name in names if found.get(name) in (None, "")]
        if missing:
            raise RundialRequestError(
                f"{what}: the answer of {self.endpoint} lacks {', '.join(missing)}. Upgrade the server", 200
            )
        return found

    def stream_of(self, path: str, query: Mapping[str, object]) -> tuple[str, dict[str, str]]:
        """Return the address and the headers of a stream of events, for who reads it as it comes."""
        headers = {**self._headers(sends_key=True, has_body=False), "accept": "text/event-stream"}
        return f"{self.endpoint}{path}?{urlencode(query, doseq=True)}", headers

    def _headers(self, *, sends_key: bool, has_body: bool) -> dict[str, str]:
        headers = {
            "accept": "application/json",
            "x-rundial-client": f"rundial-python/{__version__}",
            "x-rundial-protocol": PROTOCOL,
        }
        if sends_key:
            headers.update(self._key.headers())
        if has_body:
            headers["content-type"] = "application/json"
        return headers

    def _send(self, request: Request, what: str) -> Answer:
        try:
            return self._exchange(request, timeout_s=self._timeout_s)
        except NoAnswerError as error:
            raise RundialRequestError(
                f"{what}: {self.endpoint} could not be reached ({error}). "
                f"Check the address, or start a server there: rundial server"
            ) from error


def given(**fields: object) -> Json:
    """Return the fields that have a value: the API reads an absent one as "no wish"."""
    return {name: value for name, value in fields.items() if value is not None}


def origin_of(endpoint: str) -> str:
    """Return an address's scheme, host and port."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"


def _encoded(body: Mapping[str, object], what: str) -> bytes:
    try:
        return json.dumps(body).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{what}: an argument is no JSON ({error}); nothing was sent") from error
