"""Compare this version with the published 1.0.0rc1 client: modules, names, parameters, commands, options.

`published-api.json` is a record of that client's public surface. Default values are not compared, a
call that takes `**options` is taken to accept every name, and more than the published surface is
welcome. What a later version brings stands in `later.txt`, a line each, in the words of `missing()`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from rundial.cli.main import main

HERE = Path(__file__).parent
# Users are handed these and never build them, so their constructors are ours.
HANDED_OUT = frozenset(
    {
        "Config",
        "Run",
        "RundialDiagnostics",
        "RundialEvalRun",
        "RundialEvalSuite",
        "RundialRun",
        "RundialSpan",
        "Span",
        "Summary",
    }
)
_HELP = {"-h", "--help"}


def published() -> dict[str, Any]:
    """Return the record of the published surface."""
    found: dict[str, Any] = json.loads((HERE / "published-api.json").read_text())
    return found


def later() -> list[str]:
    """Return what later versions own: lines that `missing()` may hold today."""
    lines = (HERE / "later.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def missing() -> list[str]:
    """Return what the published client has and this version lacks, a line each, sorted."""
    record = published()
    modules = {name: symbols for name, symbols in record["modules"].items() if not name.startswith("(")}
    lines = [line for name, symbols in modules.items() for line in _of_module(name, symbols)]
    return sorted([*lines, *_of_commands(record["cli"])])


def parameters(signature: str) -> list[str]:
    """Return the names in a printed signature; `self`, `cls`, `**more` and private ones are left out.

    Args:
        signature: As `str(inspect.signature(f))` prints it, defaults such as `<factory>` included.
    """
    readable = re.sub(r"<[^<>]*>", "None", signature)
    definition = ast.parse(f"def f{readable}: ...").body[0]
    if not isinstance(definition, ast.FunctionDef):
        raise ValueError(f"not a signature: {signature}")
    taken = definition.args
    names = [each.arg for each in (*taken.posonlyargs, *taken.args, *taken.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls") and not name.startswith("_")]


def _of_module(name: str, symbols: Mapping[str, Any]) -> Iterator[str]:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError:
        yield f"module {name}"
        return
    seen: list[object] = []
    for symbol, facts in symbols.items():
        have = getattr(module, symbol, None)
        if have is None:
            yield f"{name}.{symbol}"
        if have is None or any(have is other for other in seen):
            continue  # a second name of one class lacks what the first one lacks
        seen.append(have)
        if facts.get("signature") and symbol not in HANDED_OUT:
            yield from _of_call(f"{name}.{symbol}", facts["signature"], have)
        yield from _of_members(f"{name}.{symbol}", facts.get("members", {}), have)


def _of_members(where: str, members: Mapping[str, object], have: object) -> Iterator[str]:
    fields = {**getattr(have, "__annotations__", {}), **getattr(have, "__dataclass_fields__", {})}
    for member, signature in members.items():
        if member.startswith("_"):
            continue
        if not hasattr(have, member) and member not in fields:
            yield f"{where}.{member}"
        elif isinstance(signature, str) and signature.startswith("(") and hasattr(have, member):
            yield from _of_call(f"{where}.{member}", signature, getattr(have, member))


def _of_call(where: str, wanted: str, have: object) -> Iterator[str]:
    if not callable(have):
        yield f"{where} is not callable"
        return
    try:
        known = inspect.signature(have).parameters
    except ValueError:
        return  # a type without a signature, such as a Literal, has no parameters to lack
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return
    for name in parameters(wanted):
        if name not in known:
            yield f"{where} parameter {name}"


def _of_commands(wanted: Mapping[str, Any]) -> Iterator[str]:
    have = dict(_commands(main))
    for command, facts in wanted.items():
        if command not in have:
            yield f"command {command}"
            continue
        for flags in facts["options"]:
            names = {flags} if isinstance(flags, str) else set(flags)
            if not names & (_HELP | have[command] | have["rundial"]):
                yield f"command {command} option {'/'.join(sorted(names))}"


def _commands(command: click.Command, *path: str) -> Iterator[tuple[str, set[str]]]:
    """Yield every command of a tree by its path, with its options."""
    names = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    yield " ".join(path) or "rundial", {name for name in names if name.startswith("-")}
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _commands(child, *path, name)
