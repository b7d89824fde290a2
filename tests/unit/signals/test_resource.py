"""The Resource of a run and its bytes."""

from __future__ import annotations

import os
import socket
from importlib import metadata

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from rundial import __version__
from rundial.signals.resource import Identity, ResourceValue, encode_resource, encode_scope, run_resource

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
VALUES = (
    TEXT
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.lists(TEXT, max_size=3)
)


@given(st.dictionaries(TEXT, VALUES, max_size=6))
def test_encode_resource_is_what_protobuf_reads(attributes: dict[str, ResourceValue]) -> None:
    """Every receiver sees the run's identity exactly, with the types it had."""
    expected = Resource()
    for key, value in attributes.items():
        item = expected.attributes.add(key=key).value
        if isinstance(value, str):
            item.string_value = value
        elif isinstance(value, bool):
            item.bool_value = value
        elif isinstance(value, int):
            item.int_value = value
        elif isinstance(value, float):
            item.double_value = value
        else:
            item.array_value.SetInParent()
            for text in value:
                item.array_value.values.add(string_value=text)

    assert Resource.FromString(encode_resource(attributes)) == expected


def test_run_resource_names_the_run_the_process_and_the_tools() -> None:
    """A run can be created from its telemetry alone, and other tools can group by service."""
    identity = Identity("p", "run_1", "training", "ab" * 16, attempt=2, workspace="w", rank=0)

    assert run_resource(identity) == {
        "service.name": "p",
        "service.instance.id": "ab" * 16,
        "rundial.project": "p",
        "rundial.run.id": "run_1",
        "rundial.run.kind": "training",
        "rundial.run.attempt": 2,
        "rundial.workspace": "w",
        "rundial.rank": 0,
        "host.name": socket.gethostname(),
        "process.pid": os.getpid(),
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": metadata.version("opentelemetry-sdk"),
        "telemetry.distro.name": "rundial",
        "telemetry.distro.version": __version__,
    }


def test_run_resource_leaves_out_what_is_not_known() -> None:
    """No attribute claims a workspace or a rank that nobody set."""
    attributes = run_resource(Identity("p", "run_1", "agent", "x"))

    assert not {"rundial.workspace", "rundial.rank"} & set(attributes)


def test_encode_resource_makes_a_float_of_an_integer_beyond_64_bits() -> None:
    """An enormous number in an attribute cannot make the whole request unreadable."""
    resource = Resource.FromString(encode_resource({"n": 2**64}))

    assert resource.attributes[0].value.double_value == 2.0**64


def test_encode_scope_names_rundial_and_its_version() -> None:
    """Records of Rundial can be told from those of other instrumentation."""
    assert InstrumentationScope.FromString(encode_scope()) == InstrumentationScope(
        name="rundial", version=__version__
    )
