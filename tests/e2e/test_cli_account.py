"""Profiles, config, login and targets: what commands keep, where, and what they leave alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.program import ServerProgram
from tests.support.shell import rundial

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PASSWORD = "open sesame, please"
# A machine with a keyring service can't be had here: a real back end of the package, over a file.
KEYRING = {"PYTHON_KEYRING_BACKEND": "tests.support.filekeyring.FileKeyring"}


@pytest.fixture
def folder(home: Path) -> Path:
    """Where the account's files are."""
    return home / ".config" / "rundial"


@pytest.fixture
def stranger(tmp_path: Path) -> dict[str, str]:
    """Variables of another account on the machine, which no server has stored a key for."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "stranger")}


def test_profiles_are_made_chosen_and_removed() -> None:
    """Each server has its name, and one of them counts."""
    made = rundial("profile", "create", "work", "--endpoint", "HTTP://Tracker.Example.org:80/", "--json")
    rundial("profile", "create", "lab", "--endpoint", "http://lab:8787", "--no-activate")
    assert made.found == {"activeProfile": "work", "ok": True, "profile": "work"}
    assert rundial("profile", "use", "lab", "--json").status == 0
    rundial("profile", "delete", "work")

    found = rundial("profile", "ls", "--json").found
    assert (found["activeProfile"], list(found["profiles"])) == ("lab", ["lab"])
    assert found["profiles"]["lab"]["endpoint"] == "http://lab:8787"


def test_profile_that_was_the_active_one_leaves_none_and_says_so() -> None:
    """Later commands would ask another server than a person thinks."""
    for name in ("lab", "work"):
        rundial("profile", "create", name, "--endpoint", f"http://{name}:8787")
    done = rundial("profile", "delete", "work")

    assert done.status == 0
    assert "no profile is active now; choose one: rundial profile use lab" in done.stdout
    assert rundial("profile", "ls", "--json").found["activeProfile"] is None


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("profile", "use", "nope"), "no profile 'nope'"),
        (("profile", "delete", "nope"), "no profile 'nope'"),
        (("profile", "create", "no good"), "no name of a profile"),
        (("profile", "create", "a", "--endpoint", "ftp://x"), "not an http:// or https:// address"),
        (("config", "set", "api_key", "x"), "no place in config.toml"),
        (("config", "set", "colour", "x"), "no setting 'colour'"),
        (("config", "set", "ring_bytes", "3"), "the least is"),
        (("config", "unset", "workspace"), "no profile to change"),
    ],
)
def test_mistakes_change_nothing_and_are_named(args: tuple[str, ...], words: str, folder: Path) -> None:
    """No traceback, no file."""
    done = rundial(*args)

    assert done.status == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "config.toml").exists()


def test_config_keeps_comments_and_order_and_is_written_only_on_a_change(folder: Path) -> None:
    """A file that a person has written stays theirs."""
    folder.mkdir(parents=True)
    path = folder / "config.toml"
    text = (
        "# my servers\nversion = 2\nactive_profile = 'lab'\n\n[profiles.lab] # the big one\n"
        'workspace = "w"  # ours\nendpoint = "http://lab:8787"\n\n[profiles.home]\n'
    )
    path.write_text(text)
    assert rundial("config", "set", "project", "digits").status == 0
    changed = path.read_text()
    stamp = path.stat().st_mtime_ns
    again = rundial("config", "set", "project", "digits", "--json").found
    rundial("config", "show", "--all", "--json")
    rundial("profile", "ls")

    assert [line for line in text.splitlines() if line and line not in changed] == []
    assert changed.index("# my servers") < changed.index("# the big one") < changed.index("[profiles.home]")
    assert 'project = "digits"' in changed
    assert again["changed"] is False
    assert path.stat().st_mtime_ns == stamp


@pytest.mark.parametrize("broken", ["[profiles.lab\nendpoint = 'x'\n", "version = 2\n\nactive_profile = \n"])
@pytest.mark.parametrize(
    "args", [("config", "set", "project", "p"), ("profile", "create", "x"), ("run", "list")]
)
def test_broken_config_is_reported_with_its_place_and_left_alone(
    broken: str, args: tuple[str, ...], folder: Path
) -> None:
    """A typo in the file costs a look at the line that is named, not the file."""
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(broken)
    done = rundial(*args)

    assert done.status == 1
    assert "line" in done.stderr
    assert "column" in done.stderr or "col " in done.stderr
    assert (folder / "config.toml").read_text() == broken


def test_flags_win_over_environment_over_profile(folder: Path) -> None:
    """And `config show` says which of them it was."""
    rundial("profile", "create", "lab", "--endpoint", "http://lab:1")
    rundial("config", "set", "workspace", "from-profile")
    rundial("config", "set", "project", "from-profile")
    args = ("config", "show", "--endpoint", "http://flag:1", "--json")
    found = rundial(*args, RUNDIAL_ENDPOINT="http://env:1", RUNDIAL_WORKSPACE="from-env").found

    assert found["resolved"]["endpoint"] == "http://flag:1"
    assert found["resolved"]["workspace"] == "from-env"
    assert found["resolved"]["project"] == "from-profile"
    assert found["sources"] == {"endpoint": "flag", "workspace": "environment", "project": "profile"}


def test_default_format_of_a_profile_counts_until_a_flag_says_otherwise() -> None:
    """Who wants JSON always says so once."""
    rundial("profile", "create", "lab")
    rundial("config", "set", "default_format", "json")

    assert rundial("config", "show").stdout.startswith("{")
    assert not rundial("config", "show", "--format", "human").stdout.startswith("{")


def test_key_goes_into_a_file_of_ones_own_only_when_that_is_allowed(
    server: ServerProgram, stranger: dict[str, str]
) -> None:
    """Without a keyring nothing is written until a person says that a file will do."""
    folder = Path(stranger["XDG_CONFIG_HOME"]) / "rundial"
    args = ("auth", "login", "--endpoint", server.url, "--api-key", server.key)
    refused = rundial(*args, **stranger)
    assert refused.status == 1
    assert "--allow-plaintext-store" in refused.stderr
    assert server.key not in refused.stdout + refused.stderr
    assert not (folder / "secrets.json").exists()

    allowed = rundial(*args, "--allow-plaintext-store", "--json", **stranger)
    assert allowed.found["secretStore"] == "file"
    assert server.key not in allowed.stdout
    assert (folder / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert server.key not in (folder / "config.toml").read_text()
    assert rundial("auth", "whoami", "--json", **stranger).found["whoami"]["authenticated"] is True

    assert rundial("auth", "logout", **stranger).status == 0
    assert server.key not in (folder / "secrets.json").read_text()
    assert rundial("auth", "whoami", **stranger).status == 2


def test_key_goes_into_the_keyring_where_there_is_one_and_runs_find_it_there(
    server: ServerProgram, stranger: dict[str, str], tmp_path: Path
) -> None:
    """No file of ours holds the key, and `rundial.init` takes it from the keyring."""
    there = {**stranger, **KEYRING, "TEST_KEYRING_FILE": str(tmp_path / "keyring.json")}
    args = ("auth", "login", "--endpoint", server.url, "--api-key", "-", "--json")
    done = subprocess.run(
        [sys.executable, "-m", "rundial", *args],
        input=server.key + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | there,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["secretStore"] == "keyring"
    folder = Path(stranger["XDG_CONFIG_HOME"]) / "rundial"
    assert [path.name for path in folder.iterdir() if server.key in path.read_text()] == []
    assert rundial("run", "start", "--project", "digits", **there).status == 0
    script = (
        "import rundial\nwith rundial.init(project='digits') as run: run.log({'x': 1.0})\nprint(run.run_id)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env=os.environ | there
    )
    assert ran.returncode == 0, ran.stderr
    found = rundial("run", "status", ran.stdout.strip(), "--project", "digits", "--json", **there).found
    assert found["run"]["counts"]["points"] == 1

    assert rundial("auth", "logout", **there).status == 0
    assert server.key not in (tmp_path / "keyring.json").read_text()


def test_person_logs_in_with_credentials_and_out_again(
    server: ServerProgram, stranger: dict[str, str]
) -> None:
    """A session stands in for a key, and logging out ends it on the server too."""
    rundial("server", "user", "add", "ada@example.org", RUNDIAL_PASSWORD=PASSWORD)
    args = ("auth", "login", "--endpoint", server.url, "--credentials", "--email", "ada@example.org")
    wrong = rundial(*args, "--allow-plaintext-store", RUNDIAL_PASSWORD="another one", **stranger)
    assert wrong.status == 2
    done = rundial(*args, "--allow-plaintext-store", "--json", RUNDIAL_PASSWORD=PASSWORD, **stranger)
    assert done.found["authMode"] == "credentials"
    secrets = Path(stranger["XDG_CONFIG_HOME"]) / "rundial" / "secrets.json"
    (entry,) = json.loads(secrets.read_text()).values()
    assert PASSWORD not in secrets.read_text()
    assert rundial("project", "ls", "--json", **stranger).status == 0

    rundial("auth", "logout", **stranger)
    token = entry["session_token"]
    late = rundial("auth", "whoami", "--endpoint", server.url, RUNDIAL_SESSION_TOKEN=token, **stranger)
    assert late.status == 2


def test_stored_key_goes_to_no_other_server(server: ServerProgram, folder: Path) -> None:
    """`--endpoint` of another server means another key, or none."""
    done = rundial("auth", "login", "--endpoint", "http://127.0.0.1:1", "--non-interactive")

    assert done.status == 2
    assert "no API key" in done.stderr


def test_init_sets_up_everything_without_a_terminal(server: ServerProgram, folder: Path) -> None:
    """One command after `rundial server`: a target in the profile, and a run to look at."""
    found = rundial("init", "--endpoint", server.url, "--json").found

    assert found["target"] == {"project": "first-flight", "workspace": "default-workspace"}
    assert found["login"]["whoami"]["authenticated"] is True
    assert found["run"]["name"] == "first-run"
    listed = rundial("run", "list", "--json").found["result"]["runs"]
    assert [(run["runId"], run["status"]) for run in listed] == [(found["run"]["runId"], "completed")]
    assert 'project = "first-flight"' in (folder / "config.toml").read_text()


def test_init_says_where_its_run_can_be_seen(server: ServerProgram) -> None:
    """By a command, and in a browser."""
    done = rundial("init", "--endpoint", server.url)

    assert f"see it: rundial run list, or {server.url} in a browser\n" in done.stdout


def test_init_asks_in_a_terminal(server: ServerProgram, home: Path) -> None:
    """What is not given is asked for, and Enter takes what is offered."""
    from tests.support.terminal import Terminal

    with Terminal("init", "--skip-run-start") as terminal:
        terminal.wait_for("Project [first-flight]")
        terminal.send("digits\n")
        assert terminal.wait() == 0

    assert rundial("config", "show", "--json").found["resolved"]["project"] == "digits"


def test_init_of_another_server_leaves_the_profile_of_the_first(server: ServerProgram, folder: Path) -> None:
    """The key and the target of one server are never mixed with another's."""
    found = rundial(
        "init",
        "--endpoint",
        server.url.replace("127.0.0.1", "localhost"),
        "--json",
        RUNDIAL_API_KEY=server.key,
    ).found

    assert found["profile"] == "default"
    profiles = rundial("profile", "ls", "--json").found["profiles"]
    assert profiles["local"]["endpoint"] == server.url


