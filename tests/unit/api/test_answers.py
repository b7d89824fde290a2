"""What answers of servers, proxies and login pages become."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rundial.api.answers import interpret
from rundial.api.exchange import Answer
from rundial.errors import RundialRequestError

URL = "http://127.0.0.1:8787"


def _error(answer: Answer) -> RundialRequestError:
    with pytest.raises(RundialRequestError) as raised:
        interpret(answer, what="asking", endpoint=URL)
    return raised.value


def test_object_is_the_answer() -> None:
    """A JSON object with a 2xx status is what the caller gets."""
    assert interpret(Answer(201, {}, b'{"a": 1}'), what="asking", endpoint=URL) == {"a": 1}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<!DOCTYPE html><title>Sign in</title>", "an HTML page"),
        (b"", "an empty body"),
        (b"[1]", "something other than a JSON object"),
        (b"\xff\xfe", "something other than a JSON object"),
        (b"[" * 100_000, "something other than a JSON object"),
    ],
)
def test_success_without_an_object_is_an_error_with_advice(body: bytes, kind: str) -> None:
    """A login page that answers 200 is not taken for the API."""
    error = _error(Answer(200, {}, body))

    assert kind in str(error)
    assert "Check that the endpoint" in str(error)


def test_redirect_is_refused_and_names_its_origin_only() -> None:
    """A redirect is told with where it leads, without the token that its query may carry."""
    error = _error(Answer(302, {"location": "https://sso.example/login?token=t0k"}, b""))

    assert "https://sso.example" in str(error)
    assert "t0k" not in str(error)


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "RUNDIAL_API_KEY"), (403, "scope"), (404, "Check the id"), (503, "log")]
)
def test_error_without_a_hint_gets_our_advice(status: int, advice: str) -> None:
    """Each kind of refusal says what to do next."""
    told = json.dumps({"error": {"code": "X", "message": "said"}}).encode()

    for body in (told, b"<html>proxy</html>"):
        error = _error(Answer(status, {}, body))
        assert advice in str(error)
        assert error.status_code == status


def test_servers_words_stay_on_one_short_line() -> None:
    """A server's long or multi-line message cannot flood or fake a terminal's lines."""
    told = {"error": {"code": "X", "message": "one\ntwo " + "x" * 5000}}
    error = _error(Answer(400, {}, json.dumps(told).encode()))

    assert "\n" not in str(error)
    assert len(str(error)) < 500


@given(
    st.integers(100, 599),
    st.binary(max_size=60)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["error", "code", "details", "hint"]), inner)
        ),
    ).map(lambda found: json.dumps(found).encode()),
)
def test_any_answer_is_an_object_or_a_request_error(status: int, body: bytes) -> None:
    """Whatever comes back, a caller meets a dict or a RundialRequestError and nothing else."""
    answer = Answer(status, {}, body)
    try:
        found = interpret(answer, what="asking", endpoint=URL)
    except RundialRequestError as error:
        found, told = {}, error.status_code
    else:
        told = status if 200 <= status < 300 else None

    assert isinstance(found, dict)
    assert told == status


def test_a_hint_of_headers_is_told_as_an_argument() -> None:
    """Who calls `init` has a key to give, and no header to send."""
    details = {"hint": "send `authorization: Bearer rdk_…`, or log in"}
    told = {"error": {"code": "UNAUTHORIZED", "message": "no key", "details": details}}
    error = str(_error(Answer(401, {}, json.dumps(told).encode())))

    assert "api_key= or RUNDIAL_API_KEY" in error
    assert "Bearer" not in error
