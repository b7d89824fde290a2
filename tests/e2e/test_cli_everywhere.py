"""Commands wherever they may be run: pipe, terminal, wrong key, no server or an old one, Ctrl-C."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import click
import pytest

from rundial.cli.main import main
from tests.support.account import STEPS, Account
from tests.support.interrupted import interrupted
from tests.support.terminal import Terminal

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

FILE = "model.bin"
PLACE = ("--workspace", "default-workspace", "--project", "digits")
# By the command's path: what it takes besides; RUN stands for the run's id.
COMMANDS: dict[str, tuple[str, ...]] = {
    "auth whoami": (),
    "auth login": ("--non-interactive",),
    "auth key create": PLACE,
    "auth key list": PLACE,
    "auth key revoke": ("--key-id", "nope", *PLACE),
    "auth agent create": (*PLACE[:2], "--name", "bot"),
    "auth agent list": PLACE[:2],
    "auth agent revoke": (*PLACE[:2], "--agent", "agt_nope"),
    "auth agent key create": (*PLACE, "--agent", "agt_nope"),
    "auth agent key list": (*PLACE[:2], "--agent", "agt_nope"),
    "auth audit list": PLACE[:2],
    "target ls": (),
    "target use": PLACE,
    "workspace ls": (),
    "workspace create": ("team",),
    "project ls": PLACE[:2],
    "run list": PLACE,
    "run start": PLACE,
    "run status": ("RUN", *PLACE),
    "run finish": ("RUN", *PLACE),
    "run stop": ("RUN", *PLACE),
    "run watch": ("RUN", *PLACE),
    "run compare": ("RUN", "RUN", *PLACE),
    "run tag": ("RUN", *PLACE),
    "run delete": ("RUN", "--yes", *PLACE),
    "metrics tail": ("RUN", *PLACE),
    "metrics plot": ("RUN", *PLACE),
    "metrics export": ("RUN", "--out", "m.json", *PLACE),
    "logs tail": ("RUN", *PLACE),
    "logs export": ("RUN", "--out", "l.json", *PLACE),
    "traces tail": ("RUN", *PLACE),
    "traces show": ("RUN", "--tree", *PLACE),
    "traces export": ("RUN", *PLACE),
    "artifact ls": PLACE,
    "artifact show": ("model", *PLACE),
    "artifact use": ("model", "--run", "RUN", *PLACE),
    "artifact rm": ("model", *PLACE),
    "artifact gc": ("--dry-run", *PLACE),
    "artifact verify": ("model", *PLACE),
    "artifact put": (FILE, *PLACE),
    "artifact get": ("model", *PLACE),
    "evals ls": PLACE,
    "evals show": ("main", *PLACE),
    "evals diff": ("main", "branch", *PLACE),
    "server user add": ("ada@example.org", *PLACE[:2]),
    "server user ls": PLACE[:2],
    "server user remove": ("ada@example.org", *PLACE[:2]),
    "server user password": ("ada@example.org", *PLACE[:2]),
    "server key create": PLACE,
    "doctor-capabilities": (),
    "import csv": (FILE, *PLACE),
    "import mlflow": (FILE, *PLACE),
    "import tensorboard": (FILE, *PLACE),
    "import wandb": (FILE, *PLACE),
    "init": ("--non-interactive", *PLACE),
}
# These ask nothing of a server, keep it as it is, or have tests of their own.
ELSEWHERE = {
    *(
        "auth logout",
        "config show",
        "config set",
        "config unset",
        "completion",
        "demo",
        "doctor",
        "redact",
        "sync",
    ),
    *("profile ls", "profile create", "profile use", "profile delete"),
    # On the data of a server of this machine.
    *("server backup", "server copy"),
}
# Those that change nothing, so that they can be run at will.
READING = [
    name
    for name in COMMANDS
    if name.split()[-1]
    in ("whoami", "list", "ls", "status", "watch", "compare", "tag", "tail", "plot", "export")
    and "agent key" not in name
    and name != "traces export"  # its requests are the output
]


def _args(name: str, account: Account) -> list[str]:
    return [*name.split(), *(account.run_id if word == "RUN" else word for word in COMMANDS[name])]


@pytest.fixture(autouse=True)
def work(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are written land in the test's own directory; what is uploaded and a password are there."""
    os.chdir(home / "work")
    Path(FILE).write_text("1")
    monkeypatch.setenv("RUNDIAL_PASSWORD", "open sesame, please")


