"""Scripts written for W&B's client, with only the import line changed, store what the real client stores."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import wandb_page, wandbpeer

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))
# Beside the table, which both have, a chart of ours is a figure.
CHARTS = {("bar", 3)}


@pytest.fixture(scope="module")
def real(request: pytest.FixtureRequest) -> Path:
    """The interpreter of an environment with the real client."""
    return wandbpeer.interpreter(Path(str(request.config.rootpath)) / ".pytest_cache" / "peers")


@pytest.mark.e2e
@pytest.mark.timeout(400)
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_with_its_import_changed_stores_what_the_real_client_stores(
    path: Path, real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same keys, steps, values, media, config, name and tags."""
    monkeypatch.setenv("RUNDIAL_SYSTEM_METRICS", "false")
    script = path.read_text(encoding="utf-8")
    theirs, _ = wandbpeer.run_theirs(real, script, tmp_path / "theirs")
    ours, recorded = wandbpeer.run_ours(script, tmp_path / "ours")

    assert theirs.numbers
    assert ours.numbers == theirs.numbers
    assert ours.texts == theirs.texts
    assert {at: kind for at, kind in ours.media.items() if at not in CHARTS} == theirs.media
    assert ours.config == theirs.config
    assert ours.facts == theirs.facts
    assert recorded.status == "completed"


@pytest.mark.e2e
@pytest.mark.timeout(400)
def test_page_lists_every_public_name_of_the_real_client(real: Path) -> None:
    """No name is overlooked, and none is made up."""
    assert wandb_page.listed(real) == wandb_page.names()


def test_page_has_the_table_of_the_names() -> None:
    """What the page says of a name is what a script finds."""
    (table,) = wandb_page.TABLE.findall(wandb_page.PAGE.read_text(encoding="utf-8"))

    assert table == wandb_page.table(), "write it anew: python -m tests.support.wandb_page"


def test_notes_of_the_page_are_of_names_that_there_are() -> None:
    """A remark on a name that is gone, or has come, is noticed."""
    names = wandb_page.names()

    assert [name for name in (*wandb_page.PARTIAL, *wandb_page.INSTEAD) if name not in names] == []
    assert [name for name in wandb_page.PARTIAL if wandb_page.status(name) != "partial"] == []
    assert [name for name in wandb_page.INSTEAD if wandb_page.status(name) != "no"] == []
