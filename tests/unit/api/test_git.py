"""What git says about a program's directory, asked of a real git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rundial.api.git import MAX_DIFF_BYTES, Git, directory_of

IDENTITY = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")


def git(directory: Path, *words: str) -> str:
    """Run git and return what it said."""
    done = subprocess.run(
        ["git", *IDENTITY, *words], cwd=directory, check=True, capture_output=True, text=True, timeout=15
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit and a remote whose URL holds a password."""
    place = tmp_path / "repository"
    place.mkdir()
    git(place, "init", "-q")
    (place / "train.py").write_text("lr = 0.1\n")
    git(place, "add", ".")
    git(place, "commit", "-qm", "first")
    git(place, "remote", "add", "origin", "https://me:hunter2@host.example/team/repo.git")
    return place


def test_clean_repository_is_described(repository: Path) -> None:
    """Commit, branch and remote are told; the remote's user and password are not."""
    assert Git(str(repository)).facts() == {
        "commit": git(repository, "rev-parse", "HEAD"),
        "branch": "main",
        "remote": "https://host.example/team/repo.git",
        "dirty": False,
    }
    assert Git(str(repository)).difference() == ("", False)


def test_change_makes_it_dirty_and_is_the_difference(repository: Path) -> None:
    """A changed file is seen and shown; one that git does not know is not."""
    (repository / "new.py").write_text("x")
    assert Git(str(repository)).facts()["dirty"] is False
    (repository / "train.py").write_text("lr = 0.2\n")

    assert Git(str(repository)).facts()["dirty"] is True
    text, is_cut = Git(str(repository)).difference()
    assert "-lr = 0.1\n+lr = 0.2\n" in text
    assert not is_cut


def test_large_difference_is_cut(repository: Path) -> None:
    """A difference of megabytes is cut at its limit, and says so."""
    (repository / "train.py").write_text("x = 1\n" * 1_000_000)
    text, is_cut = Git(str(repository)).difference()

    assert len(text.encode()) == MAX_DIFF_BYTES
    assert is_cut


def test_subdirectory_and_detached_head(repository: Path) -> None:
    """A program below the top is in the repository; without a branch the commit is still told."""
    below = repository / "src" / "deep"
    below.mkdir(parents=True)
    git(repository, "checkout", "-q", "--detach")
    found = Git(str(below)).facts()

    assert (found["branch"], found["commit"]) == (None, git(repository, "rev-parse", "HEAD"))


def test_repository_without_a_commit(tmp_path: Path) -> None:
    """A repository that was just made has a branch and no commit."""
    git(tmp_path, "init", "-q")

    assert Git(str(tmp_path)).facts() == {"commit": None, "branch": "main", "remote": None, "dirty": False}


def test_no_repository_no_directory_and_no_git_say_nothing(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside of a repository, or without git, there is nothing to tell and nothing is raised."""
    assert Git(str(tmp_path)).facts() == {}
    assert Git(str(tmp_path / "gone")).facts() == {}
    monkeypatch.setenv("PATH", str(tmp_path))

    assert Git(str(repository)).facts() == {"commit": None, "branch": None, "remote": None, "dirty": None}


def test_git_that_hangs_costs_the_deadline_and_leaves_no_process(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A git that never answers, on a dead file server, is given up and ended."""
    slow = tmp_path / "bin"
    slow.mkdir()
    (slow / "git").write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/pids\nexec tail -f /dev/null\n")
    (slow / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(slow), prepend=os.pathsep)

    assert Git(str(repository), deadline_s=0.3).facts()["commit"] is None
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert pids
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []


def test_programs_of_the_repositorys_own_are_not_run(repository: Path, tmp_path: Path) -> None:
    """A repository cannot have its file system monitor or external diff run by looking at it."""
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    git(repository, "config", "core.fsmonitor", str(trap))
    git(repository, "config", "diff.external", str(trap))
    (repository / "train.py").write_text("lr = 0.2\n")

    assert Git(str(repository)).facts()["dirty"] is True
    assert "+lr = 0.2" in Git(str(repository)).difference()[0]
    assert not (tmp_path / "sprung").exists()


def test_repository_is_looked_for_beside_the_script(tmp_path: Path) -> None:
    """A script belongs to the repository that it lies in; without a script the directory counts."""
    assert directory_of(str(tmp_path / "train.py"), "/") == str(tmp_path)
    assert directory_of(None, "/w") == "/w"
    assert directory_of("/x/site-packages/tool/__main__.py", "/w") == "/w"
