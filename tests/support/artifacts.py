"""The upload protocol by hand, request by request, so that a test can stop or go wrong anywhere in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import urllib3

from tests.support.server import Reply

AT = "/api/v1/workspaces/default-workspace/projects/digits"


def sha256(data: bytes) -> str:
    """The hex sha256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def manifest(files: Mapping[str, bytes], content_type: str | None = None) -> list[dict[str, Any]]:
    """The files of an initiate."""
    kind = {} if content_type is None else {"contentType": content_type}
    return [
        {"path": path, "sizeBytes": len(data), "sha256": sha256(data), **kind} for path, data in files.items()
    ]


class Artifacts:
    """Speaks to one server about the artifacts of one project.

    Args:
        url: The server's address.
        key: An API key.
        project: The project's name; made when it is missing.
    """

    def __init__(self, url: str, key: str, project: str = "digits") -> None:
        self._url = url
        self._key = key
        self._pool = urllib3.PoolManager(retries=False, timeout=30.0)
        self.project_id = self.post("/api/v1/runs/resolve-target", {"project": project}).json["projectId"]

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a request with the key."""
        sent = {"authorization": f"Bearer {self._key}", **(headers or {})}
        answer = self._pool.request(method, self._url + path, body=body, headers=sent, redirect=False)
        return Reply(answer.status, answer.headers, answer.data)

    def get(self, path: str) -> Reply:
        """GET a path."""
        return self.send("GET", path)

    def post(self, path: str, body: object) -> Reply:
        """POST JSON."""
        return self.send("POST", path, json.dumps(body).encode(), {"content-type": "application/json"})

    def put(self, url: str, data: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        """PUT bytes to a signed URL, without a key."""
        answer = self._pool.request("PUT", url, body=data, headers=dict(headers or {}), redirect=False)
        return Reply(answer.status, answer.headers, answer.data)

    def fetch(self, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        """GET a signed URL, without a key."""
        answer = self._pool.request("GET", url, headers=dict(headers or {}), redirect=False)
        return Reply(answer.status, answer.headers, answer.data)

    def initiate(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        run: str | None = "run",
        content_type: str | None = None,
        **more: Any,
    ) -> Reply:
        """Announce files."""
        listed = manifest(files, content_type)
        body = {"projectId": self.project_id, "runId": run, "name": name, "files": listed, **more}
        return self.post("/api/v1/artifacts/initiate", body)

    def renew(self, begun: Mapping[str, Any], **more: Any) -> Reply:
        """Ask what is still missing."""
        return self.post("/api/v1/artifacts/upload", {**self._upload(begun), **more})

    def finalize(self, begun: Mapping[str, Any]) -> Reply:
        """Finalize."""
        return self.post("/api/v1/artifacts/finalize", self._upload(begun))

    def abort(self, begun: Mapping[str, Any]) -> Reply:
        """Abort."""
        return self.post("/api/v1/artifacts/abort", self._upload(begun))

    def send_all(self, begun: Mapping[str, Any], files: Mapping[str, bytes]) -> None:
        """Send everything that an initiate or upload asks for."""
        for each in begun["files"]:
            data = files[each["path"]]
            if each["uploadStrategy"] == "single":
                answer = self.put(each["url"], data, each["requiredHeaders"])
                assert answer.status == 200, answer.body
            for part in each["parts"]:
                self.send_part(part, data)

    def send_part(self, part: Mapping[str, Any], data: bytes) -> None:
        """Send one part of a file's bytes."""
        start = part["offsetBytes"]
        answer = self.put(part["url"], data[start : start + part["sizeBytes"]], part["requiredHeaders"])
        assert answer.status == 200, answer.body
        assert answer.headers.get("etag")

    def log(
        self, name: str, files: Mapping[str, bytes], *, run: str | None = "run", **more: Any
    ) -> dict[str, Any]:
        """Upload an artifact and return what finalize answers."""
        begun = self.initiate(name, files, run=run, **more)
        assert begun.status == 200, begun.body
        self.send_all(begun.json, files)
        done = self.finalize(begun.json)
        assert done.status == 200, done.body
        return done.json

    def use(self, reference: str, *, run: str | None = None) -> Reply:
        """Use a reference."""
        body = {"projectId": self.project_id, "runId": run, "artifactRef": reference}
        return self.post("/api/v1/artifacts/use", body)

    def url_of(self, artifact_id: str, path: str) -> str:
        """A URL for one file."""
        body = {"projectId": self.project_id, "artifactId": artifact_id, "path": path}
        answer = self.post("/api/v1/artifacts/download", body)
        assert answer.status == 200, answer.body
        return str(answer.json["url"])

    def content(self, artifact_id: str, path: str) -> bytes:
        """The bytes of one file."""
        answer = self.fetch(self.url_of(artifact_id, path))
        assert answer.status == 200, answer.body
        return answer.body

    def listed(self, **query: str) -> list[dict[str, Any]]:
        """The project's versions, the newest first."""
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        found = self.get(f"{AT}/artifacts?{asked}").json["artifacts"]
        assert isinstance(found, list)
        return found

    def gc(self, **more: Any) -> dict[str, Any]:
        """Collect."""
        answer = self.post(f"{AT}/artifacts/gc", more)
        assert answer.status == 200, answer.body
        return answer.json

    def _upload(self, begun: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "projectId": self.project_id,
            "artifactId": begun["artifactId"],
            "uploadId": begun["uploadId"],
        }
