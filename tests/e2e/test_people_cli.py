"""The commands that say who may use a server, against a real one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rundial.api.client import Client
from tests.support.program import ServerProgram

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]
PASSWORD = "open sesame, please"


def rundial(*words: str, stdin: str = "", status: int = 0, **variables: str) -> dict[str, Any]:
    """Run a command with --json and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "rundial", *words, "--json"],
        input=stdin,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    found = json.loads(done.stdout if status == 0 else done.stderr)
    assert isinstance(found, dict)
    return found


def test_people_are_added_listed_and_removed(server: ServerProgram) -> None:
    """A team is set up from a shell, and no password is ever an argument."""
    add = ("server", "user", "add")
    made = rundial(*add, "Ada@example.org", "--role", "owner", "--password-stdin", stdin=f"{PASSWORD}\n")
    rundial(*add, "bob@example.org", "--role", "viewer", RUNDIAL_PASSWORD=PASSWORD)
    listed = rundial("server", "user", "ls")["members"]

    assert made["member"]["created"] is True
    assert [(row["email"], row["role"]) for row in listed] == [
        ("ada@example.org", "owner"),
        ("bob@example.org", "viewer"),
    ]
    with Client(server.url) as client:
        client.login_credentials(email="ada@example.org", password=PASSWORD)
        assert client.whoami()["principal"] == "user"
    rundial("server", "user", "password", "bob@example.org", RUNDIAL_PASSWORD="another sentence")
    with Client(server.url) as client:
        client.login_credentials(email="bob@example.org", password="another sentence")
    rundial("server", "user", "remove", "bob@example.org")
    assert [row["email"] for row in rundial("server", "user", "ls")["members"]] == ["ada@example.org"]


def test_a_password_that_is_missing_is_asked_for_in_words(server: ServerProgram) -> None:
    """A script without a password is told how to give one, and nothing is changed."""
    failed = rundial("server", "user", "add", "ada@example.org", status=1)
    unknown = rundial("server", "user", "remove", "eve@example.org", status=1)

    assert "--password-stdin" in failed["error"]["hint"]
    assert "user ls" in unknown["error"]["hint"]
    assert rundial("server", "user", "ls")["members"] == []


def test_workspaces_and_keys_are_made_from_a_shell(server: ServerProgram) -> None:
    """A key for one project of a new workspace opens that project, and nothing beside it."""
    made = rundial("workspace", "create", "Vision team")["workspace"]
    place = ("--workspace", made["workspaceSlug"])
    key = rundial("server", "key", "create", *place, "--project", "digits", "--label", "ci")["apiKey"]
    wide = rundial("server", "key", "create", *place, "--scope", "project:read", "--expires-in-days", "7")

    assert made["workspaceSlug"] == "Vision-team"
    assert (key["projectSlug"], wide["apiKey"]["projectSlug"]) == ("digits", None)
    assert wide["apiKey"]["expiresAtMs"]
    with Client(server.url, api_key=key["key"]) as client:
        assert [each["workspaceSlug"] for each in client.list_workspaces()] == ["Vision-team"]
    refused = rundial("workspace", "create", "Vision team", status=1)
    assert "already" in refused["error"]["message"]
    rundial("workspace", "create", "mine", status=2, RUNDIAL_API_KEY=key["key"])


def test_no_command_runs_a_server_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    """`rundial server` alone still serves: its commands do not stand in the way."""
    with ServerProgram(tmp_path / "data") as program:
        assert program.get("/health/ready")["status"] == "ready"
    assert "user" in rundial("server", "usr", status=1)["error"]["hint"]
