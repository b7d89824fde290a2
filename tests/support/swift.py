"""A real S3-compatible object store for tests: OpenStack Swift with its s3api, from Debian's packages.

Signatures, expiry and multipart are checked for real: a tampered or expired URL is refused with 403.
`Unkind` stands before it and answers in its place with what a broken store answers.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Final

import pytest

from tests.support.waiting import wait_until

START_TIMEOUT_S: Final = 40.0
PARTS: Final = ("account", "container", "object")
PROGRAMS: Final = (
    "memcached",
    "swift-ring-builder",
    "swift-proxy-server",
    *(f"swift-{p}-server" for p in PARTS),
)
CONTENTS_SECTION = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
mount_check = false
devices = {place}/srv
swift_dir = {place}/etc
user = {user}
[pipeline:main]
pipeline = {part}-server
[app:{part}-server]
use = egg:swift#{part}
"""
PROXY_CONF = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
swift_dir = {place}/etc
user = {user}
[pipeline:main]
pipeline = catch_errors cache s3api tempauth copy slo dlo symlink versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memcached}
[filter:s3api]
use = egg:swift#s3api
s3_acl = false
location = us-east-1
dns_compliant_bucket_names = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:symlink]
use = egg:swift#symlink
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
"""


class Swift:
    """One store over one directory, started by entering and ended by leaving.

    Args:
        place: An empty directory.

    Attributes:
        url: Where it answers.
    """

    def __init__(self, place: Path) -> None:
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
        if missing or not sys.platform.startswith("linux"):
            pytest.skip(f"a real S3 store needs Swift's programs; missing: {', '.join(missing)}")
        self._place = place
        self._ports = dict(zip((*PARTS, "proxy", "memcached"), _free_ports(5), strict=True))
        self.url = f"http://127.0.0.1:{self._ports['proxy']}"
        self._children: list[subprocess.Popen[bytes]] = []

    def environment(self, url: str | None = None) -> dict[str, str]:
        """What a client of it finds its way and its credentials by."""
        return {
            "AWS_ENDPOINT_URL": url or self.url,
            "AWS_ACCESS_KEY_ID": "test:tester",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def __enter__(self) -> Swift:
        for folder in ("etc", "srv/d1", "log"):
            (self._place / folder).mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            self._make_ring(part)
            self._configure(part, CONTENTS_SECTION)
        self._configure("proxy", PROXY_CONF)
        self._run("memcached", "-u", _user(), "-l", "127.0.0.1", "-p", str(self._ports["memcached"]))
        for part in (*PARTS, "proxy"):
            self._run(f"swift-{part}-server", str(self._place / "etc" / f"{part}.conf"))
        try:
            wait_until(self._answers, START_TIMEOUT_S)
        except AssertionError:
            self.stop()
            logs = [path.read_text()[-2000:] for path in (self._place / "log").iterdir()]
            raise AssertionError("swift did not start:\n" + "\n".join(logs)) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End its processes."""
        for child in self._children:
            child.kill()
        for child in self._children:
            child.wait(10)
        self._children.clear()

    def client(self) -> Any:
        """boto3's client of it, for the test's own looks into the store."""
        import boto3
        from botocore.config import Config

        given = self.environment()
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            region_name="us-east-1",
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def keys(self, bucket: str) -> list[str]:
        """The objects of a bucket."""
        found = self.client().list_objects_v2(Bucket=bucket)
        return sorted(each["Key"] for each in found.get("Contents", ()))

    def unfinished(self, bucket: str) -> list[str]:
        """The multipart uploads of a bucket that are neither completed nor aborted."""
        found = self.client().list_multipart_uploads(Bucket=bucket)
        return sorted(each["Key"] for each in found.get("Uploads", ()))

    def _make_ring(self, part: str) -> None:
        builder = f"{part}.builder"
        device = f"r1z1-127.0.0.1:{self._ports[part]}/d1"
        for command in (["create", "4", "1", "0"], ["add", device, "1"], ["rebalance"]):
            subprocess.run(
                ["swift-ring-builder", builder, *command],
                cwd=self._place / "etc",
                check=True,
                capture_output=True,
                timeout=30,
            )

    def _configure(self, part: str, template: str) -> None:
        text = template.format(
            part=part,
            port=self._ports[part],
            place=self._place,
            user=_user(),
            memcached=self._ports["memcached"],
        )
        (self._place / "etc" / f"{part}.conf").write_text(text)

    def _run(self, *command: str) -> None:
        with (self._place / "log" / Path(command[0]).name).open("wb") as log:
            self._children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def _answers(self) -> bool:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", self._ports["proxy"], timeout=2)) as asked:
                asked.request("GET", "/")
                return asked.getresponse().status > 0
        except OSError:
            return False


class Unkind:
    """Stands before a store, passes requests on, and answers some of them itself.

    Attributes:
        url: Where it answers.
        answer: Asked for each request (method, path): the status to answer with, or None to pass it on.
        seen: The requests that came, as (method, path).
    """

    def __init__(self, behind: str) -> None:
        self.answer: Callable[[str, str], int | None] = lambda method, path: None
        self.seen: list[tuple[str, str]] = []
        host, port = behind.removeprefix("http://").split(":")
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                outer.seen.append((self.command, self.path))
                status = outer.answer(self.command, self.path)
                if status is not None:
                    self._say(status, {}, b"<Error><Code>Unkind</Code></Error>")
                    return
                with closing(http.client.HTTPConnection(host, int(port), timeout=30)) as store:
                    store.request(self.command, self.path, body, dict(self.headers))
                    found = store.getresponse()
                    self._pass_on(found)

            def _pass_on(self, found: http.client.HTTPResponse) -> None:
                try:
                    body = found.read()
                except http.client.IncompleteRead as error:
                    body = error.partial
                    self.close_connection = True  # where the store broke off, so does this
                self._say(found.status, dict(found.getheaders()), body)

            def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response_only(status)
                length = headers.pop("Content-Length", None) or str(len(body))
                for name, value in headers.items():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                self.send_header("content-length", length)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815 -- http.server's names

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, name="unkind-store")
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Unkind:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def _user() -> str:
    return "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")
