"""`wandb.Artifact`: a named set of files, put together by a program or fetched from the server.

Files that are added are copied into a folder of the artifact's own, so that what is
delivered is what it was when it was added. One file or directory without another name is delivered from
where it is.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rundial.compat.wandb.failures import unsupported

if TYPE_CHECKING:
    from rundial.artifacts.handle import ArtifactDownloadHandle
    from rundial.compat.wandb.wandbrun import Run


class Artifact:
    """A named set of files.

    Args:
        name: Its name.
        type: What it is for.
        description: In words.
        metadata: What is known of it.
        incremental: Not used.
        use_as: Not used.
    """

    name: str
    type: str
    description: str | None
    metadata: dict[str, Any]
    aliases: list[str]
    tags: list[str]

    def __init__(
        self,
        name: str,
        type: str,
        description: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        incremental: bool = False,
        use_as: str | None = None,
        **more: Any,
    ) -> None:
        del incremental, use_as, more
        self.name = name
        self.type = type
        self.description = description
        self.metadata = dict(metadata or {})
        self.aliases = []
        self.tags = []
        self.references: dict[str, str] = {}
        self._whole: str | None = None
        self._folder: str | None = None
        self._handle: ArtifactDownloadHandle | None = None
        self._run: Run | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise unsupported(f"Artifact.{name}")

    def __repr__(self) -> str:
        return f"wandb.Artifact({self.name!r}, type={self.type!r})"

    @property
    def version(self) -> str:
        """Its version on the server, such as `v3`; `latest` while that is not known."""
        return self._handle.version if self._handle is not None else "latest"

    @property
    def source_name(self) -> str:
        """Its name as it was given."""
        return self.name

    def add_file(
        self, local_path: Any, name: str | None = None, is_tmp: bool | None = False, **more: Any
    ) -> None:
        """Add a file.

        Raises:
            ValueError: There is none.
        """
        del is_tmp, more
        path = os.path.abspath(os.fspath(local_path))
        if not os.path.isfile(path):
            raise ValueError(f"{path!r} is no file; nothing was added")
        if name is None and self._is_empty():
            self._whole = path
            return
        self._take(path, name or os.path.basename(path))

    def add_dir(self, local_path: Any, name: str | None = None, **more: Any) -> None:
        """Add all files below a directory.

        Raises:
            ValueError: There is none.
        """
        del more
        path = os.path.abspath(os.fspath(local_path))
        if not os.path.isdir(path):
            raise ValueError(f"{path!r} is no directory; nothing was added")
        if name is None and self._is_empty():
            self._whole = path
            return
        for folder, _, names in os.walk(path):
            for each in names:
                source = os.path.join(folder, each)
                self._take(source, os.path.join(name or "", os.path.relpath(source, path)))

    def add_reference(self, uri: Any, name: str | None = None, **more: Any) -> None:
        """Add a file that stays where it is."""
        del more
        text = os.fspath(uri)
        self.references[name or text.rstrip("/").rpartition("/")[2]] = text

    def add(self, obj: Any, name: str) -> None:
        """Add a table or a picture as the files that it is made of."""
        snapshot = obj.snapshot()
        place = os.path.join(self._own_folder(), _inside(name))
        os.makedirs(place, mode=0o700, exist_ok=True)
        snapshot.write(place)

    @contextmanager
    def new_file(self, name: str, mode: str = "x", encoding: str | None = None) -> Iterator[IO[Any]]:
        """Write a file of the artifact."""
        path = os.path.join(self._own_folder(), _inside(name))
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(path, mode, encoding=encoding if "b" in mode else encoding or "utf-8") as file:
            yield file

    @property
    def file_count(self) -> int:
        """How many files it has on the server; 0 until it was fetched."""
        return len(self._handle.artifact.get("files") or []) if self._handle is not None else 0

    def wait(self, timeout: int | None = None) -> Artifact:
        """Wait until it is delivered; offline until it is on disk."""
        if self._run is not None:
            self._run.recorded.flush(timeout)
        return self

    def is_draft(self) -> bool:
        """Whether it has not been logged."""
        return self._run is None and self._handle is None

    def save(self, *given: Any, **more: Any) -> None:
        """Log it into the current run."""
        from rundial.compat.wandb import active

        del given, more
        active.log_artifact(self)

    def download(self, root: Any = None, **more: Any) -> str:
        """Write all its files below a directory; returns the directory.

        Raises:
            rundial.ArtifactError: A file cannot be had, or is not what was recorded.
        """
        del more
        if self._handle is None:
            raise ValueError(f"artifact {self.name!r} was not fetched from a server: use run.use_artifact")
        place = Path(root) if root is not None else Path("artifacts") / f"{self.name}-{self.version}"
        return str(self._handle.download(place))

    def file(self, root: Any = None) -> str:
        """Write its only file below a directory; returns the file's path.

        Raises:
            ValueError: It has several.
        """
        place = self.download(root)
        files = (
            [str(each["path"]) for each in (self._handle.artifact.get("files") or [])] if self._handle else []
        )
        if len(files) != 1:
            raise ValueError(f"artifact {self.name!r} has {len(files)} files, not one")
        return os.path.join(place, files[0])

    def deliver(self, run: Run, aliases: Sequence[str] | None, tags: Sequence[str] | None) -> None:
        """Log it into a run."""
        self._run = run
        self.aliases = list(aliases or [])
        self.tags = list(tags or [])
        known = {"description": self.description, "tags": self.tags or None, **self.metadata}
        if self._folder is not None:
            run.staged.append(self._folder)
        run.recorded.log_artifact(
            self._whole if self._folder is None else self._folder,
            name=self.name,
            type=self.type,
            metadata={name: value for name, value in known.items() if value is not None} or None,
            aliases=[alias for alias in self.aliases if alias != "latest"] or None,
            references=self.references or None,
        )

    def fetched(self, run: Run, handle: ArtifactDownloadHandle) -> Artifact:
        """Be an artifact of the server's."""
        self._run, self._handle = run, handle
        self.name = handle.name
        self.type = str(handle.artifact.get("artifactType") or self.type)
        self.metadata = dict(handle.metadata)
        self.aliases = list(handle.artifact.get("aliases") or [])
        return self

    def _is_empty(self) -> bool:
        return self._whole is None and self._folder is None

    def _own_folder(self) -> str:
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="rundial-artifact-")
            if self._whole is not None:
                whole, self._whole = self._whole, None
                (self.add_dir if os.path.isdir(whole) else self.add_file)(whole, None)
        return self._folder

    def _take(self, source: str, name: str) -> None:
        target = os.path.join(self._own_folder(), _inside(name))
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        if os.path.lexists(target):
            os.unlink(target)
        # Never a link: a program that writes its checkpoint again would change what was added.
        shutil.copyfile(source, target)


def given(what: Any, name: str, kind: str | None) -> Artifact:
    """Return what `log_artifact` was given as an artifact.

    Raises:
        ValueError: There is nothing at the path.
    """
    if isinstance(what, Artifact):
        return what
    path = os.fspath(what)
    artifact = Artifact(name, kind or "unspecified")
    if "://" in path:
        artifact.add_reference(path)
    else:
        (artifact.add_dir if os.path.isdir(path) else artifact.add_file)(path)
    return artifact


def used(run: Run, what: Any) -> Artifact:
    """Return an artifact of the server's.

    Raises:
        rundial.RundialRequestError: The run is not online, or the server does not know it.
    """
    name = what.name if isinstance(what, Artifact) else str(what)
    # W&B's references may begin with entity and project; here an artifact belongs to its project.
    handle = run.recorded.use_artifact(name.rpartition("/")[2])
    return Artifact(handle.name, "unspecified").fetched(run, handle)


def _inside(name: str) -> str:
    """Return a name that leads nowhere else.

    Raises:
        ValueError: It does.
    """
    parts = Path(name).parts
    if not parts or os.path.isabs(name) or ".." in parts:
        raise ValueError(f"name {name!r} leads out of the artifact; nothing was added")
    return os.path.join(*parts)
