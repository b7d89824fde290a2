"""The policy for secrets: what goes, and what stays."""

from __future__ import annotations

import pytest

from rundial.signals.redaction import (
    MAX_CHARS,
    MAX_NAMES,
    REDACTED,
    UNREAD,
    is_secret_name,
    redact,
    redact_argv,
    redact_shapes,
    redact_text,
)

SECRETS = [
    "rdk_ab12cd34_0123456789abcdef", "hf_" + "aB3d" * 9, "sk-proj-" + "a1B2" * 6, "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2" * 9, "github_pat_" + "a1B2" * 9, "glpat-" + "a1B2" * 5, "xoxb-123456789012-abcdef",
    "AIza" + "a1B2" * 9, "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
]  # fmt: skip  # one line a secret would be a page


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "using {} now", "({})", '"{}"', "x={}", "https://host/?q={}&n=1"])
def test_known_shape_is_replaced_wherever_it_stands(secret: str, around: str) -> None:
    """A key that is known by its shape goes, whatever stands around it."""
    for clean in (redact_text, redact_shapes):
        assert secret not in clean(around.format(secret))
        assert clean(around.format(secret)) == around.format(REDACTED)


@pytest.mark.parametrize(
    "name",
    [
        "api_key", "apiKey", "X-API-Key", "HF_TOKEN", "HF_ANYTHING", "WANDB_API_KEY", "MY_KEY", "token",
        "auth_token",
        "password", "db.password", "DB_PASS", "client_secret", "AWS_SECRET_ACCESS_KEY", "private_key",
        "credentials", "Authorization", "access_tokens",
    ],
)  # fmt: skip  # a list of names
def test_secret_name_is_known(name: str) -> None:
    """What is called a key, a token or a password is one."""
    assert is_secret_name(name)
    assert redact({name: "value"}) == {name: REDACTED}
    assert redact_text(f"{name}=value") == f"{name}={REDACTED}"
    assert redact_argv([f"--{name}", "value", "next"]) == [f"--{name}", REDACTED, "next"]


@pytest.mark.parametrize(
    "name",
    [
        "max_tokens", "num_tokens", "tokenizer", "pad_token", "eos_token", "token_type", "key", "sort_key",
        "keys",
        "metric_key", "monkey", "compass", "author", "lr", "", "_", "passenger",
    ],
)  # fmt: skip  # a list of names
def test_harmless_name_stays(name: str) -> None:
    """What training configs are full of is no secret."""
    assert not is_secret_name(name)
    assert redact({name: "value"}) == {name: "value"}


def test_structure_is_kept_and_everything_below_a_secret_name_goes() -> None:
    """A config keeps its shape, its numbers and its types; what lies under `credentials` is gone."""
    config = {
        "lr": 0.1,
        "tokens": 512,
        "use_token": True,
        "password": 1234,
        "api_key": None,
        "empty": {"secret": ""},
        "layers": [1, "https://user:pw@host/data", {"token": "x"}],
        "credentials": {"user": "me", "more": ["a", 5, True]},
        "raw": b"bytes",
    }

    assert redact(config) == {
        "lr": 0.1,
        "tokens": 512,
        "use_token": True,
        "password": REDACTED,
        "api_key": None,
        "empty": {"secret": ""},
        "layers": [1, f"https://{REDACTED}@host/data", {"token": REDACTED}],
        "credentials": {"user": REDACTED, "more": [REDACTED, REDACTED, True]},
        "raw": b"bytes",
    }


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("https://me:pw@host/x", f"https://{REDACTED}@host/x"),
        ("postgresql://a:b@c@host/db", f"postgresql://{REDACTED}@host/db"),
        ("git@github.com:team/repo", "git@github.com:team/repo"),
        ("Authorization: Bearer abcdefgh12345678", f"Authorization: {REDACTED}"),
        ("note: token=abc", f"note: token={REDACTED}"),
        ("https://host/x?token=abc", f"https://host/x?token={REDACTED}"),
        ("sent Bearer abcdefgh12345678 to it", f"sent Bearer {REDACTED} to it"),
        ("basic operations", "basic operations"),
        ("task-classification-with-a-long-name-3", "task-classification-with-a-long-name-3"),
        ("?x=1&api_key=abc&y=2", f"?x=1&api_key={REDACTED}&y=2"),
        ("{'password': 'two words', 'n': 1}", f"{{'password': '{REDACTED}', 'n': 1}}"),
        ('+API_KEY = "abc"\n-x = 1', f'+API_KEY = "{REDACTED}"\n-x = 1'),
        ("use_token=true, retries: 3", "use_token=true, retries: 3"),
    ],
)
def test_secret_inside_a_text_goes_and_the_text_stays(text: str, clean: str) -> None:
    """Of a URL, a header, a query or a line of code only the secret is taken out."""
    assert redact_text(text) == clean


@pytest.mark.parametrize("run", ["a" * 2_000_000, "QUtJQWtleXRva2Vu" * 100_000, "a.b-" * 500_000])
def test_a_long_run_of_letters_costs_its_length(run: str) -> None:
    """An image as base64 in a tool's answer holds up nobody: to look from each letter on took a minute."""
    assert redact_text(f"{run} token=abc") == f"{run} token={REDACTED}"


def test_what_is_too_long_to_look_through_does_not_leave() -> None:
    """The beginning does, with a mark for the rest; a text with no name of a secret is looked at whole."""
    many = "key: 1\n" * (MAX_NAMES + 10) + "token=abc"
    long = "x " * (MAX_CHARS // 2) + "token=abc"
    plain = "n: 1\n" * (MAX_NAMES + 10)

    for text in (many, long):
        clean = redact_text(text)
        assert clean.endswith(UNREAD)
        assert text.startswith(clean.removesuffix(UNREAD))
        assert len(clean) > min(len(text), MAX_CHARS) * 0.9
        assert redact_text(clean) == clean
    assert redact_text(plain) == plain


def test_the_bound_is_of_the_whole_value() -> None:
    """Many long texts in one value are no way around it."""
    clean = redact(["key: 1\n" * (MAX_NAMES - 1), {"note": "key: 1\nkey: 2\ntoken=abc", "n": "no name"}])

    assert clean[1] == {"note": f"key: 1\nkey{UNREAD}", "n": "no name"}


def test_command_line_loses_secrets_in_every_spelling() -> None:
    """A secret is found after its flag, behind `=`, in a variable and by its shape."""
    argv = [
        "train.py",
        "--api-key=abc",
        "--api-key",
        "abc",
        "-password",
        "abc",
        "HF_TOKEN=abc",
        "--use-token",
        "--lr",
    ]

    assert redact_argv(argv) == [
        "train.py",
        f"--api-key={REDACTED}",
        "--api-key",
        REDACTED,
        "-password",
        REDACTED,
        f"HF_TOKEN={REDACTED}",
        "--use-token",
        "--lr",
    ]
