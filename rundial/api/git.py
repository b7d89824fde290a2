"""What git says about a directory: commit, branch, remote, whether it is dirty, and the difference.

Each question is one `git` process with what is left of one deadline. It never asks for a password,
takes no optional lock, and runs none of the programs that a repository's own configuration may name
(file system monitors, external diffs, pagers). No repository, no git or no time: no answer, no error.

Runs on the thread that gathers a run's environment.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import time

from rundial.typed import Any

DEADLINE_S = 5.0
MAX_DIFF_BYTES = 48 * 1024
_MAX_ANSWER_BYTES = 8 * 1024
_USERINFO = re.compile(r"(?<=://)[^/\s]*@")
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat", "GIT_ASKPASS": "true"}
_SAFE = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-pager")


class Git:
    """Asks git about one directory.

    Args:
        directory: Where; its parents are looked through for a repository first.
        deadline_s: Seconds that all questions may take together.
    """

    def __init__(self, directory: str, *, deadline_s: float = DEADLINE_S) -> None:
        self._directory = directory
        self._end = time.monotonic() + deadline_s

    def facts(self) -> dict[str, Any]:
        """Return `commit`, `branch`, `remote` and `dirty`; empty outside of a repository.

        `dirty` is None when git did not say in time; `branch` is None for a detached head.
        """
        if not self._is_in_a_repository():
            return {}
        commit = self._line("rev-parse", "--verify", "HEAD")
        branch = self._line("symbolic-ref", "--short", "-q", "HEAD")
        remote = self._line("remote", "get-url", "origin")
        changes = self._ask(
            "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty", limit=1
        )
        dirty = None if changes is None else bool(changes)
        return {
            "commit": commit or None,
            "branch": branch or None,
            "remote": _USERINFO.sub("", remote) or None,
            "dirty": dirty,
        }

    def difference(self) -> tuple[str, bool]:
        """Return what tracked files differ in from the commit, and whether it was cut."""
        diff = self._ask(
            "diff", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD", "--", limit=MAX_DIFF_BYTES + 1
        )
        text = (diff or b"")[:MAX_DIFF_BYTES].decode("utf-8", "replace")
        return text, len(diff or b"") > MAX_DIFF_BYTES

    def _is_in_a_repository(self) -> bool:
        # Most programs that run outside of one need no process to find out.
        if os.environ.get("GIT_DIR"):
            return True
        place, below = os.path.abspath(self._directory), ""
        while place != below:
            if os.path.exists(f"{place}/.git"):
                return True
            place, below = os.path.dirname(place), place
        return False

    def _line(self, *question: str) -> str:
        answer = self._ask(*question)
        return (answer or b"").decode("utf-8", "replace").strip()

    def _ask(self, *question: str, limit: int = _MAX_ANSWER_BYTES) -> bytes | None:
        """Return at most `limit` bytes of an answer; None when there is none in time."""
        try:
            with subprocess.Popen(
                ["git", *_SAFE, *question],
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | _QUIET,
            ) as process:
                try:
                    return self._read(process, limit)
                finally:
                    process.kill()
        except (OSError, subprocess.SubprocessError):
            # No git, no directory, or a process that does not end.
            return None

    def _read(self, process: subprocess.Popen[bytes], limit: int) -> bytes | None:
        assert process.stdout is not None
        number = process.stdout.fileno()
        poll = select.poll()
        poll.register(number, select.POLLIN | select.POLLHUP)
        answer = b""
        while len(answer) < limit:
            left_s = self._end - time.monotonic()
            if left_s <= 0 or not poll.poll(left_s * 1000):
                return None
            piece = os.read(number, limit - len(answer))
            if not piece:
                status = process.wait(max(0.1, self._end - time.monotonic()))
                return answer if status == 0 else None
            answer += piece
        return answer


def directory_of(main_file: str | None, cwd: str) -> str:
    """Return where a program's own repository is looked for: beside its script, else where it runs."""
    if main_file:
        parent = os.path.dirname(os.path.abspath(main_file))
        if os.path.isdir(parent) and "site-packages" not in parent.split(os.path.sep):
            return parent
    return cwd
