"""Programs that know OpenTelemetry alone: each encoding of each signal, and where their records land."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
import zstandard

from rundial.server.keys import PROJECT_READ, WRITE_SCOPES
from rundial.server.rows import Signal
from tests.server.test_otlp_json import as_json, bodies
from tests.support import otlp
from tests.support.server import LocalServer, fresh_id


def bare_deflate(body: bytes) -> bytes:
    """Deflate without zlib's head and tail, as some programs send it."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


ENCODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "plain": ("", bytes),
    "gzip": ("gzip", gzip.compress),
    "zstd": ("zstd", zstandard.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare_deflate),
}
SERVICE = {"rundial__project": None, "rundial__run__kind": None, "rundial__run__attempt": None}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_signal_is_read_in_every_encoding_of_both_forms(local: LocalServer, encoding: str) -> None:
    """Whatever a program's exporter is set to, the same records are stored, once."""
    name, packed = ENCODINGS[encoding]
    run = fresh_id()
    signals: tuple[Signal, ...] = ("metrics", "logs", "traces")
    for signal in signals:
        body = bodies(run)[signal]
        forms = {
            "application/x-protobuf": body,
            "application/json": json.dumps(as_json(signal, body)).encode(),
        }
        for content_type, plain in forms.items():
            headers = {"content-type": content_type, **({"content-encoding": name} if name else {})}
            reply = local.send("POST", f"/v1/{signal}", packed(plain), headers=headers)
            assert (reply.status, reply.headers["content-type"]) == (200, content_type)

    assert local.details(run)["counts"] == {"points": 3, "lines": 1, "spans": 2}


def test_a_service_gets_a_project_and_each_instance_of_it_a_run(local: LocalServer) -> None:
    """Nothing but the address and a key has to be set in the program."""
    for instance, number in (("one", 1), ("two", 2), ("one", 3)):
        owner = otlp.resource(None, instance=instance, service__name="checkout", **SERVICE)
        assert local.export("traces", otlp.spans(owner, [otlp.span(number, "pay")])).status == 200

    path = "/api/v1/workspaces/default-workspace/projects/checkout/runs/query"
    runs = local.get(path).json["runs"]
    assert [(run["kind"], run["runName"]) for run in runs] == [("service", "checkout")] * 2
    counts = [local.details(run["runId"], project="checkout")["counts"]["spans"] for run in runs]
    assert sorted(counts) == [1, 2]


def test_a_services_run_is_called_by_its_service_whatever_its_project(local: LocalServer) -> None:
    """Services that share a project are told apart."""
    for service in ("checkout", "search"):
        owner = otlp.resource(None, instance=service, service__name=service, rundial__run__kind=None)
        assert local.export("traces", otlp.spans(owner, [otlp.span(1, "x")])).status == 200

    runs = local.get("/api/v1/workspaces/default-workspace/projects/digits/runs/query").json["runs"]
    assert sorted(run["runName"] for run in runs) == ["checkout", "search"]


def test_a_key_of_one_project_says_where_a_service_belongs(local: LocalServer) -> None:
    """A service's name is no claim to a project, so what it sends is kept where the key may write."""
    known = local.post("/api/v1/runs/resolve-target", {"project": "digits"}).json["projectId"]
    made = local.post(
        "/api/v1/workspaces/default-workspace/projects/digits/api-keys",
        {"scopes": sorted(WRITE_SCOPES | {PROJECT_READ})},
    ).json["key"]
    owner = otlp.resource(None, service__name="checkout", **SERVICE)

    assert local.export("traces", otlp.spans(owner, [otlp.span(1, "pay")]), key=made).status == 200
    assert local.export("traces", otlp.spans(owner, [otlp.span(2, "pay")]), key=made).status == 200

    runs = local.get("/api/v1/workspaces/default-workspace/projects/digits/runs/query", key=made).json["runs"]
    assert [run["runName"] for run in runs] == ["checkout"]
    assert local.details(runs[0]["runId"])["projectId"] == known
    assert "checkout" not in json.dumps(local.get("/api/v1/workspaces/default-workspace/projects").json)


def test_a_key_of_one_project_may_not_write_where_a_resource_names_another(local: LocalServer) -> None:
    """What names a project means it: the request is refused whole, with what to do, and nothing is made."""
    local.project_id("digits")
    made = local.post(
        "/api/v1/workspaces/default-workspace/projects/digits/api-keys", {"scopes": sorted(WRITE_SCOPES)}
    ).json["key"]
    owner = otlp.resource(fresh_id(), rundial__project="checkout")

    reply = local.export("traces", otlp.spans(owner, [otlp.span(1, "pay")]), key=made)

    assert reply.status == 403
    assert "bound to one project" in reply.error["details"]["hint"]
    assert "checkout" not in json.dumps(local.get("/api/v1/workspaces/default-workspace/projects").json)