@contextmanager
def old_server() -> Iterator[str]:
    """A server of another time: it knows none of the routes, and says so as a web server does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = b"<html><title>404 Not Found</title></html>"
            self.send_response(404)
            self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server calls them so

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads them."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def silent_server() -> Iterator[tuple[str, threading.Event]]:
    """A server that takes a request and never answers; the event is set once it has one."""
    asked, over = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.set()
            over.wait(60)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - http.server calls them so

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads them."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _is_a_failure(stderr: str) -> None:
    assert "Traceback" not in stderr
    assert "internal error" not in stderr
    assert stderr.startswith("rundial: ")
    assert len(stderr.splitlines()) == 2, stderr


def test_every_command_that_talks_to_a_server_is_in_the_list() -> None:
    """A new command is tried here, or its absence has a reason."""

    def paths(command: click.Command, path: str) -> Iterator[str]:
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                yield from paths(child, f"{path} {name}".strip())
        else:
            yield path

    assert set(paths(main, "")) == set(COMMANDS) | ELSEWHERE


@pytest.mark.parametrize("name", COMMANDS)
def test_wrong_key_exits_with_two_and_says_where_a_key_comes_from(account: Account, name: str) -> None:
    """A script can tell "log in" from "went wrong", and the key is nowhere in the output."""
    done = account.rundial(*_args(name, account), RUNDIAL_API_KEY="rdk_wrong_key_of_mine")

    assert done.status == 2, done.stderr
    _is_a_failure(done.stderr)
    assert "rdk_wrong_key_of_mine" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_no_server_is_one_line_and_the_next_step(account: Account, name: str) -> None:
    """A server that is down costs a second, not a page of traceback."""
    done = account.rundial(*_args(name, account), "--endpoint", "http://127.0.0.1:9", RUNDIAL_API_KEY="rdk_x")

    assert done.status == 1
    _is_a_failure(done.stderr)
    assert "http://127.0.0.1:9" in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_old_server_is_one_line_and_the_next_step(account: Account, name: str) -> None:
    """A server, or a proxy, that knows none of it is named as what it is."""
    with old_server() as url:
        done = account.rundial(
            *_args(name, account), "--endpoint", url, RUNDIAL_API_KEY="rdk_x", NO_PROXY="*"
        )

    assert done.status == 1
    _is_a_failure(done.stderr)
    assert "HTML" in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_interrupt_in_the_middle_ends_at_once_and_quietly(account: Account, name: str) -> None:
    """`kill -INT` while the server is asked: no traceback, exit status 1."""
    with silent_server() as (url, asked):
        done = interrupted(
            *_args(name, account),
            "--endpoint",
            url,
            middle=asked,
            environment={"RUNDIAL_API_KEY": "rdk_x", "XDG_CONFIG_HOME": str(account.config)},
        )

    assert done.status == 1
    assert done.stderr.startswith("rundial: interrupted")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", READING)
def test_json_is_one_object_with_sorted_keys(account: Account, name: str) -> None:
    """A program parses one line, and a diff of two answers shows what differs."""
    done = account.rundial(*_args(name, account), "--json")

    assert done.status == 0, done.stderr
    assert done.found["ok"] is True
    assert list(done.found) == sorted(done.found)
    assert done.stderr == ""


@pytest.mark.parametrize("name", READING)
def test_pipe_gets_plain_text_and_terminal_gets_what_fits(account: Account, name: str) -> None:
    """Colours and cut columns are for a terminal alone, and there no line is wider than it."""
    plain = account.rundial(*_args(name, account))
    assert plain.status == 0, plain.stderr
    assert "\x1b" not in plain.stdout + plain.stderr

    with Terminal(
        *_args(name, account), columns=80, environment={"XDG_CONFIG_HOME": str(account.config)}
    ) as terminal:
        assert terminal.wait() == 0
    # What is drawn over again, and the bar of an export, is not part of a line.
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.text).replace("\r\n", "\n").split("\n")
    if name not in ("auth whoami", "run status"):
        assert [line for line in lines if len(line.rstrip("\r").rpartition("\r")[2]) > 80] == []


def test_colour_is_for_a_terminal_that_wants_it(account: Account) -> None:
    """NO_COLOR and --no-color are obeyed."""
    place = {"XDG_CONFIG_HOME": str(account.config)}
    with Terminal("run", "list", environment=place) as terminal:
        assert terminal.wait() == 0
    assert "\x1b[32mcompleted" in terminal.text
    for args, more in ((("--no-color",), {}), ((), {"NO_COLOR": "1"})):
        with Terminal("run", "list", *args, environment={**place, **more}) as plain:
            assert plain.wait() == 0
        assert "\x1b[" not in plain.text


def test_run_list_on_a_terminal_has_sparklines(account: Account) -> None:
    """Which run went how is seen without another command."""
    with Terminal(
        "run", "list", columns=160, environment={"XDG_CONFIG_HOME": str(account.config)}
    ) as terminal:
        assert terminal.wait() == 0

    assert "LOSS" in terminal.text
    assert "█" in terminal.text
    assert account.run_id in terminal.text


def test_empty_results_say_what_to_try(account: Account) -> None:
    """Nothing found is not a blank line."""
    assert "rundial" in account.rundial("run", "list", "--status", "failed").stdout
    assert "rundial run status" in account.rundial("metrics", "tail", account.run_id, "--keys", "no").stdout
    assert "rundial" in account.rundial("auth", "agent", "list").stdout
    assert "rundial artifact put" in account.rundial("artifact", "ls", *PLACE).stdout
    assert "rundial target ls" in account.rundial("evals", "ls", *PLACE).stdout


def test_run_without_spans_says_what_to_try(account: Account) -> None:
    """Also an export, which prints nothing else."""
    made = account.rundial("run", "start", *PLACE, "--json").found["run"]["runId"]
    for command in ("tail", "show"):
        assert f"rundial run status {made}" in account.rundial("traces", command, made, *PLACE).stdout
    export = account.rundial("traces", "export", made, *PLACE)

    assert (export.status, export.stdout) == (0, "")
    assert "nothing was written" in export.stderr
    account.rundial("run", "finish", made, *PLACE)


def test_project_that_is_not_there_is_answered_in_commands(account: Account) -> None:
    """A shell has no routes; and a run is missing in a place, which is named."""
    done = account.rundial("run", "list", "--project", "nowhere")
    missing = account.rundial("run", "status", "run_nowhere", *PLACE)

    assert "`rundial project ls`" in done.stderr
    assert "/api/" not in done.stderr
    assert "run_nowhere of default-workspace/digits" in missing.stderr


def test_config_says_what_it_did(home: Path, account: Account) -> None:
    """Set, set already, unset, not set: four different things; a mistyped name has a next step."""
    newcomer = replace(account, config=home / "config")
    said = [
        newcomer.rundial("config", *args, RUNDIAL_ENDPOINT=account.server.url).stdout.strip()
        for args in (
            ("set", "project", "x"),
            ("set", "project", "x"),
            ("unset", "project"),
            ("unset", "project"),
        )
    ]
    wrong = newcomer.rundial("config", "set", "proiect", "x")

    assert said == [
        "project of profile default is set",
        "project of profile default is set so already; nothing was changed",
        "project of profile default is not set any more",
        "project of profile default is not set; nothing was changed",
    ]
    _is_a_failure(wrong.stderr)
    assert "Did you mean project?" in wrong.stderr


def test_run_without_a_name_is_not_called_by_its_id_twice(account: Account) -> None:
    """An id is long, and said once; its name is a dash."""
    made = account.rundial("run", "start", "--project", "unnamed", "--json").found["run"]["runId"]
    place = ("--workspace", "default-workspace", "--project", "unnamed")

    assert account.rundial("run", "status", made, *place).stdout.count(made) == 1
    assert account.rundial("run", "list", *place).stdout.count(made) == 1
    account.rundial("run", "finish", made, *place)
    account.rundial("target", "use", "--project", "digits")


def test_workspace_of_nobody_says_how_people_are_added(account: Account) -> None:
    """The owner's key is there from the first start, and no person is."""
    assert "rundial server user add" in account.rundial("server", "user", "ls", *PLACE[:2]).stdout


