"""A small real server for files: the artifact routes over a real socket, which can be told to misbehave.

Keeps everything in memory but a part's bytes, of which it keeps digest and size (and the bytes of small
ones), so that files of gigabytes cost it nothing. Answers the control routes that a run needs, and takes
telemetry without looking at it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

KEPT_BYTES = 8 << 20
FOUND = {
    "orgId": "org_1",
    "workspaceSlug": "default-workspace",
    "workspaceName": "Default workspace",
    "projectSlug": "digits",
    "projectName": "digits",
    "projectId": "prj_1",
    "serverId": "srv_one",
    "runId": "run",
    "kind": "training",
}
# What goes before everything else: method and path in, a status with a body, or None.
Rule = Callable[[str, str], "tuple[int, Mapping[str, str]] | None"]


class Upload:
    """One upload: what was asked for and what has arrived."""

    def __init__(self, number: int, body: Mapping[str, Any]) -> None:
        self.body = body
        self.id = f"upl_{number}"
        self.artifact_id = f"art_{number}"
        self.files = {each["path"]: each for each in body["files"]}
        # Size and digest by path and part.
        self.parts: dict[tuple[str, int], tuple[int, str]] = {}
        self.digests: dict[str, Any] = {}
        self.version: int | None = None


class ArtifactServer:
    """Artifacts, over HTTP; a context manager.

    Args:
        part_bytes: Size of a part; files from twice that on go in parts.
        page: How many files one answer lists.

    Attributes:
        rules: Asked first, in order.
        puts: How often each path and part was sent and taken.
        versions: The finalized uploads by name, oldest first.
        blobs: Bytes by digest, of small files.
        sizes: Size by digest.
        seen: Method, path and authorization of each request.
        ranges: First byte of each download.
    """

    def __init__(self, *, part_bytes: int = 1 << 20, page: int = 10_000) -> None:
        self.part_bytes = part_bytes
        self.page = page
        self.rules: list[Rule] = []
        self.puts: Counter[tuple[str, int]] = Counter()
        self.versions: dict[str, list[Upload]] = {}
        self.blobs: dict[str, bytes] = {}
        self.sizes: dict[str, int] = {}
        self.seen: list[tuple[str, str, str]] = []
        self.generation = 0
        self.ranges: list[int] = []
        self._uploads: dict[str, Upload] = {}
        self._by_key: dict[str, Upload] = {}
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"artifacts": self})
        )
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> ArtifactServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def paths(self, name: str, version: int = -1) -> dict[str, bytes]:
        """The files of a version with their bytes."""
        upload = self.versions[name][version]
        return {path: self.blobs[each["sha256"]] for path, each in upload.files.items()}

    def expire(self) -> None:
        """Make every URL that was given out so far answer 403."""
        self.generation += 1

    def answer(self, path: str, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer a POST."""
        with self._lock:
            action = path.rpartition("/artifacts/")[2] if "/artifacts/" in path else ""
            if not action:
                return 200, dict(FOUND)
            if action == "initiate":
                return 200, self._initiate(body)
            if action == "use":
                return self._use(body["artifactRef"])
            if action == "download":
                return self._download(body)
            upload = self._uploads[body["uploadId"]]
            if action == "upload":
                return 200, self._listed(upload, with_have=True, cursor=int(body.get("cursor") or 0))
            return self._finalize(upload)

    def put(self, path: str, chunks: Any, size: int) -> tuple[int, str]:
        """Take bytes for `/blobs/<generation>/<upload>/<file number>/<part>`."""
        generation, upload_id, number, part = path.split("/")[-4:]
        if int(generation) != self.generation:
            return 403, ""
        upload = self._uploads[upload_id]
        name = list(upload.files)[int(number)]
        digest, kept, total = hashlib.sha256(), bytearray(), 0
        for chunk in chunks:
            digest.update(chunk)
            total += len(chunk)
            if size <= KEPT_BYTES:
                kept += chunk
        with self._lock:
            upload.parts[name, int(part)] = (total, digest.hexdigest())
            self.puts[name, int(part)] += 1
            self.blobs.setdefault(f"{upload_id}/{name}/{part}", bytes(kept))
        return 200, f'"{digest.hexdigest()}"'

    def _initiate(self, body: Mapping[str, Any]) -> dict[str, Any]:
        key = f"{body['runId']}/{body.get('clientKey')}"
        upload = self._by_key.get(key)
        if upload is None:
            upload = Upload(len(self._uploads) + 1, body)
            self._uploads[upload.id] = self._by_key[key] = upload
        return self._listed(upload)

    def _missing(self, upload: Upload) -> list[tuple[int, str, dict[str, Any]]]:
        asked: set[str] = set()
        found = []
        for number, (path, each) in enumerate(upload.files.items()):
            if each["sha256"] in self.sizes or each["sha256"] in asked:
                continue
            asked.add(each["sha256"])
            if sum(size for (name, _), (size, _) in upload.parts.items() if name == path) < each[
                "sizeBytes"
            ] or ((path, 0) not in upload.parts and (path, 1) not in upload.parts):
                found.append((number, path, each))
        return found

    def _listed(self, upload: Upload, *, with_have: bool = False, cursor: int = 0) -> dict[str, Any]:
        missing = self._missing(upload) if upload.version is None else []
        shown = missing[cursor : cursor + self.page]
        more = cursor + self.page < len(missing)
        files = [self._asked(upload, number, path, each, with_have) for number, path, each in shown]
        return {
            "artifactId": upload.artifact_id,
            "uploadId": upload.id,
            "deduped": not missing,
            "files": files,
            "page": {"hasMore": more, "nextCursor": str(cursor + self.page) if more else None},
        }

    def _asked(
        self, upload: Upload, number: int, path: str, each: dict[str, Any], with_have: bool
    ) -> dict[str, Any]:
        base = f"{self.url}/blobs/{self.generation}/{upload.id}/{number}"
        size = each["sizeBytes"]
        if size < 2 * self.part_bytes:
            return {"path": path, "uploadStrategy": "single", "url": f"{base}/0", "requiredHeaders": {}}
        parts = [
            {
                "partNumber": index + 1,
                "offsetBytes": first,
                "sizeBytes": min(self.part_bytes, size - first),
                "url": f"{base}/{index + 1}",
                "requiredHeaders": {},
            }
            for index, first in enumerate(range(0, size, self.part_bytes))
        ]
        found: dict[str, Any] = {"path": path, "uploadStrategy": "multipart", "parts": parts}
        if with_have:
            found["have"] = [
                {"partNumber": part, "etag": f'"{digest}"', "sizeBytes": taken}
                for (name, part), (taken, digest) in upload.parts.items()
                if name == path
            ]
        return found

    def _finalize(self, upload: Upload) -> tuple[int, dict[str, Any]]:
        if upload.version is None:
            missing = self._missing(upload)
            if missing:
                wrong = [{"path": path, "reason": "missing"} for _, path, _ in missing]
                return 409, {"error": {"code": "CONFLICT", "message": "not all", "details": {"files": wrong}}}
            wrong = [each for each in (self._verify(upload, path) for path in upload.files) if each]
            if wrong:
                return 409, {"error": {"code": "CONFLICT", "message": "wrong", "details": {"files": wrong}}}
            versions = self.versions.setdefault(upload.body["name"], [])
            versions.append(upload)
            upload.version = len(versions) - 1
        artifact = {
            "artifactId": upload.artifact_id,
            "name": upload.body["name"],
            "version": upload.version,
            "versionName": f"v{upload.version}",
        }
        return 200, {"artifact": artifact, "deduped": False}

    def _verify(self, upload: Upload, path: str) -> dict[str, str] | None:
        each = upload.files[path]
        if each["sha256"] in self.sizes:
            return None
        parts = sorted((part, facts) for (name, part), facts in upload.parts.items() if name == path)
        size = sum(taken for _, (taken, _) in parts)
        whole = b"".join(self.blobs.get(f"{upload.id}/{path}/{part}", b"") for part, _ in parts)
        if size == len(whole) and hashlib.sha256(whole).hexdigest() != each["sha256"]:
            for part, _ in parts:
                del upload.parts[path, part]
                self.blobs.pop(f"{upload.id}/{path}/{part}", None)
            return {"path": path, "reason": "sha256"}
        self.sizes[each["sha256"]] = size
        self.blobs[each["sha256"]] = whole
        return None

    def _use(self, ref: str) -> tuple[int, dict[str, Any]]:
        name, _, wanted = ref.partition(":")
        versions = self.versions.get(name, [])
        number = int(wanted[1:]) if re.fullmatch(r"v\d+", wanted) else len(versions) - 1
        if not versions or number >= len(versions):
            return 404, {"error": {"code": "NOT_FOUND", "message": f"no artifact {ref}"}}
        upload = versions[number]
        artifact = {
            "artifactId": upload.artifact_id,
            "runId": upload.body["runId"],
            "name": name,
            "type": upload.body.get("artifactType"),
            "version": number,
            "versionName": f"v{number}",
            "metadata": upload.body.get("metadata") or {},
            "files": list(upload.files.values()),
            "references": upload.body.get("references") or [],
        }
        return 200, {"artifact": artifact}

    def _download(self, body: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        upload = next(each for each in self._uploads.values() if each.artifact_id == body["artifactId"])
        each = upload.files[body["path"]]
        url = f"{self.url}/get/{each['sha256']}"
        return 200, {"url": url, "sizeBytes": each["sizeBytes"], "sha256": each["sha256"]}


class _Handler(BaseHTTPRequestHandler):
    """One connection; its class says whose."""

    artifacts: ArtifactServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._note()
        if self._is_ruled():
            return
        if not self.path.startswith("/get/"):
            return self._say(200, dict(FOUND))
        body = self.artifacts.blobs[self.path.rpartition("/")[2]]
        first = int((self.headers.get("range") or "bytes=0-")[6:].rstrip("-"))
        self.artifacts.ranges.append(first)
        self.send_response(206 if first else 200)
        self.send_header("content-length", str(len(body) - first))
        self.end_headers()
        self.wfile.write(body[first:])

    def do_POST(self) -> None:
        self._note()
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self._is_ruled():
            return
        if self.path.startswith("/v1/"):
            return self._say(200, None)
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self._say(*self.artifacts.answer(self.path, json.loads(body or b"{}")))

    def do_PUT(self) -> None:
        self._note()
        size = int(self.headers["content-length"])
        if self._is_ruled(left=size):
            return
        status, etag = self.artifacts.put(self.path, self._chunks(size), size)
        if status != 200:
            for _ in self._chunks(size):
                continue
        self._say(status, None, {"etag": etag})

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _note(self) -> None:
        self.artifacts.seen.append((self.command, self.path, self.headers.get("authorization") or ""))

    def _is_ruled(self, left: int = 0) -> bool:
        for rule in self.artifacts.rules:
            found = rule(self.command, self.path)
            if found is not None:
                for _ in self._chunks(left):
                    continue
                self._say(found[0], None, dict(found[1]))
                return True
        return False

    def _chunks(self, size: int) -> Any:
        while size > 0:
            chunk = self.rfile.read(min(size, 1 << 18))
            if not chunk:
                raise ConnectionError
            size -= len(chunk)
            yield chunk

    def _say(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        if body is not None:
            self.send_header("content-type", "application/json")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
