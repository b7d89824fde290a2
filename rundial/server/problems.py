"""Failures that a client can read: one shape, one code a cause, always with advice.

    {"error": {"code": "FORBIDDEN", "message": "…", "details": {"hint": "…"}}, "requestId": "…"}

Messages carry no secret and no stack; what went wrong inside goes to the server's log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CODES: Final = {
    400: "INVALID_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "INVALID_REQUEST",
    408: "REQUEST_TIMEOUT",
    409: "CONFLICT",
    410: "GONE",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_ENCODING",
    429: "RATE_LIMITED",
    500: "INTERNAL_ERROR",
    502: "BAD_GATEWAY",
    503: "UNAVAILABLE",
    507: "INSUFFICIENT_STORAGE",
}


class Problem(Exception):
    """A request that is answered with an error.

    Attributes:
        status: HTTP status, 400..599.
        message: What happened, in one line.
        hint: What to do about it.
        retry_after_s: Whole seconds to wait before the next attempt; None sends no `Retry-After`.
        details: What a program needs beside the hint, as JSON.
    """

    def __init__(
        self,
        status: int,
        message: str,
        hint: str = "",
        retry_after_s: int | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(status, message, hint, retry_after_s, details)
        self.status = status
        self.message = message
        self.hint = hint
        self.retry_after_s = retry_after_s
        self.details = details or {}

    @property
    def code(self) -> str:
        """The error's code on the wire; API."""
        return CODES.get(self.status, "INVALID_REQUEST" if self.status < 500 else "INTERNAL_ERROR")

    def body(self, request_id: str) -> dict[str, object]:
        """The error as the JSON that is sent."""
        details = {**self.details, **({"hint": self.hint} if self.hint else {})}
        return {
            "error": {"code": self.code, "message": self.message, "details": details},
            "requestId": request_id,
        }


class StoreProblem(Problem):
    """The store cannot be written, for want of space or for worse; nothing of the request is stored."""


def invalid(message: str, hint: str = "") -> Problem:
    """A request that makes no sense as it is; repeating it cannot help."""
    return Problem(400, message, hint)


def busy(why: str) -> Problem:
    """A request that may be repeated in a second, unchanged."""
    return Problem(503, why, "nothing was stored; repeat the request after the given wait", retry_after_s=1)
