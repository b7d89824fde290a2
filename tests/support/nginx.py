"""A real nginx from Debian in front of several servers, spreading requests over them in turn."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import pytest

from tests.support.waiting import wait_until

_CONFIG = """
daemon off;
master_process off;
pid {directory}/pid;
error_log {directory}/error.log warn;
events {{}}
http {{
  access_log off;
  client_max_body_size 16m;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  upstream rundial {{ {servers} }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://rundial;
      proxy_set_header Host $http_host;
      proxy_next_upstream off;
    }}
  }}
}}
"""


class Nginx:
    """A proxy, started by entering and stopped by leaving.

    Args:
        directory: An existing empty directory of its own.
        urls: The servers behind it.

    Attributes:
        url: Where it listens.
    """

    def __init__(self, directory: Path, urls: Sequence[str]) -> None:
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        if program is None:
            pytest.skip("nginx is not installed; on Debian: apt-get install nginx")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._config = directory / "nginx.conf"
        servers = " ".join(f"server {url.removeprefix('http://')} max_fails=0;" for url in urls)
        self._config.write_text(_CONFIG.format(directory=directory, servers=servers, port=port), "utf-8")
        self._command = [program, "-e", str(directory / "error.log"), "-c", str(self._config)]
        self._child: subprocess.Popen[bytes] | None = None
        self._port = port

    def __enter__(self) -> Nginx:
        self._child = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        wait_until(self._listens, 20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._child is not None
        self._child.terminate()
        self._child.wait(10)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
