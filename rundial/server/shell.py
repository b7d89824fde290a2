"""The outer shell of a metrics request as our packer writes it, read without looking into the points.

The message is OTLP's with two changes: resource, scope and gauge are bytes here, and there are no other
fields. So protobuf's compiled parser finds the parts of a request without making an object of each point.

Source:
    opentelemetry-proto 1.x, metrics.proto for the field numbers.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

_PACKAGE: Final = "rundial.shell"
_BYTES: Final = FieldDescriptorProto.TYPE_BYTES
_STRING: Final = FieldDescriptorProto.TYPE_STRING
# Message -> its fields: (name, number, type, or the message that it repeats).
_MESSAGES: Final[dict[str, tuple[tuple[str, int, Any], ...]]] = {
    "Metric": (("name", 1, _STRING), ("gauge", 5, _BYTES)),
    "ScopeMetrics": (("scope", 1, _BYTES), ("metrics", 2, "Metric")),
    "ResourceMetrics": (("resource", 1, _BYTES), ("scope_metrics", 2, "ScopeMetrics")),
    "Request": (("resource_metrics", 1, "ResourceMetrics"),),
}


def _request_class() -> Any:
    file = FileDescriptorProto(name="rundial/shell.proto", package=_PACKAGE, syntax="proto3")
    for message, fields in _MESSAGES.items():
        made = file.message_type.add(name=message)
        for name, number, kind in fields:
            each = made.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL)
            if isinstance(kind, str):
                each.label, each.type = FieldDescriptorProto.LABEL_REPEATED, FieldDescriptorProto.TYPE_MESSAGE
                each.type_name = f".{_PACKAGE}.{kind}"
            else:
                each.type = kind
    # A pool of its own: these names are nobody else's business.
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Request"))


_Request: Final = _request_class()


def parse_shell(body: bytes) -> Any:
    """Read a request's shell.

    Returns:
        The message; None when the body holds anything that the shell has no place for: another field,
        a field twice, a number in more bytes than it needs, or no request at all.
    """
    request = _Request()
    try:
        request.ParseFromString(body)
    except DecodeError:
        return None
    # Re-encoding leaves out what is unknown and what was overwritten, and never takes more bytes than
    # there were: an equal size proves that every byte of the body is in the message.
    request.DiscardUnknownFields()
    return request if request.ByteSize() == len(body) else None
