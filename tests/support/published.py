"""The published client 1.0.0rc1 as its users have it: unchanged, in an environment of its own."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from tests.perf.plan import Skipped
from tests.perf.published import environment

TIMEOUT_S = 60.0
PRELUDE = "import json, sys\nimport rundial as rd\ngiven = json.loads(sys.argv[1])\n"


class PublishedClient:
    """Its interpreter and its command.

    Args:
        python: The interpreter of its environment.
        place: An empty directory for its spools, exports and configuration.
        url: The server that it talks to.
        key: The API key that it shows.
    """

    def __init__(self, python: Path, place: Path, url: str, key: str) -> None:
        self._python = python
        self._place = place
        self._given = {"url": url, "key": key, "spool": str(place / "spool")}
        self._env = {
            "HOME": str(place),
            "PATH": os.environ["PATH"],
            "RUNDIAL_API_KEY": key,
            "RUNDIAL_ENDPOINT": url,
            "RUNDIAL_WORKSPACE": "default-workspace",
            "RUNDIAL_PROJECT": "digits",
        }

    def script(self, text: str, **given: object) -> Any:
        """Run a script to its end and return the JSON of the last line that it printed."""
        found = self._run(
            str(self._python), "-I", "-c", PRELUDE + dedent(text), json.dumps(self._given | given)
        )
        return json.loads(found.splitlines()[-1])

    def command(self, *arguments: str) -> dict[str, Any]:
        """Run one of its commands and return what it printed as JSON."""
        found = json.loads(self._run(str(self._python.with_name("rundial")), *arguments, "--json"))
        assert isinstance(found, dict), found
        return found

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            env=self._env,
            cwd=self._place,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def interpreter(cache: Path) -> Path:
    """Return the interpreter of its environment, made once and kept in the cache of the tests."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may ask for it at once
        try:
            return environment(cache)
        except Skipped as skipped:
            pytest.skip(str(skipped))
