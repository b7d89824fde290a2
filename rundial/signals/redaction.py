"""The one policy for secrets: what never leaves the machine in a config, command line or environment.

Three rules, and nothing else:

- a text under a secret name (`api_key`, `HF_TOKEN`, `--password`) is replaced as a whole;
- `name=value` and `"name": "value"` inside a text, under such a name, loses its value;
- what has the shape of a known secret (our keys, tokens of Hugging Face, OpenAI, GitHub, Slack, AWS and
  Google, JWTs, private keys, `Bearer …`, the user and password of a URL) is replaced wherever it stands.

Booleans and None stay, and so do numbers, but for a password's: `max_tokens=512` is no secret, and
neither are `tokenizer` and `pad_token`. Everything below a secret name is secret. The replacement is
`[redacted]`. A secret that has neither a telling name nor a known shape is not found; nothing can
find it.

Pure, never raises, idempotent, and linear in the text's length. It runs on the thread that hands a value
over, so of one value `MAX_CHARS` characters and `MAX_NAMES` places where a name may stand are looked at:
what is not looked through does not leave, and `UNREAD` stands in its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import islice

from rundial.typed import Any

MAX_PASSES = 16
REDACTED = "[redacted]"
MAX_DEPTH = 64
MAX_CHARS = 8 << 20
MAX_NAMES = 50_000
UNREAD = "…[too long to look through for secrets]"

# Words that make a name secret; what before "token" makes that harmless, what before "key" makes it secret.
_SECRET_WORDS = frozenset((
    "secret", "secrets", "password", "passwd", "passphrase", "pwd", "credential", "credentials", "cookie",
    "authorization", "bearer", "jwt", "apikey", "apitoken", "authtoken", "accesskey", "secretkey",
    "privatekey", "dsn",
))  # fmt: skip  # a list of words
_TOKEN_KINDS = frozenset((
    "pad", "eos", "bos", "unk", "mask", "sep", "cls", "stop", "start", "end", "special", "image", "audio",
    "video", "boi", "eoi", "think", "tool", "prompt", "decoder", "forced", "max", "min", "num", "placeholder",
))  # fmt: skip  # a list of words
_KEY_KINDS = frozenset((
    "api", "access", "secret", "private", "auth", "account", "encryption", "signing", "service", "storage",
    "license", "ssh", "rsa", "deploy", "master", "admin", "client", "app", "subscription", "hmac", "write",
    "ingest", "shared",
))  # fmt: skip  # a list of words
# Whatever name is secret has one of these in it, in letters of any case; most long texts have none.
_STEMS = (
    "secret", "pass", "pwd", "credential", "cookie", "authorization", "bearer", "jwt", "key", "token", "dsn",
    "hf",
)  # fmt: skip  # a list of words
# Patterns are compiled when they are first needed (`re` keeps them): most configs need one of them, and
# all together would cost the start of a run 10 ms.
_WORDS = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+"
_SHOUTED = r"[A-Z][A-Z0-9_]*\Z"

# A cheap look for what every shape below holds; most texts have none of it.
_MARKS = (
    "rdk_", "hf_", "sk-", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",
    "xox", "AIza", "eyJ", "PRIVATE KEY", "://",
)  # fmt: skip  # a list of words
# Long, or with a digit: "basic operations" are words.
_BEARER = r"(?i:\b((?:bearer|basic)\s{1,4})(?:(?=\S{0,256}\d)[A-Za-z0-9._~+/=-]{8,}|[A-Za-z0-9._~+/=-]{20,}))"
# Behind no letter or digit: "task-classification" has no key in it.
_SHAPES = (
    r"(?<![A-Za-z0-9])(?:"
    r"rdk_[A-Za-z0-9_-]{8,}"
    r"|hf_[A-Za-z0-9]{16,}"
    r"|sk-(?=\S{0,256}\d)[A-Za-z0-9_-]{16,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{16,}"
    r"|github_pat_[A-Za-z0-9_]{16,}"
    r"|glpat-[A-Za-z0-9_-]{16,}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{8,}"
    r"|AIza[A-Za-z0-9_-]{30,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"
    r"|-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?"
    r")"
)
# The part of a URL before "@"; it may hold anything but what ends it.
_USERINFO = r"(?<=://)(?!\[redacted\]@)[^\s/?#@'\"<>]+(?:@[^\s/?#@'\"<>]+)*(?=@)"
# What a name is followed by; before it, a quote and a few spaces.
_SIGN = r"[:=]\s{0,4}"
_MAX_SPACES = 4
_REVERSED_NAME = r"[A-Za-z0-9_.-]{1,64}"
_NO_LETTERS = "0123456789_.-"
_REACH = 64 + 1 + _MAX_SPACES
_VALUE = r"\"[^\"\n]*\"?|'[^'\n]*'?|(?:(?i:bearer|basic|token)[ \t]{1,4})?[^\s,;&\"'{}\[\]()]+"
_FLAG = r"--?(?P<name>[A-Za-z][A-Za-z0-9_.-]*)\Z"
_HARMLESS = frozenset(("true", "false", "none", "null", "yes", "no"))


def redact(value: Any, name: str = "") -> Any:
    """Return a value with its secrets replaced; mappings and sequences become plain dicts and lists.

    Args:
        value: Nested mappings, sequences and scalars, as `rundial.signals.attributes.as_body` makes them.
        name: What the value is called, when its name counts.
    """
    return _redact(value, name, 0, _Room())


def redact_text(text: str) -> str:
    """Return a text without assignments of secrets and without known shapes."""
    return _looked_through(text, _Room())


def redact_shapes(text: str) -> str:
    """Return a text without what has the shape of a known secret; cheap where there is none."""
    return _until_clean(_redact_shapes_once, text)


class _Room:
    """How much of a value is still looked at."""

    __slots__ = ("chars", "names")

    def __init__(self) -> None:
        self.chars, self.names = MAX_CHARS, MAX_NAMES


def _looked_through(text: str, room: _Room) -> str:
    if text == UNREAD:
        return text
    if len(text) > room.chars:
        text = text[: max(0, room.chars - len(UNREAD))] + UNREAD
    room.chars = max(0, room.chars - len(text))
    places = text.count("=") + text.count(":")
    if places and _may_name_secrets(text):
        if places > room.names:
            beyond = next(islice(re.finditer("[=:]", text), room.names, None))
            text = text[: beyond.start()] + UNREAD
        room.names = max(0, room.names - places)
    return _until_clean(_redact_text_once, text)


def _may_name_secrets(text: str) -> bool:
    lowered = text.lower()
    return any(stem in lowered for stem in _STEMS)


def _until_clean(redact_once: Callable[[str], str], text: str) -> str:
    """Redact until there is nothing left: what one secret's place leaves may show another one's shape."""
    for _ in range(MAX_PASSES):
        clean = redact_once(text)
        if clean == text:
            return clean
        text = clean
    # A text that is still not clean was made to be so.
    return REDACTED


def _redact_text_once(text: str) -> str:
    if ("=" in text or ":" in text) and _may_name_secrets(text):
        text = _without_assigned(text)
    return _redact_shapes_once(text)


def _redact_shapes_once(text: str) -> str:
    if any(mark in text for mark in _MARKS):
        text = re.sub(_USERINFO, REDACTED, re.sub(_SHAPES, REDACTED, text))
    lowered = text.lower()
    if "bearer" in lowered or "basic" in lowered:
        text = re.sub(_BEARER, rf"\1{REDACTED}", text)
    return text


def redact_argv(argv: Sequence[str]) -> list[str]:
    """Return a command line without secrets: `--api-key=…`, `--api-key …`, `KEY=…` and known shapes."""
    out: list[str] = []
    is_secret = False
    for argument in argv:
        if is_secret and not argument.startswith("--"):
            out.append(_replaced(argument))
            is_secret = False
            continue
        flag = re.match(_FLAG, argument)
        is_secret = flag is not None and is_secret_name(flag["name"])
        out.append(redact_text(argument))
    return out


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether what goes by this name is a secret, when it is a text.

    A variable of the environment (all capitals) is one when it ends in `_TOKEN`, `_KEY` and the like or
    begins with `HF_`; other names say by their words what they are.
    """
    words = _words(name)
    if not words:
        return False
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if re.match(_SHOUTED, name) and (words[0] == "hf" or last in ("key", "token", "keys", "tokens")):
        return True
    if last == "pass" or not _SECRET_WORDS.isdisjoint(words):
        return True
    if last == "token":
        return before not in _TOKEN_KINDS
    return last in ("key", "keys", "tokens") and before in _KEY_KINDS


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(_WORDS, name)]


