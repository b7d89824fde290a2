"""Print what this version lacks of the published surface: `python -m tests.support.published_api`."""

from __future__ import annotations

import sys

from tests.support.published_api.comparison import missing

sys.stdout.write("".join(f"{line}\n" for line in missing()))
