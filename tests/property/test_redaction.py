"""Invariants of the policy for secrets, whatever it is given."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rundial.signals.redaction import REDACTED, redact, redact_argv, redact_shapes, redact_text

WORDS = st.sampled_from(
    ["api_key", "token", "password", "=", ":", " ", "--", '"', "'", "://", "@", "Bearer ", "basic ", "sk-",
     "hf_", "\n", "AKIA", "eyJ", ".", "{", "}", "[redacted]", "-----BEGIN PRIVATE KEY-----", "x", "1",
     "é", "&", "/", "\\", "[", "]"]
)  # fmt: skip  # a list of pieces
TEXTS = st.lists(WORDS | st.text(max_size=5), max_size=30).map("".join)
ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
SECRETS = st.builds(
    lambda prefix, body: prefix + body + "1",
    st.sampled_from(["rdk_", "hf_", "sk-", "ghp_", "glpat-", "github_pat_"]),
    st.text(ALNUM, min_size=34, max_size=40),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(TEXTS)
def test_redacting_twice_is_redacting_once(text: str) -> None:
    """A text that has passed the policy passes it unchanged, and never grows by more than its marks."""
    for clean in (redact_text, redact_shapes):
        once = clean(text)
        assert clean(once) == once
        assert len(once) <= len(text) + len(REDACTED) * (len(text) // 2 + 1)


@given(VALUES)
def test_values_keep_their_shape(value: Any) -> None:
    """Whatever a config holds, its redaction has the same keys and lengths, and redacts no further."""
    once = redact(value)

    assert redact(once) == once
    assert _shape(once) == _shape(value)


@given(TEXTS, SECRETS, TEXTS)
def test_known_secret_never_survives(before: str, secret: str, after: str) -> None:
    """A key with a known shape, apart from its neighbours, is gone from a text."""
    assert secret not in redact_text(f"{before} {secret} {after}")
    assert secret not in redact_shapes(f"{before} {secret} {after}")


@given(st.text(ALNUM, min_size=12, max_size=30), TEXTS)
def test_value_of_a_secret_flag_never_survives(secret: str, other: str) -> None:
    """What follows a secret flag, or stands behind its `=`, is gone from a command line."""
    argv = [other, "--api-key", secret, f"--password={secret}", f"HF_TOKEN={secret}"]

    assert not any(secret in word for word in redact_argv(argv)[1:])
    assert len(redact_argv(argv)) == len(argv)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return None
