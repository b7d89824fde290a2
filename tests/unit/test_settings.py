"""The settings of a run: one table, one precedence, and errors that say what to do."""

from __future__ import annotations

import json
import math
import os
import pickle
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import rundial as rd
from rundial import profiles
from rundial.api import session
from rundial.errors import ConfigError
from rundial.settings import OPTIONS, Option, Settings, resolve


def of(
    arguments: dict[str, object] | None = None,
    environ: dict[str, str] | None = None,
    profile: dict[str, object] | None = None,
) -> Settings:
    """Resolve with a project, which every run needs."""
    return resolve({"project": "digits", **(arguments or {})}, environ=environ or {}, profile=profile or {})


def test_precedence_is_argument_environment_profile_opentelemetry_default() -> None:
    """The nearest to the program wins: argument, RUNDIAL_*, profile, OTEL_*, default."""
    otel = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://otel:4318"}
    profile: dict[str, str | None] = {"endpoint": "http://profile:1"}
    ours = {**otel, "RUNDIAL_ENDPOINT": "http://env:1"}

    assert of().endpoint == "http://127.0.0.1:8787"
    assert of(environ=otel).endpoint == "http://otel:4318"
    assert of(environ=otel, profile=profile).endpoint == "http://profile:1"
    assert of(environ=ours, profile=profile).endpoint == "http://env:1"
    assert of({"endpoint": "http://argument:1/"}, ours, profile).endpoint == "http://argument:1"


OTEL = "OTEL_EXPORTER_OTLP_ENDPOINT"
SERVER, ONE, TWO = "http://server:1", "http://one:1", "http://two:1"


