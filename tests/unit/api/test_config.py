"""A run's config as a program reads and writes it, and what that leaves on disk."""

from __future__ import annotations

import argparse
import copy
import json
import pickle
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest

from rundial.api.run import Run
from rundial.errors import ConfigError, RunFinishedError
from rundial.server.registers import Register, values_of, written
from tests.support.recorded import Recorded

Read = Callable[[Run], Recorded]
Start = Callable[..., Run]
Told = list[warnings.WarningMessage]
CONFIG_EVENTS = ("rundial.run.start", "rundial.run.config")


def folded(found: Recorded) -> dict[str, Any]:
    """The config that a server makes of what was recorded."""
    registers: dict[str, Register] = {}
    for event in found.events:
        if event.event_name in CONFIG_EVENTS:
            stamp = (event.time_unix_ns, "i", event.attributes["rundial.seq"])
            registers = dict(written(registers, event.body, "config", stamp))
    return values_of(registers)


def test_config_reads_what_the_run_was_started_with(start: Start, read: Read) -> None:
    """What a program is configured with is what it reads and what the server gets."""
    given = {"lr": 0.1, "seed": 2**62, "layers": [64, (32, 16)], "model": {"bias": True, "name": None}}
    run = start(config=given)

    expected = {**given, "layers": [64, [32, 16]]}
    assert run.config == expected
    assert folded(read(run)) == expected


def test_writes_at_any_depth_are_recorded(start: Start, read: Read) -> None:
    """Every way to change a dictionary changes the run's config, here and on the server alike."""
    run = start(config={"lr": 0.1, "model": {"depth": 3, "heads": 2}, "old": 1, "gone": 1, "last": 1})
    config = run.config
    config["lr"] = 0.2
    config["model"]["depth"] = 4
    config["model"]["norm"] = {"eps": 1e-5}
    config["model"]["norm"]["eps"] = 1e-6
    del config["model"]["heads"]
    config.update({"seed": 1}, name="night")
    config |= {"batch": 8}
    assert config.setdefault("seed", 2) == 1
    assert config.setdefault("epochs", 3) == 3
    assert (config.pop("gone"), config.pop("never", None)) == (1, None)
    config["sub"] = {"a": 1}
    config["sub"].clear()
    assert config.popitem() == ("sub", {})

    expected = {
        "lr": 0.2,
        "model": {"depth": 4, "norm": {"eps": 1e-6}},
        "old": 1,
        "last": 1,
        "seed": 1,
        "name": "night",
        "batch": 8,
        "epochs": 3,
    }
    assert run.config == expected
    assert folded(read(run)) == expected


def test_a_mapping_that_was_replaced_changes_nothing_any_more(start: Start, read: Read) -> None:
    """A reference that a program still holds to an old part does not write into the new one."""
    run = start(config={"model": {"depth": 3}})
    old = run.config["model"]
    run.config["model"] = {"depth": 1}
    old["depth"] = 9

    assert run.config == folded(read(run)) == {"model": {"depth": 1}}


def test_update_config_takes_mappings_and_namespaces(run: Run, read: Read) -> None:
    """`update_config` says whether the change is recorded."""
    assert run.update_config({"lr": 0.1}, timeout_seconds=1.0)
    assert run.update_config(argparse.Namespace(seed=1))  # type: ignore[arg-type]  # what is tested

    assert folded(read(run)) == {"lr": 0.1, "seed": 1}


def test_update_config_of_what_is_no_mapping_is_told_and_changes_nothing(run: Run, told: Told) -> None:
    """A mistake in a call costs the program nothing and is told once."""
    assert run.update_config(3) is False  # type: ignore[arg-type]  # what is tested

    assert run.config == {}
    assert "takes a mapping, not int" in str(told[-1].message)


def test_config_of_what_is_no_mapping_starts_nothing(start: Start) -> None:
    """A wrong config is an error before anything is recorded."""
    with pytest.raises(ConfigError, match="must be a mapping, not list"):
        start(config=[1])


def test_a_change_after_the_end_is_refused_and_told(start: Start, read: Read, told: Told) -> None:
    """What cannot be recorded any more is never passed over in silence."""
    run = start(config={"lr": 0.1})
    run.finish()

    assert run.update_config({"lr": 0.2}) is False
    run.config["lr"] = 0.3
    assert "after the run had finished" in str(told[-1].message)
    assert folded(read(run)) == {"lr": 0.1}


def test_a_change_after_the_end_raises_in_strict_mode(start: Start) -> None:
    """A test suite finds the write that comes too late."""
    run = start(strict=True)
    run.finish()

    with pytest.raises(RunFinishedError, match="config"):
        run.config["lr"] = 0.3


@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_what_a_config_cannot_keep_is_counted_and_told_once(start: Start, told: Told, mode: str) -> None:
    """Limits are visible, never silent, also where nothing is recorded."""
    run = start(config={"seed": 2**70, "prompt": "x" * 100_000}, mode=mode)
    run.config["more"] = "y" * 100_000
    run.config["more"] = "y" * 100_000

    assert run.diagnostics().config_truncations == 4
    assert run.config["prompt.rundial.original_bytes"] == 100_000
    assert [str(each.message).split(":")[0] for each in told] == ["seed", "more"]


def test_a_config_beyond_one_event_arrives_whole(start: Start, read: Read) -> None:
    """A config of hundreds of kilobytes is not cut."""
    given = {"model": {f"layer{number}": "z" * 1000 for number in range(300)}, "lr": 0.1}
    run = start(config=given)

    assert folded(read(run)) == given
    assert run.diagnostics().config_truncations == 0


def test_secrets_stay_here(start: Start, read: Read) -> None:
    """A key in the config is there for the program and never on disk, however it got in."""
    secret = "hf_abcdefghijklmnopqrstuvwxyz"
    run = start(config={"api_key": secret, "login": {}})
    run.config["login"]["password"] = "hunter2"
    run.update_config({"hub_token": secret})
    run.config["credentials"] = {}
    run.config["credentials"]["user"] = "ada"

    assert (run.config["api_key"], run.config["login"]["password"]) == (secret, "hunter2")
    assert folded(read(run)) == {
        "api_key": "[redacted]",
        "login": {"password": "[redacted]"},
        "hub_token": "[redacted]",
        "credentials": {"user": "[redacted]"},
    }


def test_config_is_a_dictionary_to_everybody_else(start: Start) -> None:
    """It can be dumped, pickled for a worker, copied and unpacked; copies record nothing."""
    given = {"lr": 0.1, "model": {"depth": 3}}
    run = start(config=given)
    copies = [
        json.loads(json.dumps(run.config)),
        pickle.loads(pickle.dumps(run.config)),
        copy.deepcopy(run.config),
        run.config.copy(),
    ]

    assert copies == [given] * 4
    assert {type(each) for each in copies} == {dict}
    assert type(run.config.copy()["model"]) is dict


def test_the_callers_own_mapping_is_left_alone(start: Start) -> None:
    """A config that a program goes on changing is neither changed by the run nor followed by it."""
    given = {"model": {"depth": 3}}
    run = start(config=given)
    given["model"]["depth"] = 9
    run.config["model"]["depth"] = 4

    assert (given["model"]["depth"], run.config["model"]["depth"]) == (9, 4)


def test_threads_share_one_config(start: Start, read: Read) -> None:
    """Writes from several threads all arrive, whoever looked at the config first."""
    run = start()
    gate = threading.Barrier(8)

    def work(number: int) -> None:
        gate.wait(10)
        run.config[f"thread{number}"] = number

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    expected = {f"thread{number}": number for number in range(8)}
    assert run.config == folded(read(run)) == expected
