"""What a server's HTTP answer means: one pure function from answer to outcome.

A 2xx alone is no accept: login pages and captive portals answer 200 too, and an accept
deletes the only other copy. A status that is not named in the OTLP specification keeps
the data and pauses. Any thread.

Source:
    OTLP 1.x, "OTLP/HTTP Response".
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from rundial.export import partial_success
from rundial.export.addresses import shown_url
from rundial.export.outcome import Accepted, Outcome, Partial, Pause, Reject, Retry, Split

_WORDS_LIMIT = 200
_ADVICE = {
    401: "check the API key",
    403: "check what the API key may write",
    404: "check the endpoint",
    405: "check the endpoint",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """The parts of an HTTP answer that say what became of a request.

    Attributes:
        status: HTTP status.
        content_type: As sent; empty when there was none.
        body: The body, decoded; cut at the transport's cap.
        is_whole: Whether `body` is all that the server sent.
        retry_after_s: The server's wish in seconds; None when it had none.
        location: Where a redirect points; empty when there was none.
    """

    status: int
    content_type: str = ""
    body: bytes = b""
    is_whole: bool = True
    retry_after_s: float | None = None
    location: str = ""


def judge(answer: Answer) -> Outcome:
    """Say what an answer means for the request."""
    status = answer.status
    if 200 <= status < 300:
        return _judge_success(answer)
    why = _why(answer)
    if status in (408, 429) or status >= 500:
        return Retry(answer.retry_after_s, why)
    if status == 413:
        return Split(why)
    if status in (400, 422):
        return Reject(status, why)
    return Pause(status, why)


def _judge_success(answer: Answer) -> Outcome:
    if not answer.body and answer.is_whole:
        return Accepted()
    kind = answer.content_type.partition(";")[0].strip().lower()
    not_otlp = Pause(
        answer.status,
        f"answered {answer.status} with {kind or 'a body'} that is no OTLP answer: a proxy or a login page "
        "answers in the server's place, or the endpoint is wrong",
    )
    if not answer.is_whole or kind.startswith("text/"):
        return not_otlp
    read = partial_success.read_json if kind == "application/json" else partial_success.read_protobuf
    try:
        rejected, message = read(answer.body)
    except (ValueError, TypeError):
        return not_otlp
    if rejected or message:
        return Partial(rejected, _one_line(message))
    return Accepted()


def _why(answer: Answer) -> str:
    """Describe a refusal in one line: the status, the server's words, what to check."""
    text = f"answered {answer.status}"
    if answer.location:
        text += f", a redirect to {_one_line(shown_url(answer.location))}, which is not followed"
    words = _words(answer)
    if words:
        text += f": {words}"
    advice = _ADVICE.get(answer.status)
    if 300 <= answer.status < 400:
        advice = "check the endpoint, and whether a proxy asks for a login"
    return f"{text} ({advice})" if advice else text


def _words(answer: Answer) -> str:
    """Return what the server said about its refusal; empty when that is not for reading."""
    kind = answer.content_type.partition(";")[0].strip().lower()
    try:
        if kind in ("application/x-protobuf", "application/protobuf"):
            return _one_line(partial_success.read_status(answer.body))
        if kind == "application/json":
            return _one_line(_json_words(json.loads(answer.body)))
    except (ValueError, RecursionError):
        return ""  # words are a courtesy; the status has said what matters
    if kind == "text/plain":
        return _one_line(answer.body[: 4 * _WORDS_LIMIT].decode("utf-8", "replace"))
    return ""


def _json_words(answer: object) -> str:
    """Return the message of Rundial's own error form, or of a `google.rpc.Status`."""
    if not isinstance(answer, dict):
        return ""
    error = answer.get("error", answer)
    if not isinstance(error, dict):
        return str(error)
    details = error.get("details")
    hint = details.get("hint") if isinstance(details, dict) else None
    return " ".join(str(part) for part in (error.get("message"), hint) if part)


def _one_line(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _WORDS_LIMIT]).split())
    return line if len(line) <= _WORDS_LIMIT else line[: _WORDS_LIMIT - 1] + "…"
