"""Names in paths."""

from __future__ import annotations

import pytest

from rundial.api.calls import paths


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("a/../b", "a%2F..%2Fb"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("é?#%", "%C3%A9%3F%23%25"),
        ("a.b-c_d", "a.b-c_d"),
    ],
)
def test_a_name_is_one_part_of_a_path(name: str, escaped: str) -> None:
    """No name reaches another route than the one it is meant for."""
    assert paths.part(name) == escaped
    assert paths.project(name, name) == f"/api/v1/workspaces/{escaped}/projects/{escaped}"
    assert paths.run(name) == f"/api/v1/runs/{escaped}"