def test_init_without_a_server_asks_for_one_and_not_for_a_key(home: Path, account: Account) -> None:
    """Who begins with `rundial init` is told to start a server, which makes the key."""
    newcomer = replace(account, config=home / "none")
    done = newcomer.rundial("init", "--endpoint", "http://127.0.0.1:9", "--non-interactive")

    assert done.status == 1
    _is_a_failure(done.stderr)
    assert "rundial server" in done.stderr


def test_quiet_prints_nothing_and_verbose_says_where_it_went(account: Account) -> None:
    """Both mean something."""
    quiet = account.rundial("run", "list", "--quiet")
    verbose = account.rundial("run", "list", "--verbose")

    assert (quiet.status, quiet.stdout, quiet.stderr) == (0, "", "")
    assert account.server.url in verbose.stderr


def test_run_is_started_tagged_ended_and_deleted(account: Account) -> None:
    """A whole life of a run, from the shell."""
    made = account.rundial(
        "run", "start", "--project", "shell", "--name", "by hand", "--kind", "eval", "--json"
    )
    run_id = made.found["run"]["runId"]
    place = ("--project", "shell")
    tags = account.rundial("run", "tag", run_id, "a,b", "c", "--remove", "b", "--json", *place).found["run"][
        "tags"
    ]
    assert tags == ["a", "c"]
    assert account.rundial("run", "stop", run_id, *place).status == 0
    done = account.rundial(
        "run", "finish", run_id, "--state", "failed", "--reason", "no more", "--json", *place
    )
    assert done.found["run"]["status"] == "failed"
    again = account.rundial("run", "finish", run_id, "--state", "completed", *place)
    assert again.status == 1
    assert "--yes" in account.rundial("run", "delete", run_id, *place).stderr
    assert account.rundial("run", "delete", run_id, "--yes", *place).status == 0
    assert account.rundial("run", "status", run_id, *place).status == 1
    account.rundial("target", "use", "--project", "digits")


