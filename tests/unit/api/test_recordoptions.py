"""A client's options, checked when it is made."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import rundial_sdk
from rundial.api import recordoptions
from rundial.api.calls.shapes import Options
from rundial.api.client import Client
from rundial.errors import ConfigError
from rundial.settings import OPTIONS
from tests.support.processes import own_parts

URL = "http://127.0.0.1:8787"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"spool_max_byte": 1}, "did you mean spool_max_bytes"),
        ({"colour": "red"}, "known options: .*spool_directory"),
        ({"spool_max_bytes": 10}, "spool_max_bytes 10 is below its minimum"),
        ({"mode": "sometimes"}, "mode 'sometimes' must be one of"),
        ({"mode": "offline", "spool_enabled": False}, "offline.*spool_enabled"),
        ({"distributed": "some"}, "rank0 or all"),
        ({"distributed_rank": -1}, "whole number from 0"),
        ({"project": "digits"}, "project belongs to a run"),
        ({"transport": object()}, "transport cannot be injected.*OTLP"),
        ({"artifact_transport": object()}, "artifact_transport cannot be injected"),
    ],
)
def test_a_wrong_option_is_told_when_the_client_is_made(options: dict[str, Any], words: str) -> None:
    """A client that could not record says so at once, naming the option and what would do."""
    with pytest.raises(ConfigError, match=words):
        Client(URL, **options)


def test_options_of_the_published_client_are_taken(tmp_path: Path) -> None:
    """A script for the published client passes its options, None among them."""
    client = rundial_sdk.RundialClient(
        URL,
        mode="offline",
        distributed="all",
        distributed_rank=3,
        spool_directory=tmp_path,
        spool_max_bytes=1 << 27,
        spool_max_age_seconds=86400,
        flush_interval_seconds=0.25,
        request_timeout_seconds=5.0,
        system_metrics=False,
        system_metrics_interval_seconds=10.0,
        system_metrics_backpressure_threshold=0.8,
        system_metrics_provider=None,
        capture_console=False,
        start_worker_on_init=True,
        transport=None,
        artifact_transport=None,
    )

    assert client.endpoint == URL


def test_every_setting_of_recording_is_a_typed_option() -> None:
    """An editor completes each option, and a type checker knows its type."""
    settings = {name for option in OPTIONS for name in option.names} - recordoptions._OF_A_RUN
    explicit = set(inspect.signature(Client).parameters)

    assert set(Options.__annotations__) == (settings - explicit) | set(recordoptions._SEAMS)


def test_a_clients_timeout_is_its_telemetrys_too(tmp_path: Path) -> None:
    """What a program allows a request counts for every request that it causes, and None for none."""
    with own_parts():
        given = Client(URL, mode="offline", spool_directory=tmp_path, request_timeout_seconds=0.7)
        left = Client(URL, mode="offline", spool_directory=tmp_path)
        found = [each.run(project_id="p", run_id="r").settings for each in (given, left)]

    assert [each.request_timeout_seconds for each in found] == [0.7, 10.0]
