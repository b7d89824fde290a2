"""How the page and its files are served, and what stands in the repository."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rundial.clock import SystemClock
from rundial.server.webfiles import FOLDER, WebFiles, web_files
from tests.support.server import LocalServer
from tests.web.tools.npm import HERE
from tests.web.tools.vendor import LIST, VENDOR


@pytest.fixture
def site(tmp_path: Path) -> LocalServer:
    """A server that is not started by Playwright's tests."""
    return LocalServer(tmp_path / "data", SystemClock())


def test_the_page_is_open_and_holds_nothing(site: LocalServer) -> None:
    """Who is not signed in loads the page to sign in; each address of a view answers it."""
    with site:
        replies = [
            site.send("GET", path, key="")
            for path in ("/", "/sign-in", "/w/default-workspace", "/w/a/b/runs/c/logs")
        ]
        head = site.send("HEAD", "/w/a/b", key="")

    assert {(each.status, each.headers["content-type"]) for each in replies} == {
        (200, "text/html; charset=utf-8")
    }
    assert all(b'<script type="importmap">' in each.body for each in replies)
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > 0


def test_pages_shadow_no_route(site: LocalServer) -> None:
    """What the API does not know is answered by the API, in JSON; so is everything else that is no page."""
    with site:
        replies = [site.get(path) for path in ("/api/v1/nothing", "/v1/nothing", "/health", "/nothing", "/w")]

    assert {(each.status, each.headers["content-type"]) for each in replies} == {(404, "application/json")}


def test_the_policy_lets_no_script_in(site: LocalServer) -> None:
    """Scripts come from this server's files alone; nothing inline runs but the import map, by its hash."""
    with site:
        reply = site.send("GET", "/", key="")
    policy = reply.headers["content-security-policy"]
    (inline,) = re.findall(rb"<script type=\"importmap\">(.*?)</script>", reply.body, re.DOTALL)

    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert set(json.loads(inline)["imports"]) == {"preact", "preact/hooks", "htm", "uplot"}
    assert len(re.findall(rb"<script(?![^>]*src=)", reply.body)) == 1
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["x-frame-options"] == "DENY"


def test_files_are_kept_for_ever_and_the_page_is_asked_for_again(site: LocalServer) -> None:
    """An upgrade is seen at once, and nothing that has not changed is sent twice."""
    with site:
        page = site.send("GET", "/", key="")
        again = site.send("GET", "/", key="", headers={"if-none-match": page.headers["etag"]})
        path = f"/assets/{web_files().digest}/main.js"
        file = site.send("GET", path, key="")
        packed = site.send(
            "GET", path.replace("main", "app/router"), key="", headers={"accept-encoding": "gzip"}
        )
        other = site.send("GET", "/assets/0123456789abcdef/main.js", key="")
        away = site.send("GET", f"/assets/{web_files().digest}/../webfiles.py", key="")

    assert page.headers["cache-control"] == "no-cache"
    assert (again.status, again.body) == (304, b"")
    assert "immutable" in file.headers["cache-control"]
    assert file.headers["content-type"] == "text/javascript; charset=utf-8"
    assert packed.headers["content-encoding"] == "gzip"
    assert (other.status, away.status) == (404, 404)


@pytest.mark.parametrize(
    ("path", "view"),
    [
        ("/", ""),
        ("/w/a/-/settings", ""),
        ("/w/a/b", "views/runs/view.js"),
        ("/w/a/b/runs/c/logs", "views/run/view.js"),
        ("/w/a/b/compare", "views/compare/view.js"),
    ],
)
def test_every_module_that_the_view_needs_is_announced(path: str, view: str) -> None:
    """A browser asks for all of them at once; what is announced exists."""
    files = WebFiles()
    found = re.findall(rb'modulepreload" href="/assets/[^/]+/([^"]+)"', files.page(path).body)
    announced = [name.decode() for name in found]

    assert {"main.js", "app/app.js", "data/api.js", "vendor/preact/preact.mjs"} <= set(announced)
    assert all(files.get(files.digest, name) for name in announced)
    views = {"views/runs/view.js", "views/run/view.js", "views/compare/view.js"}
    assert views & set(announced) == ({view} if view else set())


def test_vendored_files_are_as_they_were_published() -> None:
    """No library was changed by hand: each file has the digest of the list, and no other file is there."""
    listed = {
        file["path"]: file["sha256"]
        for package in json.loads(LIST.read_text())["packages"]
        for file in package["files"]
    }
    found = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path != LIST
    }

    assert found == listed


def test_vendored_versions_are_those_that_are_checked() -> None:
    """The types that the modules are checked against are those of the libraries that run."""
    locked = json.loads((HERE / "package-lock.json").read_text())["packages"]
    for package in json.loads(LIST.read_text())["packages"]:
        entry = locked[f"node_modules/{package['name']}"]

        assert (package["version"], package["integrity"]) == (entry["version"], entry["integrity"])
        assert any("LICENSE" in file["path"] for file in package["files"])


def test_scripts_are_within_their_budget() -> None:
    """All scripts together, packed as they are sent, are at most 200 KB."""
    scripts = [path for path in FOLDER.rglob("*") if path.suffix in (".js", ".mjs")]

    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in scripts) <= 200_000


@pytest.mark.timeout(60)
def test_modules_are_typed() -> None:
    """TypeScript's strictest look finds nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.web.tools.types"],
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=55,
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_modules_make_no_markup_of_texts() -> None:
    """No module has a way to turn a text into markup or code, and none writes a handler into markup."""
    ways = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\(|new Function"
    )
    own = [path for path in FOLDER.rglob("*.js") if "vendor" not in path.parts]

    assert [str(path) for path in own if ways.search(path.read_text())] == []
    assert len(own) > 20
