"""Shells that a person types into, with what completes `rundial`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support.terminal import Terminal

# How each is started without anybody's settings, and what its `rundial` is completed by.
STARTED = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "-i"),
}
PREPARED = {
    "bash": "PS1='ready> '; bind 'set bell-style none'; eval \"$(rundial completion bash)\"",
    "zsh": "PS1='ready> '; autoload -Uz compinit; compinit -u -D; eval \"$(rundial completion zsh)\"",
    "fish": "function fish_prompt; echo 'ready> '; end; rundial completion fish | source",
}


class Shell(Terminal):
    """A shell on a terminal of its own, in which `rundial` is the one under test.

    Args:
        name: bash, zsh or fish.
        environment: Variables beside the test's own.
        place: Where the command lies; made by the test.
    """

    def __init__(self, name: str, *, environment: dict[str, str], place: Path) -> None:
        program = place / "rundial"
        if not program.exists():
            program.write_text(f'#!/bin/sh\nexec {sys.executable} -m rundial "$@"\n')
            program.chmod(0o755)
        path = {"PATH": f"{place}:/usr/local/bin:/usr/bin:/bin", "HOME": str(place)}
        super().__init__(
            program=STARTED[name], columns=200, environment={**environment, **path, "TERM": "dumb"}
        )
        self.send(f"{PREPARED[name]}; echo pre''pared\n")
        self.wait_for("prepared")

    def completed(self, typed: str, words: str) -> str:
        """Type something and Tab, wait for what it becomes, and return that line; nothing is run."""
        begin = len(self.text)
        self.send(f"{typed}\t")
        self.wait_for(words, begin=begin)
        self.send("\x15")
        return self.text[begin:]
