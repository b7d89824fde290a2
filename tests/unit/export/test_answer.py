"""What a server's answer means."""

from __future__ import annotations

import json

import pytest

from rundial.export.answer import Answer, judge
from rundial.export.outcome import Accepted, Outcome, Partial, Pause, Reject, Retry, Split, without

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


@pytest.mark.parametrize(
    ("status", "kind"),
    [(199, Pause), (200, Accepted), (299, Accepted), (300, Pause), (499, Pause), (500, Retry)],
)
def test_judge_draws_its_lines_where_http_does(status: int, kind: type[Outcome]) -> None:
    """No status falls between two meanings."""
    assert isinstance(judge(Answer(status)), kind)


@pytest.mark.parametrize("words", [b"\x0a\x04\x12\x02no", b"\x0a\x02\x08\x01", b"\x0a\x06\x08\x01\x12\x02no"])
def test_judge_of_advice_or_refusals_is_a_partial(words: bytes) -> None:
    """Advice without a refusal reaches the log, and a refusal without words is counted."""
    outcome = judge(Answer(200, _PROTOBUF, words))

    assert isinstance(outcome, Partial)
    assert (outcome.rejected_items, outcome.message) in [(0, "no"), (1, ""), (1, "no")]


def test_judge_of_an_empty_answer_that_was_cut_off_keeps_the_data() -> None:
    """An accept that broke off before its first byte is none."""
    assert isinstance(judge(Answer(200, _PROTOBUF, b"", is_whole=False)), Pause)


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (" Text/HTML ; charset=utf-8", "with text/html that"),
        ("", "with a body that"),
        ("a/b;c;d", "with a/b that"),
    ],
)
def test_judge_names_what_answered_in_the_servers_place(kind: str, shown: str) -> None:
    """Who reads the warning sees whether a login page answered."""
    outcome = judge(Answer(203, kind, b"<html>"))

    assert isinstance(outcome, Pause)
    assert outcome.status == 203
    assert outcome.why.startswith(f"answered 203 {shown} is no OTLP answer")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer(401), "answered 401 (check the API key)"),
        (Answer(403), "answered 403 (check what the API key may write)"),
        (Answer(404), "answered 404 (check the endpoint)"),
        (Answer(405), "answered 405 (check the endpoint)"),
        (Answer(409), "answered 409"),
        (Answer(400), "answered 400"),
        (Answer(300), "answered 300 (check the endpoint, and whether a proxy asks for a login)"),
        (Answer(301), "answered 301 (check the endpoint, and whether a proxy asks for a login)"),
        (
            Answer(399, location="http://a/b"),
            "answered 399, a redirect to http://a/b, which is not followed "
            "(check the endpoint, and whether a proxy asks for a login)",
        ),
        (Answer(503, "text/plain; charset=utf-8", b"over\nloaded \xff"), "answered 503: over loaded \ufffd"),
        (Answer(503, "text/html", b"<html>"), "answered 503"),
        (Answer(500, _PROTOBUF, b"\x08\x03\x12\x03bad"), "answered 500: bad"),
        (Answer(500, "application/protobuf;x", b"\x12\x03bad"), "answered 500: bad"),
        (Answer(500, _PROTOBUF, b"\x12\x09bad"), "answered 500"),
        (Answer(500, "Application/JSON", b'{"code":3,"message":"bad"}'), "answered 500: bad"),
        (Answer(500, "application/json", b'{"error":"bad"}'), "answered 500: bad"),
        (Answer(500, "application/json", b'{"error":{"message":"bad","details":[1]}}'), "answered 500: bad"),
        (Answer(500, "application/json", b'{"error":{"details":{"hint":"wait"}}}'), "answered 500: wait"),
        (
            Answer(500, "application/json", b'{"error":{"message":"bad","details":{"hint":"wait"}}}'),
            "answered 500: bad wait",
        ),
        (Answer(500, "application/json", b'["bad"]'), "answered 500"),
        (Answer(500, "application/json", b"bad"), "answered 500"),
        (Answer(500, "application/json", b"[" * 100_000), "answered 500"),
    ],
)
def test_judge_says_in_one_line_what_was_answered_and_what_to_check(answer: Answer, why: str) -> None:
    """A refusal is understood without a packet trace, whatever form the server gave it."""
    assert getattr(judge(answer), "why", None) == why


@pytest.mark.parametrize(("length", "shown"), [(200, "x" * 200), (201, "x" * 199 + "…")])
def test_judge_cuts_words_at_two_hundred_characters(length: int, shown: str) -> None:
    """A server that answers with a page does not fill the log."""
    outcome = judge(Answer(503, "text/plain", b"x" * length))

    assert isinstance(outcome, Retry)
    assert outcome.why == f"answered 503: {shown}"


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


def test_without_blots_out_every_secret_and_changes_nothing_else() -> None:
    """Words without a secret are left as they are."""
    partly = Partial(3, "key rdk_one, then rdk_two, then rdk_one")

    assert without(partly, ["rdk_one", "rdk_two"]) == Partial(3, "key ***, then ***, then ***")
    assert without(Retry(7.0, "rdk_one"), ["rdk_one"]) == Retry(7.0, "***")
    assert without(partly, ["rdk_three"]) is partly
    assert without(partly, []) is partly
