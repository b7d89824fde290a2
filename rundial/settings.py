"""Every setting of a run, in one table, resolved once and then frozen.

Precedence: argument > `RUNDIAL_*` > profile > `OTEL_*` > default. A setting below its minimum, a
value that cannot be read, or an unknown name is a `ConfigError` that names it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from rundial.errors import ConfigError
from rundial.typed import TYPE_CHECKING, Any, Literal
from rundial.value import as_dict, value

if TYPE_CHECKING:
    from rundial.choices import Distributed, Mode, ResumeMode, RunKind

DEFAULT_ENDPOINT = "http://127.0.0.1:8787"

MODES: tuple[Mode, ...] = ("online", "offline", "disabled")
KINDS: tuple[RunKind, ...] = ("training", "agent", "eval")
RESUME_MODES: tuple[ResumeMode, ...] = ("never", "allow", "must")
# Thirty years. Far beyond it, clocks and locks overflow, and a thread that waits would end instead.
MAX_SECONDS = 1_000_000_000

POLICIES: tuple[Distributed, ...] = ("rank0", "all")
RUN_ID_CHARS = "letters, digits, '_', '-' and '.', at most 128, the first not a dot"


@value
class Settings:
    """What a run was started with.

    Attributes:
        endpoint: URL of the server, or of the Collector alone that takes its place, without a trailing slash.
        otlp_endpoint: URLs of OTLP endpoints, each of which gets the whole run; with `is_plain_otlp` the
            first of them is `endpoint` too.
        otlp_headers: What requests to them carry, by URL; the empty URL stands for the only one.
        api_key: The bearer key, None to send none.
        workspace: Workspace slug, None for the key's only one.
        project: Project slug.
        run_id: The run's id; None makes a new one.
        name: What people call the run.
        kind: `training`, `agent` or `eval`.
        resume: What becomes of a `run_id` that exists: `never`, `allow` or `must`.
        group: Name under which runs belong together.
        job_type: Role of the run in its group.
        tags: Short labels.
        distributed: Which ranks record: `rank0` or `all`.
        mode: `online`, `offline` (record, never send) or `disabled` (do nothing).
        spool_directory: Where what is not yet delivered waits.
        spool_max_bytes: Bound of one run's spool.
        spool_max_age_seconds: How long undelivered records are kept.
        spool_enabled: Whether undelivered records are kept on disk, beyond the life of the process.
        ring_bytes: Size of the process's ring.
        queue_capacity: Most points, lines and spans in the ring, beside its bytes; None sets no bound.
        max_batch_points: Most records in a request.
        gzip_enabled: Whether requests are compressed.
        gzip_min_bytes: Size from which they are.
        retry_max_attempts: Attempts after which a lane waits until somebody asks; None tries for ever.
        retry_base_delay_seconds: Ceiling of the first wait.
        retry_max_delay_seconds: Ceiling of every wait.
        retry_jitter_ratio: Share of a wait that is drawn at random, 0 to 1.
        start_worker_on_init: Whether threads are started by `init`, or by the first record.
        event_hook: Told of failures, losses and retries, on a thread of its own.
        flush_interval_seconds: How long a record may stay in the ring alone.
        request_timeout_seconds: Deadline of one request.
        init_timeout_seconds: How long `init` may wait for the server.
        finish_timeout_seconds: How long a process that ends without `finish` may send.
        durability: `process` survives any death of the process; `power` also syncs each frame.
        strict: Turn every drop into an exception; for tests and CI.
        system_metrics: Whether the machine and the process are sampled while the run goes on.
        system_metrics_interval_seconds: Seconds from one sample to the next.
        system_metrics_backpressure_threshold: How full ring or spool may be, 0 to 1; from there on
            samples are left out and counted.
        system_metrics_provider: Returns names and numbers in the place of ours; None is ours.
        capture_console: Record what is written to stdout and stderr as text; `fd` for what is written
            below Python as well.
        capture_environment: Record commit, command line, packages and host at the start.
        capture_diff: Record what differs from the commit as well.
        artifact_copy_bytes: How much copies of files may take on disk until they are uploaded.
        artifact_concurrency: How many artifacts are uploaded at once.
        exporters: OpenTelemetry exporters that get the run as well, in this process; of those that a variable
            names, what makes them, until a run begins that sends.
        prices: What models cost in US dollars per million tokens, as `rundial.prices` has it; None for none.
        otel: `attach` records what goes through the application's own global OpenTelemetry providers too.
        is_plain_otlp: There is no Rundial server: the endpoint is a Collector without our control API.
        is_key_stored: The key is whatever is stored for the endpoint, as it changes.
    """

    endpoint: str
    otlp_endpoint: tuple[str, ...]
    otlp_headers: Mapping[str, Mapping[str, str]]
    api_key: str | None
    workspace: str | None
    project: str
    run_id: str | None
    name: str | None
    kind: RunKind
    resume: ResumeMode
    group: str | None
    job_type: str | None
    tags: tuple[str, ...]
    distributed: Distributed
    mode: Mode
    spool_directory: str
    spool_max_bytes: int
    spool_max_age_seconds: float
    spool_enabled: bool
    ring_bytes: int
    queue_capacity: int | None
    max_batch_points: int
    gzip_enabled: bool
    gzip_min_bytes: int
    retry_max_attempts: int | None
    retry_base_delay_seconds: float
    retry_max_delay_seconds: float
    retry_jitter_ratio: float
    start_worker_on_init: bool
    event_hook: Callable[[dict[str, object]], object] | None
    flush_interval_seconds: float
    request_timeout_seconds: float
    init_timeout_seconds: float
    finish_timeout_seconds: float
    durability: Literal["process", "power"]
    strict: bool
    system_metrics: bool
    system_metrics_interval_seconds: float
    system_metrics_backpressure_threshold: float
    system_metrics_provider: Callable[[], Mapping[str, object]] | None
    capture_console: bool | Literal["fd"]
    capture_environment: bool
    capture_diff: bool
    artifact_copy_bytes: int
    artifact_concurrency: int
    exporters: tuple[Any, ...]
    prices: Mapping[str, Mapping[str, float]] | None
    otel: Literal["off", "attach"]
    is_plain_otlp: bool = False
    is_key_stored: bool = False

    def __repr__(self) -> str:
        # No key ever reaches a log or a traceback; a header may be one.
        secrets = ("api_key", "otlp_headers")
        shown = ", ".join(f"{name}={value!r}" for name, value in as_dict(self).items() if name not in secrets)
        return f"Settings({shown}, api_key={'set' if self.api_key else None})"


@value
class Option:
    """One row of the table.

    Attributes:
        name: Argument of `init` and field of `Settings`.
        default: Its value when nothing sets it.
        read: Turns a value or an environment text into the field's type; raises ValueError.
        unit: What the number counts, or the choices.
        otel: Environment variable of OpenTelemetry that is honoured as a fallback.
        minimum: Least allowed number.
        alias: Another name of it, that of the published client; the first name wins.
    """

    name: str
    default: object
    read: Callable[[Any], object]
    unit: str
    otel: str | None = None
    minimum: float | None = None
    alias: str | None = None

    @property
    def env(self) -> str:
        """The environment variable."""
        return "RUNDIAL_SPOOL_DIR" if self.name == "spool_directory" else f"RUNDIAL_{self.name.upper()}"

    @property
    def names(self) -> tuple[str, ...]:
        """Its names as an argument, the first one first."""
        return (self.name,) if self.alias is None else (self.name, self.alias)

    @property
    def variables(self) -> tuple[str, ...]:
        """Its names in the environment, OpenTelemetry's apart."""
        return (self.env,) if self.alias is None else (self.env, f"RUNDIAL_{self.alias.upper()}")


