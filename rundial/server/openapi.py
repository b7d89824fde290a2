"""The OpenAPI 3.1 document of `/api/v1`, made of the route table, its docstrings and `described`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from starlette.routing import Route

from rundial.server.described import DESCRIBED, Described
from rundial.version import __version__

PREFIX: Final = "/api/v1/"
_INT64: Final = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
_TYPES: Final[Mapping[str, dict[str, Any]]] = {
    "text": {"type": "string", "maxLength": 4096},
    "password": {"type": "string", "format": "password", "maxLength": 4096},
    "int": _INT64,
    "bool": {"type": "boolean"},
    "texts": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object"},
    "objects": {"type": "array", "items": {"type": "object"}},
    "named": {"type": "array", "items": {"anyOf": [{"type": "object"}, {"type": "string"}]}},
    "number": {"type": "number"},
}
_WORD: Final = re.compile(r"([A-Za-z]+)(!?)(?::(\w+)|=(\S+))?")
_OPEN: Final = frozenset({"/api/v1/auth/login/credentials"})
_ERROR: Final = {"$ref": "#/components/schemas/Error"}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document of those routes that are under `/api/v1`."""
    paths: dict[str, dict[str, Any]] = {}
    for method, route in operations(routes):
        described = DESCRIBED.get((method, route.path), Described("", ""))
        # What a router says of a parameter's form is none of a description's business.
        path = re.sub(r":\w+}", "}", route.path)
        paths.setdefault(path, {})[method.lower()] = _operation(method, route, described)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rundial",
            "version": __version__,
            "description": "Errors have one shape; lists have `page`, whose `nextCursor` asks for more.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key, `rdk_…`."},
                "session": {"type": "apiKey", "in": "cookie", "name": "rd_session"},
            },
            "schemas": {"Error": _error_schema()},
        },
        "security": [{"key": []}, {"session": []}],
    }


def operations(routes: Iterable[Route]) -> Iterator[tuple[str, Route]]:
    """Yield (method, route) of everything under `/api/v1`."""
    for route in routes:
        if route.path.startswith(PREFIX):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield method, route


def _operation(method: str, route: Route, described: Described) -> dict[str, Any]:
    name = f"{route.endpoint.__module__.rpartition('.')[2]}.{route.endpoint.__name__}"
    fields = {word: (schema, is_needed) for word, schema, is_needed in _fields(described.takes)}
    parameters: list[dict[str, Any]] = [
        {"name": each, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for each in re.findall(r"{(\w+)(?::\w+)?}", route.path)
    ]
    found: dict[str, Any] = {
        # One function may answer two paths.
        "operationId": f"{name}.{route.path.count('{')}.{method.lower()}",
        "tags": [name.partition(".")[0]],
        "summary": (route.endpoint.__doc__ or name).strip().splitlines()[0],
        "parameters": parameters,
        "responses": {
            "200": _answer(described),
            "default": {"description": "A refusal.", "content": {"application/json": {"schema": _ERROR}}},
        },
    }
    if route.path in _OPEN:
        found["security"] = []
    if method in ("GET", "DELETE"):
        parameters += [
            {"name": word, "in": "query", "required": is_needed, "schema": schema}
            for word, (schema, is_needed) in fields.items()
        ]
    else:
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _body(fields)}},
        }
    return found


def _fields(takes: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    for word in takes.split():
        match = _WORD.fullmatch(word)
        assert match is not None, word
        name, needed, kind, choices = match.groups()
        schema = {"type": "string", "enum": choices.split("|")} if choices else _TYPES[kind or "text"]
        yield name, schema, bool(needed)


def _body(fields: Mapping[str, tuple[dict[str, Any], bool]]) -> dict[str, Any]:
    properties = {
        # What may be left out may be null as well.
        name: schema if is_needed else {"anyOf": [schema, {"type": "null"}]}
        for name, (schema, is_needed) in fields.items()
    }
    needed = [name for name, (_, is_needed) in fields.items() if is_needed]
    return {"type": "object", "properties": properties, **({"required": needed} if needed else {})}


def _answer(described: Described) -> dict[str, Any]:
    if described.media_type != "application/json":
        schema: dict[str, Any] = {"type": "string"}
        # Which type a file has depends on the format that was asked for.
        kind = "*/*" if described.media_type == "application/octet-stream" else described.media_type
        return {"description": "As it comes.", "content": {kind: {"schema": schema}}}
    names = described.answers.split()
    schema = {"type": "object", "properties": {name: {} for name in names}, "required": names}
    return {"description": "Done.", "content": {"application/json": {"schema": schema}}}


def _error_schema() -> dict[str, Any]:
    text = {"type": "string"}
    error = {
        "type": "object",
        "properties": {
            "code": text,
            "message": text,
            "details": {"type": "object", "properties": {"hint": text}},
        },
        "required": ["code", "message", "details"],
    }
    return {
        "type": "object",
        "properties": {"error": error, "requestId": text},
        "required": ["error", "requestId"],
    }
