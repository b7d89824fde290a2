"""What a hostile or a broken client costs: bounded memory, bounded time, and nobody else's requests.

Each of them is sent to a real server in a process of its own, whose memory is measured.
"""

from __future__ import annotations

import gzip
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import urllib3
import zstandard

from rundial.server.bodies import BodyReader
from rundial.signals.wire import delimited
from tests.support import otlp
from tests.support.clock import ManualClock
from tests.support.program import ServerProgram
from tests.support.server import LocalServer, fresh_id
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(120)

MIB = 2**20
RSS_BYTES = 400 * MIB
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
Sent = tuple[str, str, str, bytes]


def resource_group(records: bytes) -> bytes:
    """A request of one resource and scope around records as they are."""
    return delimited(1, delimited(2, records))


def zeros(pack: Callable[[bytes], bytes], count: int) -> bytes:
    """Compressed zeros, in parts of a mebibyte."""
    return b"".join(pack(bytes(MIB)) for _ in range(count))


def gzip_bomb() -> bytes:
    """More zeros than are taken, in a thousandth of their size."""
    packer = zlib.compressobj(1, wbits=31)
    return zeros(packer.compress, 40) + packer.flush()


def zstd_bomb() -> bytes:
    """A gibibyte of zeros in some kilobytes."""
    packer = zstandard.ZstdCompressor(level=3).compressobj()
    return zeros(packer.compress, 1024) + packer.flush()


def many_attributes(count: int, *, size: int = 0) -> bytes:
    """One log record of so many attributes, empty ones or with distinct keys of that many digits."""
    keys = (f"{number:0{size}}".encode() if size else b"" for number in range(count))
    attributes = b"".join(delimited(6, delimited(1, key) if key else b"") for key in keys)
    return resource_group(delimited(2, attributes))


def deep(levels: int) -> bytes:
    """A log record whose body is an array in an array, and so on."""
    value = delimited(1, b"x")
    for _ in range(levels):
        value = delimited(5, delimited(1, value))
    return resource_group(delimited(2, delimited(5, value)))


def many_keys(count: int) -> bytes:
    """A point of each of so many metrics."""
    held = [otlp.gauge(f"key/{number}", [otlp.point(0, 1.0)]) for number in range(count)]
    return otlp.metrics((otlp.resource("keys"), held))


ATTACKS: dict[str, Callable[[], Sent]] = {
    "gzip bomb": lambda: ("metrics", PROTOBUF, "gzip", gzip_bomb()),
    "zstd bomb": lambda: ("logs", PROTOBUF, "zstd", zstd_bomb()),
    "gzip bomb of JSON": lambda: ("logs", JSON, "gzip", gzip_bomb()),
    "gzip bomb in members": lambda: ("logs", PROTOBUF, "gzip", gzip.compress(b"") * 100_000),
    "empty messages": lambda: ("logs", PROTOBUF, "gzip", gzip.compress(b"\x0a\x00" * 15 * MIB, 1)),
    "empty records": lambda: (
        "logs",
        PROTOBUF,
        "gzip",
        gzip.compress(resource_group(b"\x12\x00" * 15 * MIB), 1),
    ),
    "empty metrics": lambda: (
        "metrics",
        PROTOBUF,
        "gzip",
        gzip.compress(resource_group(b"\x12\x00" * 15 * MIB), 1),
    ),
    "10^6 empty attributes": lambda: ("logs", PROTOBUF, "", many_attributes(1_000_000)),
    "10^6 attributes": lambda: ("logs", PROTOBUF, "", many_attributes(1_000_000, size=7)),
    "10^5 keys": lambda: ("metrics", PROTOBUF, "", many_keys(100_000)),
    "deep protobuf": lambda: ("logs", PROTOBUF, "", deep(10_000)),
    "deep JSON": lambda: ("logs", JSON, "", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "many JSON objects": lambda: ("logs", JSON, "gzip", gzip.compress(b"[" + b"{}," * 5_000_000 + b"{}]")),
}


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProgram]:
    """One server that all attacks go to, one after the other."""
    with ServerProgram(tmp_path_factory.mktemp("attacked") / "data") as program:
        yield program


def send(server: ServerProgram, sent: Sent) -> int:
    """Send a request and return its status."""
    signal, content_type, encoding, body = sent
    headers = {"content-type": content_type, "authorization": f"Bearer {server.key}"}
    if encoding:
        headers["content-encoding"] = encoding
    with urllib3.PoolManager(retries=False, timeout=60.0) as pool:
        return pool.request("POST", f"{server.url}/v1/{signal}", body=body, headers=headers).status


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_hostile_body_is_answered_within_bounds(attacked: ServerProgram, attack: str) -> None:
    """Four at once are refused, or stored, in bounded memory, and the server goes on."""
    sent = ATTACKS[attack]()
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(send(attacked, sent))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)

    peak = peak_rss(attacked)
    assert (set(found) <= {400, 413, 503}, len(found)) == (True, 4), found
    assert peak < RSS_BYTES, f"{peak / MIB:.0f} MiB"
    assert attacked.get("/health/ready")["status"] == "ready"