def _choice(*choices: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        text = str(value).strip().lower()
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return read


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ValueError("must be true or false")
    return text in ("1", "true", "yes", "on")


def _console(value: Any) -> bool | Literal["fd"]:
    if str(value).strip().lower() == "fd":
        return "fd"
    try:
        return _flag(value)
    except ValueError:
        raise ValueError("must be true, false or fd") from None


def _text(value: Any) -> str | None:
    return str(value).strip() or None


def _run_id(value: Any) -> str:
    # Only who names a run needs it.
    import re

    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}", value.strip()):
        raise ValueError(f"must be {RUN_ID_CHARS}")
    return value.strip()


def _tags(value: Any) -> tuple[str, ...]:
    """Return labels; a text, as from the environment, holds them between commas."""
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(text for text in (str(part).strip() for part in parts) if text)


def _endpoint(value: Any) -> str:
    text = str(value).strip().rstrip("/")
    if not text.startswith(("http://", "https://")) or len(text) < 8:
        raise ValueError("must be a URL such as http://127.0.0.1:8787")
    if "@" in text.split("//", 1)[1].split("/", 1)[0]:
        raise ValueError("must not hold a user name or password; give the key as api_key or RUNDIAL_API_KEY")
    return text


def _endpoints(value: Any) -> tuple[str, ...]:
    """Return URLs; a text, as from the environment, holds them between commas."""
    parts = value.split(",") if isinstance(value, str) else value
    found = dict.fromkeys(_endpoint(part) for part in parts if not isinstance(part, str) or part.strip())
    return tuple(found)


def _headers(value: Any) -> dict[str, dict[str, str]]:
    from rundial import otlpvalues

    return otlpvalues.headers(value, _endpoint)


def _exporters(value: Any) -> tuple[Any, ...]:
    from rundial import otlpvalues

    return otlpvalues.exporters(value, _provider)


