"""Blobs in an S3-compatible bucket, by URLs that the store itself checks.

    <prefix>/staging/<upload>/<number>           one PUT arrives here
    <prefix>/<project>/<2 hex>/<sha256>-<upload> kept; a multipart upload completes straight to here

Nothing that a client can still write to is ever kept: the URLs of parts die when the server completes the
upload, and what came by one PUT is copied to its lasting place, which no URL was ever signed for, and judged
there. The server reads back all that it keeps; it never trusts the store's own checksums.

Credentials come from boto3's own chain (environment, files, instance role) and are never asked for here.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import Any, Final
from urllib.parse import quote, urlsplit

from rundial.errors import ConfigError
from rundial.server.blobs.store import Arrived, Download, Part, Reason, Signed, Staged
from rundial.server.problems import Problem

_log: Final = logging.getLogger("rundial.server")

_READ_BYTES: Final = 2**20
_JUDGES: Final = 4
_GONE: Final = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchUpload"})
# Two tries of boto3's own beside ours: what fails longer is the client's to repeat.
_TRIES: Final = 3
_TIMEOUT_S: Final = 20
_ANY: Final = "any"


class S3Store:
    """Objects of one bucket.

    Args:
        client: boto3's S3 client.
        bucket: Its name.
        prefix: Before every key, without slashes at its ends; may be empty.
    """

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client: Final = client
        self._bucket: Final = bucket
        self._prefix: Final = f"{prefix}/" if prefix else ""
        # Known from the start: a page that is asked for waits for no credentials.
        signed = self._signed("get_object", self._at(_ANY), 60).url
        self.elsewhere: Final = signed.partition("?")[0].removesuffix(_ANY)

    def begin(self, staged: Staged) -> str:
        """Open a multipart upload where one is needed."""
        if not staged.part_bytes:
            return ""
        with _told("beginning an upload"):
            opened = self._client.create_multipart_upload(**self._at(staged.lasting))
        return str(opened["UploadId"])

    def sign_put(self, staged: Staged, *, base_url: str, life_s: int) -> Signed:
        """A pre-signed PUT; its length is signed too."""
        wanted = {**self._at(staged.place), "ContentLength": staged.size_bytes}
        return self._signed("put_object", wanted, life_s)

    def sign_part(self, staged: Staged, part: Part, *, base_url: str, life_s: int) -> Signed:
        """A pre-signed PUT of a part; its length is signed too."""
        wanted = {
            **self._at(staged.lasting),
            "UploadId": staged.handle,
            "PartNumber": part.number,
            "ContentLength": part.size_bytes,
        }
        return self._signed("upload_part", wanted, life_s)

    def sign_get(self, download: Download, *, base_url: str, life_s: int) -> Signed:
        """A pre-signed GET."""
        wanted = {
            **self._at(download.place),
            "ResponseContentType": download.content_type or "application/octet-stream",
            "ResponseContentDisposition": f"attachment; filename*=UTF-8''{quote(download.name, safe='')}",
        }
        return self._signed("get_object", wanted, life_s)

    def arrived(self, staged: Staged) -> list[Arrived] | None:
        """Ask the store."""
        if self._size(staged.lasting) == staged.size_bytes:
            return None
        if not staged.part_bytes:
            size = self._size(staged.place)
            return [] if size != staged.size_bytes else [Arrived(1, size, "")]
        return self._parts(staged)

    def keep(self, wanted: Sequence[Staged]) -> list[Reason | None]:
        """Complete or copy, read back, judge."""
        with ThreadPoolExecutor(_JUDGES, "rundial-judge") as judges:
            return list(judges.map(self._keep, wanted))

    def discard(self, staged: Sequence[Staged]) -> None:
        """Drop what arrived at staging places, and multipart uploads that were never completed."""
        for each in staged:
            if not each.part_bytes:
                self.delete(each.place)
            elif each.handle:
                with suppress(_AbsentError), _told("dropping an upload"):
                    self._client.abort_multipart_upload(**self._at(each.lasting), UploadId=each.handle)

    def delete(self, place: str) -> None:
        """Delete an object."""
        with suppress(_AbsentError), _told("deleting a blob"):
            self._client.delete_object(**self._at(place))

    def digest(self, place: str) -> tuple[int, str] | None:
        """Read an object back."""
        digest, size = hashlib.sha256(), 0
        try:
            with _told("reading a blob"), closing(self._opened(place)) as body:
                for chunk in body.iter_chunks(_READ_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
        except _AbsentError:
            return None
        return size, digest.hexdigest()

    def check_room(self, wanted_bytes: int) -> None:
        """The store has room, or says so itself."""

    def check(self) -> None:
        """See whether the bucket is there.

        Raises:
            ConfigError: It is not, or the credentials do not open it.
        """
        try:
            with _told("looking for the bucket"):
                self._client.head_bucket(Bucket=self._bucket)
        except _AbsentError as error:
            raise ConfigError(f"there is no bucket {self._bucket!r}; make it first") from error
        except Problem as problem:
            raise ConfigError(f"the bucket {self._bucket!r} cannot be used: {problem.message}") from problem

    def _keep(self, staged: Staged) -> Reason | None:
        reason = self._complete(staged) if staged.part_bytes else self._copy(staged)
        if reason is not None:
            return reason
        found = self.digest(staged.lasting)
        if found == (staged.size_bytes, staged.sha256):
            return None
        self.delete(staged.lasting)
        return "missing" if found is None else "size" if found[0] != staged.size_bytes else "sha256"

    def _complete(self, staged: Staged) -> Reason | None:
        if self._size(staged.lasting) == staged.size_bytes:
            return None  # an earlier `keep` got that far
        parts = self._parts(staged)
        if [(each.number, each.size_bytes) for each in parts] != [
            (each.number, each.size_bytes) for each in staged.parts()
        ]:
            return "missing"
        listed = [{"PartNumber": each.number, "ETag": each.etag} for each in parts]
        with _told("completing an upload"):
            self._client.complete_multipart_upload(
                **self._at(staged.lasting), UploadId=staged.handle, MultipartUpload={"Parts": listed}
            )
        return None

    def _copy(self, staged: Staged) -> Reason | None:
        size = self._size(staged.place)
        if size is None:
            return None if self._size(staged.lasting) == staged.size_bytes else "missing"
        if size != staged.size_bytes:
            return "size"
        with _told("copying a blob"):
            self._client.copy_object(**self._at(staged.lasting), CopySource=self._at(staged.place))
        return None

    def _parts(self, staged: Staged) -> list[Arrived]:
        found: list[Arrived] = []
        asked = {**self._at(staged.lasting), "UploadId": staged.handle}
        with suppress(_AbsentError), _told("asking for parts"):
            for listed in self._client.get_paginator("list_parts").paginate(**asked):
                found += [
                    Arrived(each["PartNumber"], each["Size"], each["ETag"])
                    for each in listed.get("Parts", ())
                ]
        return sorted(found, key=lambda each: each.number)

    def _size(self, place: str) -> int | None:
        try:
            with _told("asking for a blob"):
                return int(self._client.head_object(**self._at(place))["ContentLength"])
        except _AbsentError:
            return None

    def _opened(self, place: str) -> Any:
        return self._client.get_object(**self._at(place))["Body"]

    def _signed(self, operation: str, wanted: dict[str, Any], life_s: int) -> Signed:
        with _told("signing a URL"):
            url = self._client.generate_presigned_url(operation, Params=wanted, ExpiresIn=life_s)
        return Signed(url)

    def _at(self, place: str) -> dict[str, Any]:
        return {"Bucket": self._bucket, "Key": self._prefix + place}


def open_s3(url: str) -> S3Store:
    """Open `s3://bucket/prefix`.

    Raises:
        ConfigError: boto3 is missing, the address names no bucket, or the bucket cannot be used.
    """
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise ConfigError("--blobs s3://… needs boto3; install it: pip install 'rundial[s3]'") from error
    parts = urlsplit(url)
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ConfigError("--blobs names no bucket; use s3://bucket/prefix, without credentials in it")
    config = Config(
        signature_version="s3v4",
        retries={"total_max_attempts": _TRIES, "mode": "standard"},
        connect_timeout=_TIMEOUT_S,
        read_timeout=_TIMEOUT_S,
        max_pool_connections=16,
        # Not every compatible store knows the newer checksums; what counts is our own sha256.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        client = boto3.session.Session().client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(f"--blobs {url}: {error}") from error
    store = S3Store(client, parts.netloc, parts.path.strip("/"))
    store.check()
    return store


class _AbsentError(Exception):
    """The store does not have it."""


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turn the store's failures into ours; URLs and keys stay out of them."""
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = str(error.response.get("Error", {}).get("Code", ""))
        if status == 404 or code in _GONE:
            raise _AbsentError from error
        _log.error("the blob store answered %s %s when %s", status, code, what)
        raise _refused(status, code, what) from error
    except NoCredentialsError as error:
        raise Problem(
            503, "the server has no credentials for its blob store", "set them as boto3 reads them", 30
        ) from error
    except BotoCoreError as error:
        _log.error("the blob store could not be reached when %s: %s", what, type(error).__name__)
        raise Problem(
            503,
            f"the blob store could not be reached ({type(error).__name__})",
            "nothing was lost that was answered for; repeat the request after the given wait",
            retry_after_s=10,
        ) from error


def _refused(status: int, code: str, what: str) -> Problem:
    message = f"the blob store answered {status} {code} when {what}"
    if status == 403:
        hint = "check the server's credentials and the bucket's policy; then repeat the request"
        return Problem(503, message, hint, retry_after_s=30)
    if status == 507:
        return Problem(
            507, message, "free space at the blob store; then repeat the request", retry_after_s=60
        )
    hint = "nothing was lost that was answered for; repeat the request after the given wait"
    return Problem(503, message, hint, retry_after_s=5)
