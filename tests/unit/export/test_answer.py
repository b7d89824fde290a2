"""What a server's answer means."""

from __future__ import annotations

import json

import pytest

from rundial.export.answer import Answer, judge
from rundial.export.outcome import Accepted, Partial, Pause, Reject, Retry, Split, without

_PROTOBUF = "application/x-protobuf"


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, _PROTOBUF, b""),
        Answer(204),
        Answer(202, "text/html", b""),
        Answer(200, _PROTOBUF, b"\x0a\x00"),
        Answer(200, "", b"\x0a\x00"),
        Answer(200, "application/json", b"{}"),
        Answer(200, "application/json; charset=utf-8", b'{"partialSuccess":{}}'),
    ],
)
def test_judge_accepts_empty_and_otlp_answers(answer: Answer) -> None:
    """Any conforming Collector's accept is understood."""
    assert judge(answer) == Accepted()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, "text/html", b"<html>Log in</html>"),
        Answer(200, _PROTOBUF, b"<html>Log in</html>"),
        Answer(200, "text/plain", b"\x0a\x00"),
        Answer(200, "application/json", b'{"status":"ok"}'),
        Answer(200, "application/json", b"no json"),
        Answer(200, _PROTOBUF, b"\x0a\x00", is_whole=False),
    ],
)
def test_judge_keeps_the_data_when_a_success_is_no_otlp(answer: Answer) -> None:
    """A login page that answers 200 deletes nothing."""
    outcome = judge(answer)

    assert isinstance(outcome, Pause)
    assert "no OTLP answer" in outcome.why


@pytest.mark.parametrize("status", [408, 429, 500, 501, 502, 503, 504, 599])
def test_judge_retries_what_may_pass(status: int) -> None:
    """Overload, restarts and gateways cost patience, not data."""
    outcome = judge(Answer(status, retry_after_s=7.0))

    assert isinstance(outcome, Retry)
    assert outcome.after_s == 7.0


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 401, 402, 403, 404, 405, 406, 409, 415, 451])
def test_judge_pauses_where_a_person_must_help(status: int) -> None:
    """A wrong key, path or proxy keeps everything."""
    outcome = judge(Answer(status))

    assert isinstance(outcome, Pause)
    assert outcome.status == status


def test_judge_names_the_other_outcomes() -> None:
    """Too large, malformed and partly refused requests are told apart."""
    assert isinstance(judge(Answer(413)), Split)
    assert isinstance(judge(Answer(400)), Reject)
    assert isinstance(judge(Answer(422)), Reject)
    assert judge(Answer(200, _PROTOBUF, b"\x0a\x06\x08\x02\x12\x02no")) == Partial(2, "no")


def test_judge_quotes_the_servers_words_in_one_short_line() -> None:
    """A warning says what the server said, without flooding or forging the log."""
    error = {
        "error": {"code": "UNAUTHORIZED", "message": "key\nexpired\x1b[31m", "details": {"hint": "x" * 999}}
    }
    outcome = judge(Answer(401, "application/json", json.dumps(error).encode()))

    assert isinstance(outcome, Pause)
    assert outcome.why.startswith("answered 401: key expired [31m xxx")
    assert outcome.why.isprintable()
    assert len(outcome.why) < 300


def test_judge_shows_a_redirects_target_without_its_secrets() -> None:
    """The address that a proxy sends us to is named, its tokens are not."""
    outcome = judge(Answer(302, location="https://user:pw@login.example/sso?token=abc#frag"))

    assert isinstance(outcome, Pause)
    assert "https://login.example/sso," in outcome.why
    assert not any(secret in outcome.why for secret in ("pw", "abc", "frag"))


def test_without_blots_out_secrets_that_a_server_echoes() -> None:
    """A key never reaches a log, even when the server repeats it."""
    assert without(Pause(401, "no such key rdk_secret"), ["rdk_secret"]) == Pause(401, "no such key ***")
    assert without(Partial(1, "rdk_secret"), ["rdk_secret"]) == Partial(1, "***")
    assert without(Accepted(), ["rdk_secret"]) == Accepted()
