"""What a control request's answer means: a JSON object, or an error that says what to do.

Pure. Whatever a server, a proxy or a login page answers becomes either the object that the API
promises or a `RundialRequestError`; nothing else leaves this module.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from rundial.api.exchange import Answer
from rundial.errors import RundialRequestError

_EXCERPT = 300

_ADVICE = {
    401: "Give a key of this server as api_key= or RUNDIAL_API_KEY, or use a profile that holds one",
    403: "This key may not do that; ask an owner of the workspace for a key with that scope",
    404: "Check the id, the workspace and the project",
    405: "Check that the endpoint is the address of a Rundial server",
    409: "It exists already or has ended: use another run_id, or another resume mode",
    413: "Ask for less at once",
    429: "The server is busy; try again in a moment",
}


def interpret(answer: Answer, *, what: str, endpoint: str, stale_advice: str | None = None) -> dict[str, Any]:
    """Return the answer's JSON object.

    Args:
        answer: What came back.
        what: What was asked, in words, for the message.
        endpoint: The server's address, for the message.
        stale_advice: Said when a 404 is no error of the API, which means the route is unknown there.

    Raises:
        RundialRequestError: The status is not 2xx, or the body is not a JSON object.
    """
    if 300 <= answer.status < 400:
        raise _redirected(answer, what, endpoint)
    found = _object(answer.body)
    if 200 <= answer.status < 300 and found is not None:
        return found
    if 200 <= answer.status < 300:
        raise RundialRequestError(
            f"{what}: {endpoint} answered {answer.status} with {_kind(answer)} where JSON was expected. "
            f"Check that the endpoint is a Rundial server and not a proxy or a login page in front of it",
            answer.status,
        )
    raise _refused(answer, found, what, endpoint, stale_advice)


def _refused(
    answer: Answer, found: dict[str, Any] | None, what: str, endpoint: str, stale_advice: str | None
) -> RundialRequestError:
    error = found.get("error") if found is not None else None
    if not isinstance(error, dict):
        advice = _ADVICE.get(answer.status, "Check that the endpoint is the address of a Rundial server")
        if answer.status == 404 and stale_advice:
            advice = stale_advice
        if answer.status >= 500:
            advice = "Look at the server's log, then try again"
        return RundialRequestError(
            f"{what}: {endpoint} answered HTTP {answer.status} with {_kind(answer)}. {advice}", answer.status
        )
    code, message = _text(error.get("code")), _text(error.get("message"))
    details = error.get("details")
    hint = _text(details.get("hint")) if isinstance(details, dict) else None
    said = ": ".join(part for part in (code, message) if part) or "no reason given"
    if answer.status == 401 and hint and "authorization:" in hint.lower():
        # A header is for who writes requests; here it is an argument or a variable.
        advice = _ADVICE[401]
    else:
        advice = hint or _ADVICE.get(answer.status) or "Look at the server's log, then try again"
    line = f"{what} failed with HTTP {answer.status} ({said.rstrip('.')}). {advice.rstrip('.')}"
    return RundialRequestError(line, answer.status, code, message, hint)


def _redirected(answer: Answer, what: str, endpoint: str) -> RundialRequestError:
    target = urlsplit(answer.headers.get("location", ""))
    # Only the origin is repeated: a redirect's path and query may carry a token.
    where = f"{target.scheme}://{target.hostname}" if target.scheme and target.hostname else "another address"
    return RundialRequestError(
        f"{what}: {endpoint} answered HTTP {answer.status}, a redirect to {where}, which was not followed. "
        f"Set the endpoint to the server's final address",
        answer.status,
    )


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _kind(answer: Answer) -> str:
    if not answer.body.strip():
        return "an empty body"
    start = answer.body.lstrip()[:15].lower()
    if "html" in answer.headers.get("content-type", "") or start.startswith((b"<!doctype", b"<html")):
        return "an HTML page"
    return "something other than a JSON object"


def _text(value: object) -> str | None:
    """Return a string on one line, at most 300 characters, or None."""
    if not isinstance(value, str) or not value.strip():
        return None
    line = " ".join(value.split())
    return line if len(line) <= _EXCERPT else line[: _EXCERPT - 1] + "…"
