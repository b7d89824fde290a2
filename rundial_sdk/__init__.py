"""The import name of the published 1.0 client, over `rundial`: the same objects under their old names."""

from __future__ import annotations

from rundial.api.client import Client as RundialClient
from rundial.api.evalrun import RundialEvalRun
from rundial.api.evalsuite import RundialEvalSuite
from rundial.api.run import Run as RundialRun
from rundial.api.span import Span as RundialSpan
from rundial.choices import Distributed as DistributedPolicy
from rundial.choices import Mode as ClientMode
from rundial.choices import RunKind
from rundial.diagnostics import DiagnosticsHealth, RundialDiagnostics
from rundial.errors import RundialRequestError
from rundial.media.values import Image, Table

__all__ = [
    "ClientMode",
    "DiagnosticsHealth",
    "DistributedPolicy",
    "Image",
    "RunKind",
    "RundialClient",
    "RundialDiagnostics",
    "RundialEvalRun",
    "RundialEvalSuite",
    "RundialRequestError",
    "RundialRun",
    "RundialSpan",
    "Table",
]
