"""What runs leave beside numbers, put on a server for the browser's tests: media, artifacts, evaluations."""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any, Final

from playwright.sync_api import Page

from tests.support.artifacts import Artifacts, sha256
from tests.support.server import LocalServer

# Markup that would leave a mark on the page if any view took a text for markup.
PLANTED: Final = '<img src=x onerror="window.harmed=1"><script>window.harmed=1</script>'


def is_unharmed(page: Page) -> bool:
    """Whether nothing that was planted has run, and none of it is markup now."""
    planted = "[...document.images].filter((each) => each.getAttribute('src') === 'x').length"
    return page.evaluate("window.harmed === undefined") and page.evaluate(planted) == 0


def png(width: int, height: int, shade: int) -> bytes:
    """A picture whose brightness grows to the right."""
    rows = b"".join(
        b"\0" + bytes((shade + 255 * x // width) % 256 for x in range(width)) for _ in range(height)
    )
    parts = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows))
    chunks = (*parts, (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


class Library:
    """Puts things into one project of a server.

    Args:
        site: The server.
        project: The project's name.
    """

    def __init__(self, site: LocalServer, project: str = "digits") -> None:
        self.artifacts = Artifacts(site.url, site.key, project)
        self.site = site
        self.project_id = self.artifacts.project_id

    def show(self, run: str, key: str, kind: str, step: int, data: bytes, **more: Any) -> None:
        """Show bytes under a key of a run at a step; they are uploaded unless they are there."""
        path = more.pop("path", f"{kind}.bin")
        self.artifacts.log(f"media-{sha256(data)[:12]}", {path: data}, run=run, kind="media")
        self.show_row(run, key, kind, step, sha256(data), path=path, **more)

    def show_row(self, run: str, key: str, kind: str, step: int, digest: str, **more: Any) -> None:
        """The row alone, whose bytes may not be there."""
        item = {
            "mediaKey": key,
            "mediaType": kind,
            "step": step,
            "timestampMs": 1_700_000_000_000 + step,
            "artifactPath": more.pop("path", f"{kind}.bin"),
            "artifactId": "art_x",
            "artifactVersion": 0,
            "artifactSha256": digest,
            **more,
        }
        body = {"projectId": self.project_id, "runId": run, "items": [item]}
        answer = self.site.post("/api/v1/ingest/media", body)
        assert answer.json["accepted"] == 1, answer.body

    def image(self, run: str, key: str, step: int, *, shade: int = 0, **more: Any) -> None:
        """Show a picture."""
        more = {"width": 64, "height": 48, "path": "image.png", **more}
        self.show(run, key, "image", step, png(64, 48, shade), contentType="image/png", **more)

    def table(self, run: str, key: str, step: int, columns: list[str], rows: list[list[Any]]) -> None:
        """Show a table."""
        body = json.dumps({"columns": columns, "rows": rows}).encode()
        self.show(run, key, "table", step, body, path="table.json", contentType="application/json")

    def histogram(self, run: str, key: str, step: int, counts: list[int], edges: list[float]) -> None:
        """Show a histogram."""
        body = json.dumps({"counts": counts, "edges": edges, "nonFinite": 0, "at": step}).encode()
        self.show(run, key, "histogram", step, body, path="histogram.json", contentType="application/json")

    def evaluate(self, suite: str, eval_run: str, rows: list[dict[str, Any]]) -> str:
        """Put the results of an evaluation run there; return the id of its run."""
        scorers = list(dict.fromkeys(str(row["scorer"]) for row in rows)) or ["exact"]
        body = {"projectId": self.project_id, "name": suite, "dataset": {"name": suite}, "scorers": scorers}
        made = self.site.post("/api/v1/evals/suites", body).json["suite"]["suiteId"]
        begun = {"projectId": self.project_id, "suiteId": made, "evalRunId": eval_run}
        found = self.site.post("/api/v1/evals/runs", begun).json["evalRun"]
        for start in range(0, len(rows), 5_000):
            part = {**begun, "rows": rows[start : start + 5_000]}
            assert self.site.post("/api/v1/evals/results", part).json["accepted"] == len(part["rows"])
        return str(found["runId"])

    def close(self) -> None:
        """Close the connections."""
        self.artifacts.close()