def _path(value: Any) -> str:
    path = os.fspath(value)
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError("must be a path")
    return path.rstrip("/") or "/"


def _parsed(kind: type[Any], value: Any, what: str) -> Any:
    try:
        if isinstance(value, bool):
            raise ValueError
        return kind(value)
    except ValueError:
        raise ValueError(f"must be {what}") from None


def _integer(value: Any) -> int:
    number: int = _parsed(int, value, "a whole number")
    return number


def _number(value: Any) -> float:
    number: float = _parsed(float, value, "a number")
    if number > MAX_SECONDS:
        raise ValueError(f"must be at most {MAX_SECONDS:,}")
    return number


def _share(value: Any) -> float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError("must be a number from 0 to 1")
    return number


def _provider(value: Any) -> Callable[..., Any]:
    # Only who gives one needs it.
    from rundial import callables

    return callables.named(value)


def _prices(value: Any) -> Mapping[str, Mapping[str, float]]:
    # Only who gives prices needs it.
    from rundial import prices

    return prices.read(value)


# Its type lets nobody change it.
_NO_HEADERS: Mapping[str, Mapping[str, str]] = {}

OPTIONS: tuple[Option, ...] = (
    Option("endpoint", DEFAULT_ENDPOINT, _endpoint, "URL"),
    Option("otlp_endpoint", (), _endpoints, "URLs", otel="OTEL_EXPORTER_OTLP_ENDPOINT"),
    Option("otlp_headers", _NO_HEADERS, _headers, "secret"),
    Option("api_key", None, _text, "secret"),
    Option("workspace", None, _text, "slug"),
    Option("project", None, _text, "slug"),
    Option("run_id", None, _run_id, "id"),
    Option("name", None, _text, "text"),
    Option("kind", "training", _choice(*KINDS), ", ".join(KINDS)),
    Option("resume", "never", _choice(*RESUME_MODES), ", ".join(RESUME_MODES)),
    Option("group", None, _text, "text"),
    Option("job_type", None, _text, "text"),
    Option("tags", (), _tags, "texts"),
    Option("distributed", "rank0", _choice(*POLICIES), ", ".join(POLICIES)),
    Option("mode", "online", _choice(*MODES), "online, offline, disabled"),
    Option("spool_directory", ".rundial_spool", _path, "path"),
    Option("spool_max_bytes", 1 << 30, _integer, "bytes", minimum=1 << 20),
    Option("spool_max_age_seconds", 7 * 86400.0, _number, "seconds", minimum=1),
    Option("spool_enabled", True, _flag, "true, false"),
    Option("ring_bytes", 16 << 20, _integer, "bytes", minimum=1 << 20, alias="queue_max_bytes"),
    Option("queue_capacity", None, _integer, "records", minimum=1),
    Option("max_batch_points", 8192, _integer, "records", minimum=1),
    Option("gzip_enabled", True, _flag, "true, false"),
    Option("gzip_min_bytes", 0, _integer, "bytes", minimum=0),
    Option("retry_max_attempts", None, _integer, "attempts", minimum=1),
    Option("retry_base_delay_seconds", 0.5, _number, "seconds", minimum=0.01),
    Option("retry_max_delay_seconds", 60.0, _number, "seconds", minimum=0.05),
    Option("retry_jitter_ratio", 1.0, _share, "share"),
    Option("start_worker_on_init", True, _flag, "true, false"),
    Option("event_hook", None, _provider, "callable"),
    Option("flush_interval_seconds", 0.25, _number, "seconds", minimum=0.01),
    Option("request_timeout_seconds", 10.0, _number, "seconds", minimum=0.1),
    Option("init_timeout_seconds", 5.0, _number, "seconds", minimum=0),
    Option("finish_timeout_seconds", 5.0, _number, "seconds", minimum=0),
    Option("durability", "process", _choice("process", "power"), "process, power"),
    Option("strict", False, _flag, "true, false"),
    Option("system_metrics", True, _flag, "true, false"),
    Option("system_metrics_interval_seconds", 10.0, _number, "seconds", minimum=2),
    Option("system_metrics_backpressure_threshold", 0.8, _share, "share"),
    Option("system_metrics_provider", None, _provider, "callable"),
    Option("capture_console", False, _console, "true, false, fd"),
    Option("capture_environment", True, _flag, "true, false"),
    Option("capture_diff", False, _flag, "true, false"),
    Option("artifact_copy_bytes", 4 << 30, _integer, "bytes", minimum=0),
    Option("artifact_concurrency", 2, _integer, "artifacts", minimum=1),
    Option("exporters", (), _exporters, "callables"),
    Option("prices", None, _prices, "JSON: USD per million tokens"),
    Option("otel", "off", _choice("off", "attach"), "off, attach"),
)


