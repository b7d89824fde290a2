"""Addresses of all views of a project with `everything` in it, and what each shows when it is there."""

from __future__ import annotations

from typing import Final

from tests.web.browser import WORKSPACE
from tests.web.everything import RUN

_RUN: Final = f"{WORKSPACE}/digits/runs/{RUN}"
VIEWS: Final[dict[str, tuple[str, str]]] = {
    "projects": (WORKSPACE, ".projects a"),
    "runs": (
        f"{WORKSPACE}/digits?cols=status,tags,group,summary.val%252Floss,spark.val%252Floss",
        ".grid-row a",
    ),
    "charts": (_RUN, ".chart canvas"),
    "logs": (f"{_RUN}/logs", ".log-line"),
    "traces": (f"{_RUN}/traces", ".waterfall-row"),
    "media": (f"{_RUN}/media", ".picture img"),
    "overview": (f"{_RUN}/overview", ".values td"),
    "compare": (f"{WORKSPACE}/digits/compare?runs={RUN}&view=diff", ".tabs"),
    "artifacts": (f"{WORKSPACE}/digits/artifacts", "tbody tr"),
    "evaluations": (f"{WORKSPACE}/digits/evals", "tbody tr"),
    "keys": (f"{WORKSPACE}/-/settings", ".tabs"),
    "members": (f"{WORKSPACE}/-/settings?tab=members", "details"),
    "audit": (f"{WORKSPACE}/-/settings?tab=audit", "tbody tr"),
}
