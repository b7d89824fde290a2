"""What a failed command says and how it exits.

One line that says what happened, one that says what to do next, both on stderr; with `--json` one
object. Exit status 1 for everything, 2 for authentication and authorization alone. A traceback is
printed only with `--debug`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import click

from rundial.errors import ConfigError, RundialError, RundialRequestError

FAILED = 1
UNAUTHORIZED = 2
_LOG_IN = (
    "Set RUNDIAL_API_KEY to a key of this server, or name a --profile that holds one; "
    "an owner's key is in owner.key in the server's data directory"
)

_KEY_OPTIONS = ("--api-key", "--apikey", "--api_key", "--key", "--token")
_KEYS = "Keys are read from RUNDIAL_API_KEY, or kept by `rundial auth login`"


class CommandError(Exception):
    """A command cannot do what it was asked.

    Attributes:
        message: What happened, on one line.
        next_step: What to do about it, on one line, or None.
        exit_code: 1, or 2 for authentication and authorization.
    """

    def __init__(self, message: str, next_step: str | None = None, exit_code: int = FAILED) -> None:
        super().__init__(message, next_step, exit_code)
        self.message = message
        self.next_step = next_step
        self.exit_code = exit_code

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception in the words of the command line."""

    message: str
    next_step: str | None
    exit_code: int


def describe(error: BaseException) -> Failure:
    """Return what to print for an exception, whatever it is."""
    if isinstance(error, CommandError):
        return Failure(error.message, error.next_step, error.exit_code)
    if isinstance(error, RundialRequestError):
        code = UNAUTHORIZED if error.status_code in (401, 403) else FAILED
        message, next_step = _advised(str(error))
        if error.status_code == 401:
            next_step = _LOG_IN  # a server's hint speaks of headers; here it is a variable or a profile
        return Failure(message, next_step, code)
    if isinstance(error, click.UsageError):
        return _usage(error)
    if isinstance(error, click.ClickException):
        return Failure(_line(error.format_message()), None, FAILED)
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return Failure("interrupted", None, FAILED)
    if isinstance(error, ConfigError):
        return Failure(_line(str(error)), None, FAILED)
    if isinstance(error, (RundialError, OSError)):
        return Failure(_line(str(error) or type(error).__name__), None, FAILED)
    name = type(error).__name__
    return Failure(
        _line(f"internal error: {name}: {error}"),
        "Run the same command with --debug for the traceback, and report it",
        FAILED,
    )


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """Return the known word that is closest to a wrong one, or None when none is close."""
    import difflib  # only a mistake pays for it

    close = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.5)
    return close[0] if close else None


def _usage(error: click.UsageError) -> Failure:
    program = error.ctx.command_path if error.ctx is not None else "rundial"
    if isinstance(error, click.NoSuchOption):
        known = _options(error.ctx) if error.ctx is not None else list(error.possibilities or ())
        if error.option_name in _KEY_OPTIONS:
            # Others can read a command line.
            return Failure(f"no option {error.option_name} in `{program}`", _KEYS, FAILED)
        close = nearest(error.option_name, known)
        hint = f"Did you mean {close}? " if close else ""
        return Failure(
            f"no option {error.option_name} in `{program}`", f"{hint}See: {program} --help", FAILED
        )
    return Failure(_line(error.format_message()), f"See: {program} --help", FAILED)


def _options(ctx: click.Context) -> list[str]:
    return [
        name
        for param in ctx.command.get_params(ctx)
        for name in (*param.opts, *param.secondary_opts)
        if name.startswith("-")
    ]


def _advised(text: str) -> tuple[str, str | None]:
    """Split a message from the advice that is its last sentence."""
    message, dot, advice = _line(text).rpartition(". ")
    return (message, advice) if dot else (advice, None)


def _line(text: str) -> str:
    return " ".join(text.split())