def test_a_run_of_50_000_keys_is_stored_in_parts(attacked: ServerProgram) -> None:
    """So many keys are slow and no attack: they are taken, some thousands a request."""
    for start in range(0, 50_000, 10_000):
        held = [otlp.gauge(f"key/{start + number}", [otlp.point(0, 1.0)]) for number in range(10_000)]
        body = otlp.metrics((otlp.resource("keys"), held))
        assert send(attacked, ("metrics", PROTOBUF, "", body)) == 200

    details = attacked.get("/api/v1/workspaces/default-workspace/projects/digits/runs/keys")
    assert details["counts"] == {"points": 50_000, "lines": 0, "spans": 0}
    assert peak_rss(attacked) < RSS_BYTES


def peak_rss(server: ServerProgram) -> int:
    """The most memory that the server ever held."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


@pytest.fixture
def impatient(tmp_path: Path, clock: ManualClock) -> Iterator[LocalServer]:
    """A server that waits for nobody."""
    bodies = BodyReader(timeout_s=0.5)
    with LocalServer(tmp_path / "data", clock, bodies=bodies, head_timeout_s=0.5) as server:
        yield server


def opened(server: LocalServer) -> socket.socket:
    """A connection."""
    url = urlsplit(server.url)
    return socket.create_connection((url.hostname, url.port), timeout=10)


@pytest.mark.parametrize("head", [b"", b"POST /v1/metr", b"GET / HTTP/1.1\r\nhost: localhost\r\nx: "])
def test_a_head_that_never_ends_loses_its_connection(impatient: LocalServer, head: bytes) -> None:
    """Two hundred clients that send a byte now and then hold no place, and keep nobody out (slowloris)."""
    with ExitStack() as stack:
        slow = [stack.enter_context(closing(opened(impatient))) for _ in range(200)]
        for each in slow:
            each.sendall(head)
        assert impatient.get("/health/ready").status == 200

        assert [each.recv(1) for each in slow] == [b""] * len(slow)


def test_a_second_head_that_never_ends_loses_its_connection(impatient: LocalServer) -> None:
    """A good first request buys no patience."""
    with closing(opened(impatient)) as slow:
        slow.sendall(b"GET /health/ready HTTP/1.1\r\nhost: localhost\r\n\r\n")
        answer = slow.recv(65536)
        while not answer.endswith(b"}"):  # the body may come by itself
            answer += slow.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")
        slow.sendall(b"GET /hea")

        assert slow.recv(65536) == b""


def head_of(server: LocalServer, length: int) -> bytes:
    """The head of an OTLP request that announces a body."""
    lines = [
        "POST /v1/metrics HTTP/1.1",
        "host: localhost",
        f"authorization: Bearer {server.key}",
        f"content-type: {PROTOBUF}",
        f"content-length: {length}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def test_a_body_that_never_ends_is_answered_with_408(impatient: LocalServer) -> None:
    """A slow body holds memory; it is given up, in words."""
    with closing(opened(impatient)) as slow:
        slow.sendall(head_of(impatient, 1000) + b"x" * 10)
        answer = slow.recv(65536)

    assert answer.startswith(b"HTTP/1.1 408")


def test_half_a_body_stores_nothing_and_holds_nothing(local: LocalServer) -> None:
    """A client that leaves in the middle leaves no trace: no rows, and no memory kept for it."""
    run = fresh_id()
    body = otlp.curve(run, "loss", [1.0] * 1000)
    for _ in range(20):
        with closing(opened(local)) as leaving:
            leaving.sendall(head_of(local, len(body)) + body[: len(body) // 2])

    wait_until(lambda: local.services.bodies.held_bytes == 0, 10)
    assert local.get(f"/api/v1/workspaces/default-workspace/projects/digits/runs/{run}").status == 404
    assert local.export("metrics", body).status == 200
    assert local.details(run)["counts"]["points"] == 1000


def test_this_process_and_the_tests_measure_the_same_server(attacked: ServerProgram) -> None:
    """The memory that the attacks are judged by is the server's own."""
    assert psutil.Process(attacked.pid).is_running()
    assert 20 * MIB < psutil.Process(attacked.pid).memory_info().rss <= peak_rss(attacked)
