"""A real PostgreSQL from Debian's packages, a cluster of the test's own on a free port."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Literal

import pytest

_TIMEOUT_S = 60
_SETTINGS = """
port = {port}
listen_addresses = '127.0.0.1'
unix_socket_directories = '{directory}'
max_connections = 100
log_min_messages = warning
# What is lost then is lost with the machine, and no test can lose that.
fsync = off
"""


def installed() -> Path | None:
    """Where the newest installed PostgreSQL has its programs; None without one."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(found, key=lambda path: int(path.parent.name), default=None)


class Postgres:
    """One cluster, started by entering and stopped by leaving.

    PostgreSQL refuses to run as root, so a test that runs as root starts it as `postgres`.

    Attributes:
        port: Where it listens on 127.0.0.1.
    """

    def __init__(self) -> None:
        programs = installed()
        if programs is None:
            pytest.skip("PostgreSQL is not installed; on Debian: apt-get install postgresql")
        self._programs = programs
        # Not below the tests' own directory, which no other account may enter.
        self._directory = Path(tempfile.mkdtemp(prefix="rundial-postgres-"))
        self._data = self._directory / "data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._databases = 0

    def __enter__(self) -> Postgres:
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self._directory, user.pw_uid, user.pw_gid)
        self._run(
            "initdb", "-D", str(self._data), "--auth=trust", "--no-sync", "-E", "UTF8", "-U", "postgres"
        )
        settings = _SETTINGS.format(port=self.port, directory=self._directory)
        self._write_settings(settings)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop("immediate")
        # Hundreds of databases: on a slow disk this takes longer than a test may, and nobody needs to wait.
        subprocess.run(["sh", "-c", 'rm -rf -- "$1" &', "sh", str(self._directory)], check=True)

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._directory / "log"), "-w", "start")

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop it; `immediate` is a crash."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def database(self, *, icu_locale: str | None = None) -> str:
        """Make an empty database, of another language than the cluster's if one is given; return its URL."""
        self._databases += 1
        name = f"rundial_{self._databases}"
        language = ["-T", "template0", "--locale-provider=icu", f"--icu-locale={icu_locale}"]
        own = language if icu_locale else []
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", *own, name)
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def _write_settings(self, settings: str) -> None:
        path = self._data / "postgresql.auto.conf"
        path.write_text(path.read_text("utf-8") + settings, "utf-8")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # A daemon keeps the output open that it was given: with a pipe, reading it would never end.
        with (self._directory / "output").open("ab") as output:
            subprocess.run(
                command,
                check=True,
                timeout=_TIMEOUT_S,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
