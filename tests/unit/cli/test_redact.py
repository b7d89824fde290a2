"""`rundial redact --dry-run`: what would leave this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.shell import rundial

CONFIG = {"lr": 0.1, "api_key": "do-not-send", "data": {"url": "s3://me:do-not-send@bucket"}}


def test_dry_run_shows_the_environment_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run started here would tell of its environment can be read before it does."""
    # Where the tests run is among what is told.
    monkeypatch.delenv("CI", raising=False)
    done = rundial("redact", "--dry-run", "--json", CUDA_VISIBLE_DEVICES="0", HF_TOKEN="do-not-send")

    environment = done.found["environment"]
    assert done.status == 0
    assert environment["variables"] == {"CUDA_VISIBLE_DEVICES": "0"}
    assert "pytest" in environment["packages"]
    assert "do-not-send" not in done.stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("config.json", json.dumps(CONFIG)),
        ("config.toml", 'lr = 0.1\napi_key = "do-not-send"\n[data]\nurl = "s3://me:do-not-send@bucket"\n'),
    ],
)
def test_dry_run_shows_a_config_without_secrets(tmp_path: Path, name: str, text: str) -> None:
    """A config is shown as a run would send it."""
    (tmp_path / name).write_text(text)
    done = rundial("redact", "--dry-run", "--json", "--config", str(tmp_path / name))

    clean = {"lr": 0.1, "api_key": "[redacted]", "data": {"url": "s3://[redacted]@bucket"}}
    assert done.found["config"] == clean


def test_dry_run_prints_for_a_person(tmp_path: Path) -> None:
    """Without --json each fact is a line."""
    (tmp_path / "c.json").write_text(json.dumps(CONFIG))
    done = rundial("redact", "--dry-run", "--config", str(tmp_path / "c.json"))

    assert done.status == 0
    assert "  api_key  [redacted]" in done.stdout.splitlines()
    assert "do-not-send" not in done.stdout


def test_without_dry_run_it_says_what_it_is_for() -> None:
    """The command changes nothing, and says so instead of pretending."""
    done = rundial("redact")

    assert (done.status, done.stdout) == (1, "")
    assert "--dry-run" in done.stderr


@pytest.mark.parametrize("text", ["[1]", "{", "\ufeff"])
def test_file_that_is_no_config_is_named(tmp_path: Path, text: str) -> None:
    """A file that holds no mapping is an error of one line that names it."""
    (tmp_path / "c.json").write_text(text)
    done = rundial("redact", "--dry-run", "--config", str(tmp_path / "c.json"))

    assert done.status == 1
    assert "c.json" in done.stderr
    assert "Traceback" not in done.stderr