def _is_password(name: str) -> bool:
    """Whether even a number by this name is secret; "password_length" is none."""
    words = _words(name)
    return bool(words) and words[-1] in _SECRET_WORDS


def _redact(value: Any, name: str, depth: int, room: _Room) -> Any:
    if isinstance(value, str):
        return _replaced(value) if is_secret_name(name) else _looked_through(value, room)
    if isinstance(value, bytes):
        return REDACTED.encode() if is_secret_name(name) else value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return REDACTED if _is_password(name) else value
    if depth >= MAX_DEPTH:
        # Deeper than anything of ours; what is not looked at does not leave.
        return REDACTED if isinstance(value, (Mapping, list, tuple)) else value
    if isinstance(value, Mapping):
        is_secret = is_secret_name(name)
        return {
            key: _redact(item, name if is_secret else str(key), depth + 1, room)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_redact(item, name, depth + 1, room) for item in value]
    return value


def _replaced(value: str) -> str:
    """A secret's replacement; an empty value stays, for it says that there was none."""
    return REDACTED if value.strip() else value


def _without_assigned(text: str) -> str:
    out: list[str] = []
    at = 0
    value_at = re.compile(_VALUE).match
    for sign in re.finditer(_SIGN, text):
        start, name = _name_before(text, sign.start())
        if start < at or not is_secret_name(name):
            continue
        found = value_at(text, sign.end())
        bare = found[0].strip("\"'") if found else ""
        if found is None or not bare or bare == REDACTED or bare.lower() in _HARMLESS:
            continue
        quote = found[0][0] if found[0][0] in "\"'" else ""
        out += (text[at : sign.end()], quote, REDACTED, quote)
        at = found.end()
    return "".join(out) + text[at:]


def _name_before(text: str, end: int) -> tuple[int, str]:
    """Return the name that a sign stands behind, and where it begins; "" for none.

    Looked for from the sign on backwards: from each letter on forwards, a run of letters without one, such as
    8 MB of base64, takes minutes.
    """
    before = text[max(0, end - _REACH) : end]
    bare = before.rstrip()
    if len(before) - len(bare) > _MAX_SPACES:
        return end, ""
    bare = bare[:-1] if bare.endswith(("'", '"')) else bare
    run = re.match(_REVERSED_NAME, bare[::-1])
    name = run[0][::-1].lstrip(_NO_LETTERS) if run else ""
    return end - len(before) + len(bare) - len(name), name
