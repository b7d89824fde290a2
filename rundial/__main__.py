"""`python -m rundial` is the command `rundial`."""

from __future__ import annotations

from rundial.cli.main import main

if __name__ == "__main__":
    main(prog_name="rundial")