def test_target_use_checks_that_the_target_exists(server: ServerProgram) -> None:
    """A mistyped project is said at once and not at the next command."""
    rundial("run", "start", "--project", "digits")
    wrong = rundial("target", "use", "--project", "digit")
    right = rundial("target", "use", "--project", "digits", "--json")

    assert wrong.status == 1
    assert "no project digit" in wrong.stderr
    assert right.found["project"] == "digits"
    assert rundial("target", "ls", "--json").found["targets"] == [["default-workspace", "digits", "digits"]]
    assert rundial("workspace", "ls", "--json").found["workspaces"][0]["workspaceSlug"] == "default-workspace"
    assert rundial("project", "ls", "--json").found["projects"][0]["projectSlug"] == "digits"


def test_keys_and_agents_are_made_listed_and_ended(server: ServerProgram) -> None:
    """A key is shown once, works, and stops working when it is revoked."""
    rundial("run", "start", "--project", "digits")
    made = rundial(
        "auth", "key", "create", "--project", "digits", "--scope", "query:read,ingest:metrics",
        "--expires-in", "30d", "--json",
    ).found["result"]  # fmt: skip
    assert sorted(made["scopes"]) == ["metrics:write", "project:read"]
    assert rundial("run", "list", "--json", RUNDIAL_API_KEY=made["key"]).status == 0
    agent = rundial("auth", "agent", "create", "--name", "bot", "--json").found["result"]
    theirs = rundial(
        "auth", "agent", "key", "create", "--agent", "bot", "--project", "digits", "--json"
    ).found["result"]
    keys = rundial("auth", "agent", "key", "list", "--agent", agent["agentId"], "--json").found["keys"]
    assert [row["keyId"] for row in keys] == [theirs["keyId"]]
    assert made["key"] not in rundial("auth", "key", "list", "--json").stdout

    rundial("auth", "key", "revoke", "--key-id", made["keyId"])
    rundial("auth", "agent", "revoke", "--agent", "bot")
    for key in (made["key"], theirs["key"]):
        assert rundial("run", "list", RUNDIAL_API_KEY=key).status == 2
    gone = rundial("auth", "agent", "key", "create", "--agent", "bot", "--project", "digits")
    assert "no active agent bot" in gone.stderr
    events = rundial("auth", "audit", "list", "--limit", "3", "--json").found["events"]
    assert len(events) == 3


def test_profile_and_key_of_the_published_client_are_understood(
    server: ServerProgram, stranger: dict[str, str], tmp_path: Path
) -> None:
    """Who comes from the published client stays logged in, with the keyring or with its file."""
    from rundial.profiles import service

    folder = Path(stranger["XDG_CONFIG_HOME"]) / "rundial"
    folder.mkdir(parents=True)
    config = (
        f'version = 2\nactive_profile = "default"\n\n[profiles.default]\nendpoint = "{server.url}"\n'
        'auth_mode = "api_key"\ndefault_format = "human"\ninsecure_store = false\n'
    )
    (folder / "config.toml").write_text(config)
    kept = tmp_path / "keyring.json"
    kept.write_text(json.dumps({f"{service('default', server.url)}/api_key": server.key}))
    there = {**stranger, **KEYRING, "TEST_KEYRING_FILE": str(kept)}
    assert rundial("auth", "whoami", **there).status == 0
    assert rundial("auth", "whoami", **stranger).status == 2, "a keyring that is gone is no traceback"

    (folder / "secrets.json").write_text(
        json.dumps({service("default", server.url): {"api_key": server.key}})
    )
    assert rundial("auth", "whoami", **stranger).status == 0
    assert (folder / "config.toml").read_text() == config
