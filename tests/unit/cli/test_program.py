"""The command line's shape: options anywhere, exit statuses, messages."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner, Result

from rundial.cli.failure import CommandError
from rundial.cli.main import main
from rundial.cli.options import Command, flags_of
from rundial.cli.target import output_of
from rundial.errors import ConfigError, RundialRequestError

FAILURES = {
    "unauthenticated": RundialRequestError("whoami failed. Set RUNDIAL_API_KEY", 401),
    "unauthorized": RundialRequestError("listing failed. Ask an owner", 403),
    "missing": RundialRequestError("reading failed. Check the id", 404),
    "config": ConfigError("config.toml is broken"),
    "os": OSError(28, "No space left on device"),
    "bug": ZeroDivisionError("division by zero"),
    "interrupt": KeyboardInterrupt(),
    "usage": click.UsageError("that does not fit"),
    "command": CommandError("there are none", "Make one"),
}


@pytest.fixture
def probe() -> Iterator[None]:
    """A command `probe` that prints its flags, or fails in the way that it is told."""

    @click.command("probe", cls=Command)
    @click.option("--fail", type=click.Choice(list(FAILURES)))
    @click.pass_context
    def command(ctx: click.Context, fail: str | None) -> None:
        if fail:
            raise FAILURES[fail]
        flags = flags_of(ctx)
        output_of(ctx).result({"endpoint": flags.endpoint}, lambda: [f"endpoint {flags.endpoint}"])

    main.add_command(command)
    yield
    del main.commands["probe"]


def _run(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


@pytest.mark.parametrize(
    "args",
    [
        ["--json", "--endpoint", "http://a", "probe"],
        ["probe", "--json", "--endpoint", "http://a"],
        ["--json", "probe", "--endpoint", "http://a"],
        ["probe", "--format", "json", "--endpoint=http://a"],
    ],
)
@pytest.mark.usefixtures("probe")
def test_global_options_work_before_and_after_the_command(args: list[str]) -> None:
    """Where an option stands does not matter."""
    result = _run(*args)

    assert result.stdout == '{"endpoint": "http://a", "ok": true}\n'
    assert result.exit_code == 0


@pytest.mark.usefixtures("probe")
def test_option_after_the_command_wins() -> None:
    """Of two values of one option, the later one counts."""
    result = _run("--endpoint", "http://a", "probe", "--endpoint", "http://b")

    assert result.stdout == "endpoint http://b\n"


@pytest.mark.usefixtures("probe")
def test_flags_do_not_leak_into_the_next_invocation() -> None:
    """`--json` once is not `--json` for ever."""
    _run("--json", "probe")

    assert _run("probe").stdout == "endpoint None\n"


@pytest.mark.parametrize(
    ("kind", "status"),
    [(kind, 2 if kind.startswith("unauth") else 1) for kind in FAILURES],
)
@pytest.mark.usefixtures("probe")
def test_failures_exit_with_one_and_authentication_with_two(kind: str, status: int) -> None:
    """A script can tell "log in first" from everything else by the exit status."""
    result = _run("probe", "--fail", kind)

    assert result.exit_code == status
    assert result.stdout == ""
    assert result.stderr.startswith("rundial: ")
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) <= 2


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.usefixtures("probe")
def test_failures_as_json_are_one_object_on_one_line(kind: str) -> None:
    """A program that reads our errors parses one line."""
    result = _run("probe", "--fail", kind, "--json")

    (line,) = result.stderr.splitlines()
    told = json.loads(line)
    assert told["ok"] is False
    assert told["error"]["exitCode"] == result.exit_code
    assert told["error"]["message"]


@pytest.mark.usefixtures("probe")
def test_traceback_is_printed_with_debug_only() -> None:
    """Who looks for a bug gets the traceback by asking for it."""
    result = _run("probe", "--fail", "bug", "--debug")

    assert "ZeroDivisionError: division by zero" in result.stderr
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["rum"], ["no command 'rum'", "rundial run"]),
        (["run", "lst"], ["no command 'lst'", "rundial run list"]),
        (["run", "list", "--projekt", "x"], ["no option --projekt", "--project"]),
        (["--api-key", "x", "run", "list"], ["no option --api-key", "RUNDIAL_API_KEY", "rundial auth login"]),
        (["run", "list", "--jsom"], ["no option --jsom", "--json"]),
        (["--endpont", "x"], ["no option --endpont", "--endpoint"]),
        (["run"], ["list, ", "status, "]),
    ],
)
def test_mistakes_are_answered_with_the_nearest_known_word(args: list[str], words: list[str]) -> None:
    """A typo costs one look, not a search in the manual."""
    result = _run(*args)

    assert result.exit_code == 1
    assert [word for word in words if word not in result.stderr] == []


@pytest.mark.parametrize(
    "args",
    [
        ["run", "list", "--limit", "-1"],
        ["run", "status"],
        ["run", "status", "a", "b"],
        ["run", "list", "--status", "odd"],
    ],
)
def test_usage_errors_exit_with_one(args: list[str]) -> None:
    """Exit status 2 is kept for authentication; click's own use of it is not ours."""
    assert _run(*args).exit_code == 1


def test_usage_error_is_json_where_json_is_asked_for() -> None:
    """Even arguments that cannot be parsed are refused in the form that was asked for."""
    told = json.loads(_run("run", "lst", "--json").stderr)

    assert told["error"]["exitCode"] == 1


def test_bare_program_prints_its_help() -> None:
    """`rundial` alone shows what there is."""
    result = _run()

    assert result.exit_code == 0
    assert "Commands:" in result.stdout


@pytest.mark.parametrize("args", [["--version"], ["run", "list", "--version"]])
def test_version_is_printed_anywhere(args: list[str]) -> None:
    """The version is one option away from wherever one is."""
    result = _run(*args)

    assert result.exit_code == 0
    assert result.stdout.startswith("rundial ")


def test_unknown_profile_is_an_error_that_names_the_file() -> None:
    """`--profile` with a name that is not there says where it looked."""
    result = _run("run", "list", "--profile", "nope")

    assert result.exit_code == 1
    assert "config.toml" in result.stderr


def test_help_of_commands_that_are_imported_late_is_their_own() -> None:
    """What a group's help says of a command is what the command says of itself."""
    from rundial.cli.lazily import WHOLE, LazyCommands

    groups = [each for each in (main, *main.commands.values()) if isinstance(each, click.Group)]
    lazy = [each.commands for each in groups if isinstance(each.commands, LazyCommands)]
    told = {name: text for commands in lazy for name, text in commands.lines()}
    own = {name: commands[name].get_short_help_str(WHOLE) for commands in lazy for name in commands}

    assert len(lazy) >= 4
    assert told == own


def test_help_of_the_program_imports_no_command() -> None:
    """Who looks for a command pays for none of them."""
    script = (
        "import sys\nfrom rundial.cli.main import main\nmain(['--help'], standalone_mode=False)\n"
        "found = {name for name in sys.modules if name.startswith('rundial.')}\n"
        "assert not found & {'rundial.cli.run', 'rundial.cli.server', 'rundial.api.client'}, found\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "workspace" in done.stdout
