"""What became of one request, as values.

Expected answers of a server are values, not exceptions: the sender decides by them what
becomes of a frame. Pure; any thread.

| outcome    | answer of the server                            | what becomes of the data          |
|------------|-------------------------------------------------|-----------------------------------|
| `Accepted` | 2xx, empty or an OTLP body                      | acknowledged                      |
| `Partial`  | 2xx with `partial_success`                      | acknowledged, refusals counted    |
| `Retry`    | 408, 429, 5xx, no answer in time, no connection | kept, sent again for ever         |
| `Split`    | 413                                             | sent again in two halves          |
| `Pause`    | 401, 403, 404, 405, 3xx, HTML, other 4xx        | kept, tried again slowly          |
| `Reject`   | 400, 422                                        | sent plain, then in halves; only  |
|            |                                                 | the refused part is filed, counted|
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has all of it."""


@dataclass(frozen=True, slots=True)
class Partial:
    """The server has it, less what it refused.

    Attributes:
        rejected_items: OTLP items that the server refused; 0 is an accept with advice.
        message: The server's own words; may be empty.
    """

    rejected_items: int
    message: str


@dataclass(frozen=True, slots=True)
class Retry:
    """The server could not take it now.

    Attributes:
        after_s: How long the server asked to wait; None when it did not say.
        why: What happened, in words, without secrets.
    """

    after_s: float | None
    why: str


@dataclass(frozen=True, slots=True)
class Split:
    """The request is too large for the server.

    Attributes:
        why: What happened, in words, without secrets.
    """

    why: str = "answered 413: too large"


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing will be taken until a person changes something.

    Attributes:
        status: HTTP status; None when the fault was found before a request was made.
        why: What happened, in words, without secrets.
    """

    status: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Reject:
    """The server calls the request malformed.

    Attributes:
        status: 400 or 422.
        why: What happened, in words, without secrets.
    """

    status: int
    why: str


Outcome: TypeAlias = Accepted | Partial | Retry | Split | Pause | Reject


def without(outcome: Outcome, secrets: Iterable[str]) -> Outcome:
    """Return the outcome with every secret in its words blotted out.

    A server may echo what it was sent, and the words end in logs and diagnostics.
    """
    if isinstance(outcome, Accepted):
        return outcome
    words = clean = outcome.message if isinstance(outcome, Partial) else outcome.why
    for secret in secrets:
        clean = clean.replace(secret, "***")
    if clean == words:
        return outcome
    if isinstance(outcome, Partial):
        return replace(outcome, message=clean)
    return replace(outcome, why=clean)