# Settings that name functions; behind `mode` in the table.
_CODE = ("callable", "callables")


def resolve(
    arguments: Mapping[str, object], *, environ: Mapping[str, str], profile: Mapping[str, object]
) -> Settings:
    """Return the settings of a run.

    Args:
        arguments: What the caller gave to `init`; None counts as not given.
        environ: The environment.
        profile: The active profile's values by the names of settings; other names are of no account here.

    Raises:
        ConfigError: A value is wrong, a name is unknown, or there is no project.
    """
    _refuse_unknown(arguments)
    found: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for option in OPTIONS:
        value, source = _first_set(option, arguments, environ, profile)
        if source.startswith("OTEL_") and sources["endpoint"] != "default":
            # OpenTelemetry's variables are the application's: they count where nothing else is said.
            value, source = option.default, "default"
        if isinstance(value, str) and option.unit in _CODE and found["mode"] == "disabled":
            # Switched off, a run imports nobody's code: it need not even be installed.
            value, source = option.default, "default"
        found[option.name] = _read(option, value, source)
        sources[option.name] = source
    if not found["project"] and found["mode"] != "disabled":
        raise ConfigError(
            "no project: pass rundial.init(project=…), set RUNDIAL_PROJECT, or choose one for the active "
            "profile; nothing was started"
        )
    if found["mode"] == "offline" and not found["spool_enabled"]:
        raise ConfigError(
            "mode='offline' with spool_enabled=False keeps nothing; nothing was started. Leave "
            "spool_enabled as it is, or use mode='disabled'"
        )
    found["project"] = found["project"] or "disabled"
    is_plain = _choose_endpoints(found, sources)
    return Settings(**found, is_plain_otlp=is_plain)


def _choose_endpoints(found: dict[str, Any], sources: Mapping[str, str]) -> bool:
    """Say where a run goes: whichever kind of endpoint was named closer to the program, both where alike.

    Returns:
        Whether there is no Rundial server among them.

    Raises:
        ConfigError: Headers do not say whose they are.
    """
    ours, theirs = (_distance(sources[name]) for name in ("endpoint", "otlp_endpoint"))
    if ours < theirs:
        found["otlp_endpoint"] = ()
    endpoints = found["otlp_endpoint"]
    if "" in found["otlp_headers"] and len(endpoints) > 1:
        raise ConfigError(
            "otlp_headers must say for which of the endpoints they are, as {url: {name: text}}; "
            "nothing was started"
        )
    is_plain = bool(endpoints) and theirs < ours
    if is_plain:
        found["endpoint"] = endpoints[0]
    return is_plain


def _distance(source: str) -> int:
    """How far from the program a value was set: argument, variable, profile, OpenTelemetry's, default."""
    if source == "default":
        return 4
    if source.startswith("OTEL_"):
        return 3
    if source.endswith("of the active profile"):
        return 2
    return 1 if source.startswith("RUNDIAL_") else 0


def _first_set(
    option: Option,
    arguments: Mapping[str, object],
    environ: Mapping[str, str],
    profile: Mapping[str, object],
) -> tuple[object, str]:
    for name in option.names:
        if arguments.get(name) is not None:
            return arguments[name], name
    for variable in option.variables:
        if environ.get(variable, "").strip():
            return environ[variable], variable
    for name in option.names:
        if profile.get(name) not in (None, ""):
            return profile[name], f"{name} of the active profile"
    if option.otel and environ.get(option.otel, "").strip():
        return environ[option.otel], option.otel
    if option.name == "otlp_endpoint" and environ.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"):
        from rundial import otlpenv

        named = otlpenv.endpoint(environ)
        if named is not None:
            return named, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
    return option.default, "default"


def _read(option: Option, value: object, source: str) -> object:
    if value is None or source == "default":
        return value
    try:
        read = option.read(value)
    except (ValueError, TypeError, OverflowError) as error:
        # Costs an import that a program without a mistake never pays for.
        from rundial import refusals

        why = refusals.said(source, value, error, is_secret=option.unit == "secret")
        raise ConfigError(why) from error
    if option.minimum is not None and isinstance(read, (int, float)) and not read >= option.minimum:
        raise ConfigError(
            f"{source} {value!r} is below its minimum of {option.minimum:,.15g} {option.unit}; "
            "nothing was started"
        )
    return read


def _refuse_unknown(arguments: Mapping[str, object]) -> None:
    known = [name for option in OPTIONS for name in option.names]
    for name in arguments:
        if name not in known:
            # Costs an import that a program without a mistake never pays for.
            import difflib

            near = difflib.get_close_matches(name, known, 1, 0.6)
            hint = f"; did you mean {near[0]}?" if near else f"; known options: {', '.join(known)}"
            raise ConfigError(f"init() has no option {name!r}{hint}")
