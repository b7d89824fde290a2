"""`make fuzz`: mutate requests under coverage guidance until told to stop, or until one breaks a promise.

    python -m tests.fuzz [-max_total_time=SECONDS] [libFuzzer's other options] [CORPUS]

An input that breaks one is written to `crash-…` in the current directory, and replayed by
`python -m tests.fuzz crash-…`.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["rundial.server", "rundial.signals"]):
    from tests.fuzz.seeds import seeds
    from tests.fuzz.targets import run


def main() -> None:
    """Fuzz."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds()):
            (Path(corpus) / f"seed-{number}").write_bytes(seed)
        options = ["-rss_limit_mb=1024", "-timeout=20", "-max_len=4096"]
        has_input = any(not each.startswith("-") for each in sys.argv[1:])
        atheris.Setup([sys.argv[0], *options, *sys.argv[1:], *([] if has_input else [corpus])], run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
