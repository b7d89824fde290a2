"""Rundial: the flight recorder for training runs and agents.

    user threads                    encoder thread                     sender thread
    run.log ─────────┐
    run.log_text ────┼─► recorder ─► encoder ─► spool ─► sender ─► POST /v1/{metrics,logs,traces}
    run.trace ───────┘   (ring)      (OTLP)     (disk)             Rundial or any OpenTelemetry Collector

Names are loaded on first use, so that `import rundial` costs a training script next to nothing.
"""

from __future__ import annotations

from rundial.version import __version__

# What `typing` says, which is not imported for it; type checkers know the name.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from rundial.api.client import Client as Client
    from rundial.api.evalrun import RundialEvalRun as RundialEvalRun
    from rundial.api.evals import eval as eval
    from rundial.api.evalsuite import RundialEvalSuite as RundialEvalSuite
    from rundial.api.logging import LoggingHandler as LoggingHandler
    from rundial.api.propagation import inject as inject
    from rundial.api.propagation import wrap_executor as wrap_executor
    from rundial.api.run import Run as Run
    from rundial.api.session import checkpoint as checkpoint
    from rundial.api.session import init as init
    from rundial.api.span import Span as Span
    from rundial.choices import Distributed as Distributed
    from rundial.choices import Mode as Mode
    from rundial.choices import ResumeMode as ResumeMode
    from rundial.choices import RunKind as RunKind
    from rundial.diagnostics import Ledger as Ledger
    from rundial.diagnostics import RundialDiagnostics as RundialDiagnostics
    from rundial.errors import ArtifactError as ArtifactError
    from rundial.errors import ConfigError as ConfigError
    from rundial.errors import RundialError as RundialError
    from rundial.errors import RundialRequestError as RundialRequestError
    from rundial.media.values import Figure as Figure
    from rundial.media.values import Histogram as Histogram
    from rundial.media.values import Image as Image
    from rundial.media.values import Table as Table
    from rundial.signals.configvalue import ConfigValue as ConfigValue
    from rundial_sdk import RundialClient as RundialClient
    from rundial_sdk import RundialRun as RundialRun
    from rundial_sdk import RundialSpan as RundialSpan

# Where each public name lives; imported when it is first asked for.
_HOMES = {
    "ArtifactError": "rundial.errors",
    "Client": "rundial.api.client",
    "ConfigError": "rundial.errors",
    "ConfigValue": "rundial.signals.configvalue",
    "Distributed": "rundial.choices",
    "Figure": "rundial.media.values",
    "Histogram": "rundial.media.values",
    "Image": "rundial.media.values",
    "Ledger": "rundial.diagnostics",
    "LoggingHandler": "rundial.api.logging",
    "Mode": "rundial.choices",
    "ResumeMode": "rundial.choices",
    "Run": "rundial.api.run",
    "RunKind": "rundial.choices",
    "RundialDiagnostics": "rundial.diagnostics",
    "RundialEvalRun": "rundial.api.evalrun",
    "RundialEvalSuite": "rundial.api.evalsuite",
    "RundialError": "rundial.errors",
    "RundialRequestError": "rundial.errors",
    "RundialClient": "rundial_sdk",
    "RundialRun": "rundial_sdk",
    "RundialSpan": "rundial_sdk",
    "Span": "rundial.api.span",
    "Table": "rundial.media.values",
    "checkpoint": "rundial.api.session",
    "eval": "rundial.api.evals",
    "init": "rundial.api.session",
    "inject": "rundial.api.propagation",
    "wrap_executor": "rundial.api.propagation",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rundial' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
