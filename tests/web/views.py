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
    "media": (f"{_RUN}/media", "main figure img"),
    "artifacts of a run": (f"{_RUN}/artifacts", ".grid-body .grid-row"),
    "overview": (f"{_RUN}/overview", ".values td"),
    "compare": (f"{WORKSPACE}/digits/compare?runs={RUN}&view=diff", ".tabs"),
    "artifacts": (f"{WORKSPACE}/digits/artifacts", ".grid-body .grid-row"),
    "evaluations": (f"{WORKSPACE}/digits/evals", ".grid-body .grid-row"),
    "keys": (f"{WORKSPACE}/-/settings", "form"),
    "members": (f"{WORKSPACE}/-/settings/members", "form"),
    "agents": (f"{WORKSPACE}/-/settings/agents", "form"),
    "kept": (f"{WORKSPACE}/-/settings/projects", "main input"),
    "audit": (f"{WORKSPACE}/-/settings/audit", ".grid-body .grid-row"),
}
