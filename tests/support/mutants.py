"""What `make mutants` adds to the suite; pytest loads it for nothing else.

Each of thousands of small defects is tried against the same few examples, so that a verdict is
cheap and can be had again.
"""

from __future__ import annotations

import os

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "mutants", deadline=None, max_examples=20, derandomize=True, database=None
)


@pytest.hookimpl
def pytest_sessionstart() -> None:
    """Let the programs that tests start run the code as it stands while mutmut learns which test runs what.

    It could not follow them there. Itself it remembers without the variable what it is doing.
    """
    if os.environ.get("MUTANT_UNDER_TEST") == "stats":
        del os.environ["MUTANT_UNDER_TEST"]
