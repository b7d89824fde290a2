"""`rundial.init`, the current run, and what happens at fork, SIGTERM and exit.

The one place where a run's parts are wired together. Nothing global is touched but what a process
needs to leave in order: one exit hook, fork hooks, a SIGTERM handler where there is none, and
`SystemExit.code`, whose last value is the exit status.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Mapping, Sequence
from threading import Lock

from rundial import profiles
from rundial.api.exits import Exits
from rundial.api.ranks import rank_of
from rundial.api.run import Run
from rundial.api.trace import Tracing
from rundial.errors import ConfigError
from rundial.interrupts import let_through
from rundial.settings import Settings, resolve
from rundial.typed import TYPE_CHECKING, Any
from rundial.value import changed

if TYPE_CHECKING:
    from rundial.api.config import Changes
    from rundial.choices import Distributed, Mode, ResumeMode, RunKind


class Session:
    """What this process has: its parts, made by its first run, and whether hooks are installed.

    Attributes:
        overrides: What counts whatever a run asks for, but for being disabled; for tests.
        id_generator: Makes trace and span ids; None makes random ones.
    """

    # Of the process, whichever session is its own at the time.
    has_hooks = False

    def __init__(self) -> None:
        self.overrides: Mapping[str, object] = {}
        self.id_generator: Any = None
        # Guards the making of the process's parts.
        self.lock = Lock()
        self.parts: Any = None
        self.catches_sigterm = False
        self.was_terminated = False
        # Runs whose id the ranks of a launch derive by themselves; they count alike.
        self.derived_runs = 0
        # How the program leaves.
        self.exits = Exits()
        # Runs that were pickled here, by instance: read back in this process, each is itself again.
        self.packed: Any = None
        # The run that `init` made last; not beyond its end.
        self.latest: Run | None = None

    def forget(self, run: Run) -> None:
        """Let go of a run that has ended."""
        if self.latest is run:
            self.latest = None


_SESSION = Session()


def init(  # noqa: PLR0913 - the published signature
    *,
    project: str | None = None,
    workspace: str | None = None,
    name: str | None = None,
    endpoint: str | None = None,
    run_id: str | None = None,
    kind: RunKind | None = None,
    resume: ResumeMode | None = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Sequence[str] | None = None,
    config: Mapping[str, object] | None = None,
    mode: Mode | None = None,
    distributed: Distributed | None = None,
    distributed_rank: int | None = None,
    api_key: str | None = None,
    **options: object,
) -> Run:
    """Start a run.

    Args:
        project: Project slug; `RUNDIAL_PROJECT` or the active profile's when None.
        workspace: Workspace slug; None leaves it to `RUNDIAL_WORKSPACE`, the profile, or the key.
        name: What people call the run.
        endpoint: URL of a Rundial server.
        run_id: Letters, digits, `_`, `-`, `.`; a new one when None.
        kind: `training` (the default), `agent` or `eval`.
        resume: What becomes of a `run_id` that exists. `never` (the default): an error. `allow`: the run
            goes on as a further attempt, unless it has ended, which is an error. `must`: it goes on, also
            when it has ended; that it does not exist, or cannot be confirmed, is an error.
        group: Name under which runs belong together.
        job_type: Role of the run in its group.
        tags: Short labels.
        config: What the run was started with; any nesting.
        mode: `online`, `offline` (record now, `rundial sync` later) or `disabled`.
        distributed: `rank0` (the default): other ranks are silent. `all`: every rank records into one
            run, tagged with its rank; without a `run_id`, one is derived from the launcher's variables.
        distributed_rank: This process's rank; `RUNDIAL_RANK` or the launcher's variable when None.
        api_key: Key for the endpoint; `RUNDIAL_API_KEY`, or the one stored for this endpoint.
        **options: Further settings, such as `spool_directory`; see the settings page.

    Returns:
        The run; also a context manager.

    Raises:
        ConfigError: An argument or setting is wrong; nothing was started.
        RundialRequestError: The server refuses the key, the project or the run id.
    """
    given = {
        "project": project,
        "workspace": workspace,
        "name": name,
        "endpoint": endpoint,
        "run_id": run_id,
        "kind": kind,
        "resume": resume,
        "group": group,
        "job_type": job_type,
        "tags": tags,
        "mode": mode,
        "distributed": distributed,
        "api_key": api_key,
        **options,
    }
    return _latest(begin(given, config=config, distributed_rank=distributed_rank))


def begin(
    given: Mapping[str, object],
    *,
    config: Mapping[str, object] | None = None,
    distributed_rank: int | None = None,
    started_unix_ns: int | None = None,
) -> Run:
    """Start a run as `init` does, without making it the current one; arguments are settings by name.

    Args:
        given: Settings by name.
        config: As for `init`.
        distributed_rank: As for `init`.
        started_unix_ns: When it began, where it is told of later; None is now.
    """
    settings = settings_of(given)
    rank = rank_of(distributed_rank, os.environ)
    identity = identity_of(settings, config=config, rank=rank)
    if started_unix_ns is not None:
        identity["started_unix_ns"] = started_unix_ns
    if settings.mode == "disabled" or _is_silent_rank(settings, rank):
        return silent(identity, settings)
    check_platform()
    from rundial.api import start

    run = start.start(identity, with_exporters(settings), session=_SESSION)
    install_hooks(_SESSION)
    return run


def settings_of(given: Mapping[str, object]) -> Settings:
    """Return what a run that is asked for so would be recorded with.

    Raises:
        ConfigError: A setting is wrong.
    """
    return _settings(given, _SESSION.overrides)


def with_exporters(settings: Settings) -> Settings:
    """Return the settings of a run that begins: those of its exporters made that a variable names.

    Raises:
        ConfigError: One cannot be made.
    """
    if not settings.exporters or settings.mode != "online":
        return settings
    from rundial.api.makers import made

    return changed(settings, exporters=made(settings.exporters))


def _latest(run: Run) -> Run:
    _SESSION.latest = run
    return run


def checkpoint(
    model_path: str | os.PathLike[str],
    *,
    step: int | None = None,
    name: str = "checkpoint",
    metadata: Mapping[str, object] | None = None,
    keep_last: int | None = 5,
) -> bool:
    """Have a checkpoint of the current run delivered: the one that was started last; see `Run.checkpoint`.

    Raises:
        RuntimeError: No run is going on.
        ValueError: As for `Run.checkpoint`.
    """
    run = _SESSION.latest
    if run is None or run.has_finished:
        raise RuntimeError("no run is going on: call rundial.init first; no checkpoint was logged")
    return run.checkpoint(model_path, step=step, name=name, metadata=metadata, keep_last=keep_last)


def current() -> Session:
    """Return what this process has."""
    return _SESSION


def _settings(given: Mapping[str, object], overrides: Mapping[str, object]) -> Settings:
    if (given.get("mode") or os.environ.get("RUNDIAL_MODE")) == "disabled":
        # Switched off, a run depends on nothing: not even on a config file that can be read.
        return resolve(given, environ=os.environ, profile={})
    if overrides:
        kept = {"project": given["project"]} if given.get("project") else {}
        return resolve({**given, **overrides, **kept}, environ=os.environ, profile={})
    known = profiles.load()
    active = known.active
    profile: dict[str, object] = {}
    if active is not None:
        own = {"endpoint": active.endpoint, "workspace": active.workspace, "project": active.project}
        profile = {**(active.fields or {}), **own}
    settings = resolve(given, environ=os.environ, profile=profile)
    if settings.api_key is None and settings.mode == "online" and not settings.is_plain_otlp:
        # A stored key goes to the endpoint that it was stored with, and to no other.
        settings = changed(settings, api_key=known.key_for(settings.endpoint), is_key_stored=True)
    return settings


def identity_of(
    settings: Settings, *, config: Mapping[str, object] | None = None, rank: int | None = None
) -> dict[str, Any]:
    """Return what a run is before it has begun.

    Args:
        settings: The run's.
        config: What it is started with.
        rank: This process's, None where nothing says that there is one.

    Raises:
        ConfigError: The config cannot be read, or the ranks have no id in common.
    """
    values, changes = _config(config)
    identity: dict[str, Any] = {
        "run_id": settings.run_id,
        "project_id": settings.project,
        "workspace": settings.workspace,
        "project": settings.project,
        "name": settings.name,
        "kind": settings.kind,
        "config": values,
        # What could not be kept as it was; told once there is a run to tell of it.
        "config_changes": changes,
        "group": settings.group,
        "job_type": settings.job_type,
        "tags": list(settings.tags),
        "resume": settings.resume,
        "rank": None,
        "launch": "",
    }
    if settings.distributed == "all" and rank is not None:
        identity["rank"] = rank
        identity["run_id"], identity["launch"] = _shared(settings)
    if identity["run_id"] is None:
        identity["run_id"] = _new_run_id(settings)
    return identity


def _shared(settings: Settings) -> tuple[str | None, str]:
    """The run id and the launch that this rank has in common with the others."""
    from rundial.api.launch import launch_of, shared_run_id, world_size

    launch, run_id = launch_of(os.environ), settings.run_id
    if run_id is None and settings.mode != "disabled" and world_size(os.environ) != 1:
        number, _SESSION.derived_runs = _SESSION.derived_runs, _SESSION.derived_runs + 1
        run_id = shared_run_id(launch, project=settings.project, number=number, resume=settings.resume)
    return run_id, launch.start


def _new_run_id(settings: Settings) -> str:
    if settings.resume == "must":
        raise ConfigError("resume='must' needs the run_id of the run to continue; nothing was started")
    return f"run_{os.urandom(16).hex()}"


def _is_silent_rank(settings: Settings, rank: int | None) -> bool:
    return settings.distributed == "rank0" and rank not in (None, 0)


def _config(config: object) -> tuple[dict[str, Any], Changes]:
    """Return a config as it is kept, and what could not be kept as it was."""
    if config is None:
        return {}, []
    from rundial.signals.configvalue import Cleaner, fields_of

    try:
        fields = fields_of(config)
    except Exception as error:
        let_through(error)
        raise ConfigError(f"config cannot be read ({type(error).__name__}); nothing was started") from error
    if fields is None:
        raise ConfigError(f"config must be a mapping, not {type(config).__name__}; nothing was started")
    cleaner = Cleaner()
    return cleaner.mapping(fields), cleaner.changes


def check_platform() -> None:
    """Refuse to record where a crash would lose records.

    Raises:
        ConfigError: This is neither Linux nor macOS.
    """
    if not sys.platform.startswith(("linux", "darwin")):
        raise ConfigError(
            f"Rundial records on Linux and macOS, not on {sys.platform}; "
            "use mode='disabled' to run the program without it"
        )


def silent(identity: Mapping[str, Any], settings: Settings) -> Run:
    """Return a run that does nothing."""
    from rundial.api.disabled import DisabledDelivery, DisabledSink, no_provider

    run = Run(
        {name: fact for name, fact in identity.items() if name != "config_changes"},
        settings,
        sink=DisabledSink(),
        delivery=DisabledDelivery(),
        tracing=Tracing(no_provider, on_failure=lambda _what, _error: None),
    )
    run.note_changes(identity.get("config_changes", []))
    return run


def install_hooks(session: Session) -> None:
    """Have this process leave in order: once for the exit and for forks, and for SIGTERM when it can be."""
    from rundial.api.sigterm import catch_sigterm

    # Again with each run: the first one may have been started by a thread, where no handler can be set.
    catch_sigterm(session)
    with session.lock:
        if session.has_hooks:
            return
        Session.has_hooks = True
    # They outlive a session: what is the process's own then counts.
    atexit.register(_at_exit)
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
    session.exits.watch()


def exchange(session: Session) -> Session:
    """Make another session the process's own, and return the one before; for tests."""
    global _SESSION
    before, _SESSION = _SESSION, session
    return before


# The hooks import what they need when they run: by the encoder's first pass it is there, and `init` does
# not wait for it.


def _at_exit() -> None:
    from rundial.api import leaving

    leaving.at_exit(_SESSION)


def _before_fork() -> None:
    if _SESSION.parts is not None:
        for quiet in _SESSION.parts.quiets:
            quiet.before_fork()
        # Not in the child, whose file system need not be ours.
        from rundial.api import leaving  # noqa: F401 - for `_in_child`


def _in_parent() -> None:
    if _SESSION.parts is not None:
        for quiet in _SESSION.parts.quiets:
            quiet.after_fork()


def _in_child() -> None:
    # Another thread may have held it, which does not exist here.
    _SESSION.lock = Lock()
    _SESSION.exits.renew()
    if _SESSION.parts is not None:
        from rundial.api import leaving

        leaving.in_child(_SESSION)