def test_run_delete_asks_in_a_terminal(account: Account) -> None:
    """A mistyped id does not cost a run."""
    place = {"XDG_CONFIG_HOME": str(account.config)}
    with Terminal("run", "delete", account.run_id, *PLACE, environment=place) as terminal:
        terminal.wait_for("for ever? [y/N]")
        terminal.send("n\n")
        assert terminal.wait() == 1

    assert account.rundial("run", "status", account.run_id, *PLACE).status == 0


def test_since_filters_runs_and_lines(account: Account) -> None:
    """`--since` means the same everywhere."""
    args = ("run", "list", *PLACE, "--json")
    runs = account.rundial(*args, "--since", "1h").found["result"]["runs"]
    assert account.run_id in {run["runId"] for run in runs}
    assert account.rundial(*args, "--since", "now").found["result"]["runs"] == []
    logs = ("logs", "tail", account.run_id, *PLACE, "--json")
    assert len(account.rundial(*logs, "--since", "1h").found["logs"]) == 2
    assert account.rundial(*logs, "--since", "now").found["logs"] == []


def test_plot_and_compare_show_the_run(account: Account) -> None:
    """Curves with their ends, and the value that differs."""
    plot = account.rundial("metrics", "plot", account.run_id, *PLACE, "--keys", "loss", "--width", "60")
    assert plot.stdout.splitlines()[0] == "loss"
    assert str(STEPS - 1) in plot.stdout.splitlines()[-1]
    same = account.rundial("run", "compare", account.run_id, account.run_id, *PLACE)
    assert "the same" in same.stdout
    assert account.rundial("run", "compare", account.run_id, *PLACE).status == 1