@pytest.mark.parametrize(
    ("given", "environ", "profile", "expected"),
    [
        ({}, {}, {}, (False, "http://127.0.0.1:8787", ())),
        ({}, {OTEL: ONE}, {}, (True, ONE, (ONE,))),
        # OpenTelemetry's variables are the application's: they count where nothing else is said.
        ({"endpoint": SERVER}, {OTEL: ONE}, {}, (False, SERVER, ())),
        ({}, {OTEL: ONE}, {"endpoint": SERVER}, (False, SERVER, ())),
        ({}, {OTEL: "no URL"}, {"endpoint": SERVER}, (False, SERVER, ())),
        # The one that is named closer to the program, both where they are named alike.
        ({"otlp_endpoint": ONE}, {"RUNDIAL_ENDPOINT": SERVER}, {}, (True, ONE, (ONE,))),
        ({"endpoint": SERVER}, {"RUNDIAL_OTLP_ENDPOINT": ONE}, {}, (False, SERVER, ())),
        ({}, {"RUNDIAL_OTLP_ENDPOINT": ONE}, {"endpoint": SERVER}, (True, ONE, (ONE,))),
        ({"endpoint": SERVER, "otlp_endpoint": [ONE, TWO]}, {}, {}, (False, SERVER, (ONE, TWO))),
        ({"otlp_endpoint": f"{ONE}/, {TWO}"}, {OTEL: SERVER}, {}, (True, ONE, (ONE, TWO))),
        ({}, {"RUNDIAL_ENDPOINT": SERVER, "RUNDIAL_OTLP_ENDPOINT": ONE}, {}, (False, SERVER, (ONE,))),
        # All three signals, or the general one: a part of a run is no run.
        ({}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": ONE}, {}, (False, "http://127.0.0.1:8787", ())),
        ({}, {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": ONE}, {}, (False, "http://127.0.0.1:8787", ())),
        (
            {},
            {
                f"OTEL_EXPORTER_OTLP_{name}_ENDPOINT": f"{ONE}/v1/logs"
                for name in ("LOGS", "METRICS", "TRACES")
            },
            {},
            (True, ONE, (ONE,)),
        ),
    ],
)
def test_a_run_goes_to_the_endpoint_that_is_named_closest(
    given: dict[str, object],
    environ: dict[str, str],
    profile: dict[str, object],
    expected: tuple[object, ...],
) -> None:
    """The control API is left out where an OTLP endpoint takes the server's place."""
    found = of(given, environ, profile)

    assert (found.is_plain_otlp, found.endpoint, found.otlp_endpoint) == expected


def test_exporters_are_objects_or_named_by_what_makes_them() -> None:
    """An object of OpenTelemetry's own kind, in a list; in a variable, `module:name` of what makes one."""
    exporter = InMemorySpanExporter()
    name = "opentelemetry.sdk.trace.export.in_memory_span_exporter:InMemorySpanExporter"

    assert of({"exporters": [exporter]}).exporters == (exporter,)
    (named,) = of(environ={"RUNDIAL_EXPORTERS": name}).exporters
    assert (named.name, named.make) == (name, InMemorySpanExporter)
    for wrong in (exporter, [json], ["x"]):
        with pytest.raises(ConfigError, match=r"exporters .*must be"):
            of({"exporters": wrong})


def test_headers_are_by_endpoint_and_never_shown() -> None:
    """A header may be a key: it is said for whom, and no text about the settings holds it."""
    one = of({"otlp_endpoint": ONE, "otlp_headers": {"X-Token": "s3cret"}})
    two = of({"otlp_endpoint": [ONE, TWO], "otlp_headers": {f"{TWO}/": {"X-Token": "s3cret"}}})
    text = of(environ={"RUNDIAL_OTLP_ENDPOINT": ONE, "RUNDIAL_OTLP_HEADERS": "x-token=s%33cret"})

    assert one.otlp_headers == text.otlp_headers == {"": {"x-token": "s3cret"}}
    assert two.otlp_headers == {TWO: {"x-token": "s3cret"}}
    assert "s3cret" not in f"{one!r}{two!r}{text!r}"


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ("s3cret", "must have names"),
        ({"x-token": "s3cret\r\nx: y"}, "must have values that HTTP can carry"),
        ({"x token": "s3cret"}, "must have names of letters"),
        ({"": "s3cret"}, "must have names of letters"),
        ({ONE: {"a": "s3cret"}, "x": "s3cret"}, "must be"),
        (["s3cret"], "must be a mapping"),
        ({"x-token": "s3cret"}, "must say for which of the endpoints"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers: object, why: str) -> None:
    """What is wrong is said without the header, which may be a key."""
    with pytest.raises(ConfigError, match=why) as raised:
        of({"otlp_endpoint": [ONE, TWO], "otlp_headers": headers})

    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "option",
    # A callable is not its own text; it has a test of its own.
    [option for option in OPTIONS if not option.unit.startswith("callable")],
    ids=lambda option: option.name,
)
def test_every_setting_has_a_variable(option: object) -> None:
    """Each row of the table can be set from the environment, in text."""
    texts = {
        "endpoint": "http://host:1", "otlp_endpoint": "('http://host:1',)",
        "otlp_headers": "{'': {'x': 'y'}}", "mode": "offline", "durability": "power", "strict": "true",
        "system_metrics": "false", "system_metrics_backpressure_threshold": "0.5",
        "spool_enabled": "false", "start_worker_on_init": "false", "gzip_enabled": "false",
        "retry_jitter_ratio": "0.5", "kind": "eval", "resume": "allow", "distributed": "all",
        "tags": "('one', 'two')",
        "prices": "{}",
        "otel": "attach",
        "capture_console": "true", "capture_environment": "false", "capture_diff": "true",
        "spool_directory": "/somewhere", "api_key": "key", "workspace": "team", "project": "other",
    }  # fmt: skip  # a table of texts
    name, env = option.name, option.env  # type: ignore[attr-defined]  # a row of the table
    text = texts.get(name, "2000000")
    texts_of = {"tags": "one, two", "otlp_endpoint": "http://host:1", "otlp_headers": "X=y"}
    given = texts_of.get(name, text)
    shown = getattr(resolve({}, environ={"RUNDIAL_PROJECT": "digits", env: given}, profile={}), name)

    assert str(shown).lower().removesuffix(".0") == text


def two_of(option: Option) -> tuple[str, str]:
    """Two values of a setting, as texts."""
    if option.unit in ("true, false", "true, false, fd"):
        return "true", "false"
    if ", " in option.unit:
        one, other, *_ = option.unit.split(", ")
        return one, other
    if option.unit in ("URL", "URLs"):
        return "http://one:1", "http://two:1"
    if option.name == "otlp_headers":
        return "x=one", "x=two"
    if option.unit.startswith("JSON"):
        return "{}", '{"m": {"input": 1, "output": 2}}'
    if option.unit == "share":
        return "0.25", "0.5"
    return ("2000001", "2000002") if option.minimum is not None else ("one", "two")


@pytest.mark.parametrize(
    "option",
    [option for option in OPTIONS if not option.unit.startswith("callable")],
    ids=lambda option: option.name,
)
def test_precedence_holds_for_each_setting(option: Option) -> None:
    """Of every row of the table, an argument counts before its variable, and that before the profile."""
    one, other = two_of(option)
    known = {} if option.name == "project" else {"project": "digits"}
    if option.name in ("mode", "spool_enabled"):
        # Offline without a spool is refused whatever it was that said so.
        known["spool_directory"] = "/somewhere"

    def found(argument: str | None, variable: str | None, profile: str | None) -> object:
        environ = {} if variable is None else {option.env: variable}
        given = {**known, option.name: argument}
        return getattr(resolve(given, environ=environ, profile={option.name: profile}), option.name)

    alone = found(one, None, None)
    assert found(None, one, None) == found(None, None, one) == alone
    assert found(one, other, other) == alone
    assert found(None, one, other) == alone
    assert found(None, None, other) != alone


@pytest.mark.parametrize(
    "option", [option for option in OPTIONS if option.minimum is not None], ids=lambda option: option.name
)
def test_each_bound_takes_its_minimum_and_refuses_the_next_below(option: Option) -> None:
    """Every row with a minimum, also one that is added later, is held to it exactly, by each of its names."""
    assert option.minimum is not None
    least = option.minimum
    below = (
        least - 1 if option.read(5.0) == 5 and isinstance(option.read(5), int) else math.nextafter(least, -1)
    )

    for name in option.names:
        assert getattr(of({name: least}), option.name) == least
        with pytest.raises(ConfigError, match=rf"{name} .* is below its minimum of"):
            of({name: below})
    for variable in option.variables:
        with pytest.raises(ConfigError, match=rf"{variable} .* is below its minimum of"):
            of(environ={variable: str(below)})


@pytest.mark.parametrize("blank", ["", "   "])
def test_a_blank_variable_is_not_set(blank: str) -> None:
    """An empty variable is as good as none."""
    assert of(environ={"RUNDIAL_ENDPOINT": blank}).endpoint == "http://127.0.0.1:8787"


def test_an_argument_of_none_is_not_given() -> None:
    """None leaves a setting to the next in line."""
    assert of({"mode": None}, {"RUNDIAL_MODE": "offline"}).mode == "offline"


def test_published_name_of_a_setting_is_its_other_name() -> None:
    """What the published client called a setting works as an argument and as a variable."""
    environ = {"RUNDIAL_QUEUE_MAX_BYTES": "2000000"}

    assert of({"queue_max_bytes": 3_000_000}, environ).ring_bytes == 3_000_000
    assert of(environ=environ).ring_bytes == 2_000_000
    assert of({"ring_bytes": 4_000_000, "queue_max_bytes": 3_000_000}, environ).ring_bytes == 4_000_000


def test_what_init_names_can_be_set_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A launcher names the run, its group and how it resumes, without a change to the script."""
    given = {"RUN_ID": "r", "NAME": "night", "GROUP": "g", "JOB_TYPE": "j", "TAGS": "a, b", "KIND": "agent"}
    for name, value in given.items():
        monkeypatch.setenv(f"RUNDIAL_{name}", value)

    with rd.init(project="digits", mode="disabled", name="argument") as run:
        identity = run.identity

    assert (run.run_id, run.name, run.kind) == ("r", "argument", "agent")
    assert (identity["group"], identity["job_type"], identity["tags"]) == ("g", "j", ["a", "b"])


def test_an_unknown_option_names_the_nearest() -> None:
    """A misspelt option is an error that knows what was meant."""
    with pytest.raises(ConfigError, match=r"'spool_dir'.*did you mean spool_directory\?"):
        of({"spool_dir": "/x"})


def test_an_option_unlike_any_other_lists_them() -> None:
    """An option that resembles none is answered with all there are."""
    with pytest.raises(ConfigError, match=r"known options: endpoint, .*strict"):
        of({"zzz": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ring_bytes", 1000), ("spool_max_bytes", 1), ("flush_interval_seconds", 0),
        ("request_timeout_seconds", 0.01), ("init_timeout_seconds", -1), ("spool_max_age_seconds", 0),
        ("queue_capacity", 0), ("max_batch_points", 0), ("gzip_min_bytes", -1), ("retry_max_attempts", 0),
        ("retry_base_delay_seconds", 0.009), ("retry_max_delay_seconds", 0.049), ("queue_max_bytes", 1),
        ("finish_timeout_seconds", float("nan")), ("system_metrics_interval_seconds", 1.99),
    ],
)  # fmt: skip  # the pairs read better side by side
def test_a_value_below_its_minimum_is_refused(name: str, value: float) -> None:
    """The message names the setting, the value, the minimum with its unit, and that nothing was started."""
    with pytest.raises(ConfigError) as raised:
        of({name: value})

    message = str(raised.value)
    assert name in message
    assert repr(value) in message
    assert "minimum" in message
    assert "nothing was started" in message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ring_bytes", "many"), ("mode", "maybe"), ("durability", "fsync"), ("strict", "perhaps"),
        ("endpoint", "localhost:8787"), ("endpoint", "http://"), ("request_timeout_seconds", []),
        ("ring_bytes", True), ("ring_bytes", float("inf")), ("request_timeout_seconds", "1e999x"),
        ("flush_interval_seconds", float("inf")), ("finish_timeout_seconds", "1e300"),
    ],
)  # fmt: skip  # the pairs read better side by side
def test_a_value_that_cannot_be_read_is_refused(name: str, value: object) -> None:
    """Whatever cannot be a setting's value is a ConfigError that names the setting."""
    with pytest.raises(ConfigError, match=name):
        of({name: value})


def test_a_bad_variable_is_named_by_its_own_name() -> None:
    """The message says where the bad value came from."""
    with pytest.raises(ConfigError, match="RUNDIAL_RING_BYTES"):
        of(environ={"RUNDIAL_RING_BYTES": "x"})


@pytest.mark.parametrize("endpoint", ["http://me:secret@host:1", "https://token@host", "me:secret@host:1"])
def test_an_endpoint_with_a_password_is_refused(endpoint: str) -> None:
    """A URL that holds a secret would end up in logs and on disk; it is refused without repeating it."""
    with pytest.raises(ConfigError, match="endpoint") as raised:
        of({"endpoint": endpoint})

    assert "must" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "token@" not in str(raised.value)


def test_the_key_is_never_shown() -> None:
    """Settings in a log or a traceback say that a key is set, and not which."""
    settings = of({"api_key": "rdk_secret"})

    assert "rdk_secret" not in repr(settings)
    assert "api_key=set" in repr(settings)
    assert "api_key=None" in repr(of())


def test_no_project_tells_the_three_ways() -> None:
    """A run without a project says how to name one: argument, variable, profile."""
    with pytest.raises(ConfigError) as raised:
        resolve({}, environ={}, profile={})

    assert all(way in str(raised.value) for way in ("rundial.init(project=", "RUNDIAL_PROJECT", "profile"))


def test_a_disabled_run_needs_no_project() -> None:
    """Disabled, nothing is missing."""
    assert resolve({"mode": "disabled"}, environ={}, profile={}).mode == "disabled"


def test_settings_are_frozen_and_travel() -> None:
    """Settings never change under a run, and workers can be handed them."""
    settings = of()

    with pytest.raises(AttributeError):
        settings.mode = "offline"  # type: ignore[misc]  # what is tested
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_a_stored_key_goes_to_its_own_endpoint_only() -> None:
    """A key in a profile is used for the endpoint that it is stored with, and for no other."""
    profiles.store_local("http://one:1", "k1", "default-workspace")

    assert session._settings({"project": "digits"}, {}).api_key == "k1"
    assert session._settings({"project": "digits", "endpoint": "http://two:2"}, {}).api_key is None


def test_a_profile_sets_any_setting_but_the_key(tmp_path: Path) -> None:
    """What is the same for all of a person's runs stands in their profile, off and on included."""
    profiles.store_local("http://one:1", "k1", "default-workspace")
    file = Path(profiles.config_path())
    file.write_text(
        file.read_text()
        + 'spool_directory = "/scratch/spool"\nsystem_metrics = false\nmax_batch_points = 7\n'
    )

    settings = session._settings({"project": "digits", "max_batch_points": 9}, {})

    assert (settings.spool_directory, settings.system_metrics) == ("/scratch/spool", False)
    assert settings.max_batch_points == 9
    file.write_text(file.read_text().replace("max_batch_points = 7", "max_batch_points = 0"))
    with pytest.raises(ConfigError, match="max_batch_points of the active profile 0 is below"):
        session._settings({"project": "digits"}, {})


def test_a_key_in_the_file_of_profiles_is_refused_and_not_shown(tmp_path: Path) -> None:
    """config.toml is what people copy and show; a key there is told, and where keys belong."""
    profiles.store_local("http://one:1", "k1", "default-workspace")
    file = Path(profiles.config_path())
    file.write_text(file.read_text() + 'api_key = "rdk_a_secret"\n')

    with pytest.raises(ConfigError, match="RUNDIAL_API_KEY") as raised:
        session._settings({"project": "digits"}, {})
    assert "rdk_a_secret" not in str(raised.value)


def test_init_takes_every_setting_as_an_option(tmp_path: Path) -> None:
    """What is in the table can be handed to `init` by name."""
    with rd.init(project="digits", mode="disabled", spool_directory=tmp_path, ring_bytes=2 << 20) as run:
        assert run.settings.ring_bytes == 2 << 20
        assert run.settings.spool_directory == str(tmp_path)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan"), "much"])
def test_a_share_is_from_0_to_1(share: object) -> None:
    """A threshold that cannot be a share is refused and named."""
    with pytest.raises(ConfigError, match="system_metrics_backpressure_threshold"):
        of({"system_metrics_backpressure_threshold": share})


def test_a_provider_is_a_callable_or_names_one() -> None:
    """From the environment a provider is `module:name`; from a program it is the callable itself."""
    environ = {"RUNDIAL_SYSTEM_METRICS_PROVIDER": "os:times"}

    assert of().system_metrics_provider is None
    assert of(environ=environ).system_metrics_provider is os.times
    assert of({"system_metrics_provider": dict}, environ).system_metrics_provider is dict


@pytest.mark.parametrize("provider", [3, {"a": 1}, "os", "os:nothing", "no.such.module:x", ":", "os:name"])
def test_a_provider_that_cannot_be_called_is_refused(provider: object) -> None:
    """What cannot be called is an error in `init`, not at the first sample."""
    with pytest.raises(ConfigError, match=r"system_metrics_provider .* must be .*; nothing was started"):
        of({"system_metrics_provider": provider})


@pytest.mark.parametrize(
    ("name", "what"), [("flush_interval_seconds", "a number"), ("ring_bytes", "a whole number")]
)
def test_a_text_that_is_no_number_is_told_so(name: str, what: str) -> None:
    """Without the words of Python's own parsers."""
    with pytest.raises(ConfigError, match=rf"{name} 'soon' must be {what}; nothing was started"):
        of({name: "soon"})
