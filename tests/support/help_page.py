"""docs/cli-help.md: what `--help` prints of each command, made from the commands themselves.

`python -m tests.support.help_page` writes it; a contract test compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from rundial.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "cli-help.md"
WIDTH = 100
HEAD = (
    "# Help pages\n\nWhat `--help` prints of each command. "
    "The options of `rundial` alone are taken by every command, before or after its name.\n"
)


def page() -> str:
    """Return the whole page."""
    return HEAD + "".join(
        f"\n## `{path}`\n\n```text\n{text}\n```\n" for path, text in sorted(_helps(main, "rundial", None))
    )


def _helps(command: click.Command, path: str, above: click.Context | None) -> Iterator[tuple[str, str]]:
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    ctx = click.Context(command, info_name=path.rpartition(" ")[2], parent=above, **settings)
    lines = command.get_help(ctx).splitlines()
    yield path, "\n".join(line.rstrip() for line in lines)
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from _helps(child, f"{path} {name}", ctx)


if __name__ == "__main__":
    PAGE.write_text(page())
