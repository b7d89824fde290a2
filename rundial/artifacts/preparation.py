"""From a journalled job to its manifest: snapshots, digests, files of media. The worker's part.

Each job has a directory of its own in the instance's spool, `artifacts/<token>/`: numbered snapshots, what
media write, and the manifest, written last. Where there is a manifest, the job is prepared, whoever did it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rundial.artifacts import manifest as manifests
from rundial.artifacts import snapshot, walk
from rundial.artifacts.manifest import FileEntry, Manifest
from rundial.artifacts.snapshot import Budget, Gone
from rundial.recorder.made import Made
from rundial.spool import durable

MAX_LEFT_OUT = 20
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Preparation:
    """Prepares the jobs of one instance.

    Args:
        root: The instance's spool directory.
        budget: For copies of files.
    """

    def __init__(self, root: Path, budget: Budget) -> None:
        self._root = root / "artifacts"
        self._budget = budget

    def directory(self, token: str) -> Path:
        """Return where a job's files are.

        Raises:
            Gone: The token is none of ours.
        """
        if not _TOKEN.fullmatch(token):
            raise Gone("its journal entry is damaged")
        return self._root / token

    def known(self, token: str) -> Manifest | None:
        """Return the manifest of a job that is prepared, None of any other."""
        return manifests.load(self.directory(token))

    def prepare(self, job: Mapping[str, Any], made: Made | None) -> Manifest:
        """Return a job's manifest, made now unless it was before.

        Args:
            job: As it was journalled.
            made: What writes its files; None when they come from disk.

        Raises:
            Gone: There is nothing to prepare it from.
            OSError: The spool cannot be written; it may be tried again.
        """
        token = str(job["token"])
        found, directory = self.known(token), self.directory(token)
        # What an earlier try has copied is copied over, and what an earlier process has is counted anew.
        self._budget.release(token)
        if found is not None:
            if not job.get("made"):
                self._budget.adjust(token, _size_below(directory, found))
            return found
        durable.make_directory(str(directory))
        found = _written(directory, made) if job.get("made") else self._taken(job, directory)
        manifests.save(directory, found)
        return found

    def again(self, job: Mapping[str, Any]) -> None:
        """Forget the manifest of a job whose file has changed since; the next one says so."""
        (self.directory(str(job["token"])) / manifests.NAME).unlink(missing_ok=True)

    def remove(self, token: str) -> None:
        """Remove what was kept of a job."""
        self._budget.release(token)
        shutil.rmtree(self.directory(token), ignore_errors=True)

    def _taken(self, job: Mapping[str, Any], directory: Path) -> Manifest:
        facts: dict[str, Any] = {}
        references = tuple(_reference(each) for each in job.get("references") or ())
        source = job.get("path")
        if not source:
            return Manifest((), facts, references)
        if not os.path.isdir(source):
            name = walk.name_of(os.path.basename(source))
            entry, taken = self._file(name, source, directory / "0")
            _note_changes(facts, job, taken)
            return Manifest((entry,), facts, references)
        files, left_out = self._tree(job, source, directory, facts)
        if left_out:
            facts["left_out"] = left_out[:MAX_LEFT_OUT]
            facts["left_out_count"] = len(left_out)
        return Manifest(tuple(files), facts, references)

    def _tree(
        self, job: Mapping[str, Any], source: str, directory: Path, facts: dict[str, Any]
    ) -> tuple[list[FileEntry], list[str]]:
        files: list[FileEntry] = []
        left_out: list[str] = []
        for number, found in enumerate(walk.walk(source)):
            if isinstance(found, walk.LeftOut):
                left_out.append(f"{found.path}: {found.why}")
                continue
            try:
                entry, taken = self._file(found.path, found.source, directory / str(number))
            except Gone as error:
                left_out.append(f"{found.path}: {error}")
                continue
            if taken.changed_ns > job.get("at", 0) or taken.was_changing:
                facts["changed_before_snapshot"] = True
            files.append(entry)
        return files, left_out

    def _file(self, path: str, source: str, kept: Path) -> tuple[FileEntry, snapshot.Taken]:
        taken = snapshot.take(source, str(kept), self._budget, kept.parent.name)
        content_type = manifests.content_type_of(path)
        return (
            FileEntry(path, taken.size, taken.sha256, taken.source, taken.mtime_ns, content_type),
            taken,
        )


def _written(directory: Path, made: Made | None) -> Manifest:
    if made is None:
        raise Gone("its process ended before it was written")
    facts = dict(made.write(str(directory)))
    files = []
    for each in facts.pop("files"):
        source = str(directory / each["name"])
        size, sha256 = snapshot.hashed(source)
        files.append(FileEntry(each["name"], size, sha256, source, 0, each["content_type"]))
    return Manifest(tuple(files), facts)


def _size_below(directory: Path, manifest: Manifest) -> int:
    """How many bytes of a manifest are in its job's directory."""
    below = f"{directory}{os.sep}"
    return sum(each.size for each in manifest.files if each.source.startswith(below))


def _note_changes(facts: dict[str, Any], job: Mapping[str, Any], taken: snapshot.Taken) -> None:
    seen = job.get("seen")
    if taken.was_changing or (seen and [taken.size, taken.changed_ns] != list(seen)):
        facts["changed_before_snapshot"] = True


def _reference(uri: Mapping[str, Any]) -> dict[str, Any]:
    """Return a reference, with size and digest where the file is on this machine."""
    found = dict(uri)
    if found["uri"].startswith("file://"):
        from urllib.parse import unquote, urlsplit

        path = unquote(urlsplit(found["uri"]).path)
        try:
            found["sizeBytes"], found["sha256"] = snapshot.hashed(path)
        except OSError as error:
            raise Gone(f"{found['uri']}: {error.strerror or type(error).__name__}") from error
    return found
