"""Starting a run for real: spool, ring, handshake, sender, and its first event."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Lock, RLock, Thread

from rundial.api.capturing import start_capture
from rundial.api.delivery import RunDelivery
from rundial.api.ending import STATUSES
from rundial.api.guard import warn_user
from rundial.api.pipeline import Attached, Pipeline
from rundial.api.run import Run
from rundial.api.target import Target, target_of
from rundial.api.trace import Tracing
from rundial.api.watching import Watching
from rundial.errors import ConfigError, SpoolError
from rundial.settings import Settings
from rundial.signals import semconv
from rundial.signals.resource import Identity
from rundial.spool.meta import Meta
from rundial.typed import TYPE_CHECKING, Any
from rundial.value import changed, value

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from rundial.api.config import Changes
    from rundial.api.descriptors import Descriptors
    from rundial.api.gatherer import Gatherer
    from rundial.api.handshake import Answer
    from rundial.api.session import Session
    from rundial.api.sink import Sink

DEFAULT_SPOOL = ".rundial_spool"


@value
class Left:
    """What a run leaves on disk when its process ends.

    Attributes:
        run_id: The run.
        waiting: Points, lines and spans that no server has answered for.
        files: Artifacts that no server has taken.
        directory: Its spool.
        root: The directory to give to `rundial sync`.
        is_volatile: It goes with the process.
    """

    run_id: str
    waiting: int
    files: int
    directory: str
    root: str
    is_volatile: bool

    @classmethod
    def of(cls, run: Run, attached: Attached, delivery: RunDelivery) -> Left:
        """Return what a run leaves as it is now."""
        settings = run.settings
        root, is_volatile = settings.spool_directory, not settings.spool_enabled
        waiting, files = delivery.waiting(), delivery.waiting_files()
        return cls(run.run_id, waiting, files, attached.spool.directory, root, is_volatile)


class Parts:
    """What this process has made: the pipeline, and for each run its attachment.

    Attributes:
        pipeline: The process's pipeline.
        live: Attachment and delivery by run; a forked child starts with none.
        gatherer: The latest run's; a program of many runs looks at its environment now and then.
        adopters: The threads that deliver what earlier processes have left.
        beginning: How many runs are about to be live.
        left: What finished offline runs have left for `rundial sync`.
        volatile: Directories that go with the process.
        watching: The system metrics.
        descriptors: What captures file descriptors 1 and 2 for the runs that ask for it.
        quiets: What a fork waits for.
    """

    def __init__(self, settings: Settings, *, after: Any = None) -> None:
        self.live: dict[Run, tuple[Attached, RunDelivery]] = {}
        self.left: list[Left] = []
        self.adopters: list[Thread] = []
        self.beginning = 0
        self.volatile: list[str] = [] if settings.spool_enabled else [settings.spool_directory]
        self.gatherer: Gatherer | None = None
        self.descriptors: Descriptors | None = None
        # Guards the making of it; a handler may start a run in the midst of another's start.
        self.descriptors_lock = RLock()
        self.pipeline = Pipeline(settings, on_pass=self._beat, after=after)
        self.watching = Watching(self.pipeline.ring, is_child=after is not None)
        self.quiets = (self.pipeline.quiet, self.watching.quiet)

    def forget(self, run: Run) -> None:
        """Let go of a run that has nothing left to see to; a program may have thousands."""
        if run in self.live and run.settings.mode == "offline":
            self.left.append(Left.of(run, *self.live[run]))
        self.live.pop(run, None)

    def close(self, timeout_s: float) -> None:
        """Let go of everything, at the process's end; a hook that is at work is waited for so long."""
        for attached, _ in self.live.values():
            for branch in attached.branches:
                branch.close()
            attached.spool.close()
            if attached.hook is not None:
                attached.hook.close(timeout_s)
        self.remove_volatile()

    def remove_volatile(self) -> None:
        """Remove what was to go with the process."""
        while self.volatile:
            from rundial.api import volatile

            volatile.remove(self.volatile.pop())

    def _beat(self) -> None:
        for _, delivery in list(self.live.values()):
            delivery.beat()


def start(identity: dict[str, Any], settings: Settings, *, session: Session) -> Run:
    """Start a run; see `rundial.init`."""
    settings = changed(settings, spool_directory=spool_root(settings))
    target = target_of(settings)
    told, cut = told_config(identity["config"])
    identity["started_unix_ns"] = identity.get("started_unix_ns") or time.time_ns()

    def announce() -> Answer | None:
        if settings.mode != "online" or settings.is_plain_otlp:
            return None
        return _announce(settings, {**identity, "config": told[0].get("config", {})})

    answer = find_attempt(identity, settings, announce)
    run = begin(identity, settings, target, answer, told=told, session=session)
    run.note_changes(cut)
    return run


def _attach(run: Run) -> None:
    if not run.attach_otel():
        warn_user(
            "otel='attach' found no global OpenTelemetry provider, so nothing is recorded from one; call "
            "run.attach_otel() once the program has set its own"
        )


def begin(
    identity: dict[str, Any],
    settings: Settings,
    target: Target,
    answer: Answer | None,
    *,
    told: Sequence[Mapping[str, Any]],
    session: Session,
) -> Run:
    """Let this process record into a run.

    Args:
        identity: The run, with its `instance_id` and `attempt`; `is_joined` where another tells its start.
        settings: With a spool directory that exists.
        target: Where its records go.
        answer: What the server told of the run; None where it was not asked.
        told: What is told of the run's config, from `told_config`.
        session: This process's.

    Raises:
        ConfigError: The spool directory cannot be used.
    """
    changes = identity.pop("config_changes", [])
    parts = _parts(session, settings)
    try:
        if not settings.spool_enabled:
            parts.volatile.append(settings.spool_directory)
        attached = attach(parts, identity, settings, target, answer)
        attached.id_generator = session.id_generator
        ends_run = STATUSES if identity["rank"] in (None, 0) else ("failed",)
        delivery = RunDelivery(parts.pipeline, attached, settings, ends_run=ends_run)
        run = make_run(identity, settings, attached, delivery)
        parts.live[run] = (attached, delivery)
    finally:
        _has_begun(session, parts)
    # A program may have any number of runs, one after another.

    def forget() -> None:
        parts.forget(run)
        session.forget(run)

    delivery.on_done = forget
    _tell_beginning(attached, identity, settings, told)
    run.note_changes(changes)

    def go_on() -> None:
        go(parts, attached, identity, settings)
        # A run that begins only to end has stopped its parts already.
        if not run.has_finished:
            start_capture(run, parts, attached, identity)
        if settings.mode == "online":
            _adopt(parts, settings, attached, answer)

    if settings.start_worker_on_init:
        go_on()
    else:
        _begin_later(run, attached, delivery, go_on)
    if settings.otel == "attach":
        _attach(run)
    return run


def _adopt(parts: Parts, settings: Settings, attached: Attached, answer: Answer | None) -> None:
    from rundial.api.adoption import adopt_for

    fresh = adopt_for(parts.pipeline, settings, attached, answer.server_id if answer else None)
    parts.adopters = [*(each for each in parts.adopters if each.is_alive()), *fresh]


def make_parts(settings: Settings, *, session: Session) -> None:
    """Make and start what the process's runs share, before there is a run."""
    parts = _parts(session, settings)
    parts.pipeline.start()
    _has_begun(session, parts)


def _parts(session: Session, settings: Settings) -> Parts:
    """Return the process's parts, made by its first run; nobody ends them until the run has begun."""
    with session.lock:
        if session.parts is None:
            session.parts = Parts(settings)
        parts: Parts = session.parts
        parts.beginning += 1
        return parts


def _has_begun(session: Session, parts: Parts) -> None:
    with session.lock:
        parts.beginning -= 1


def _tell_beginning(
    attached: Attached,
    identity: Mapping[str, Any],
    settings: Settings,
    told: Sequence[Mapping[str, Any]],
) -> None:
    if identity.get("is_joined", False):
        for body in told:
            if body.get("config"):
                attached.recorder.event(semconv.EVENT_RUN_CONFIG, body)
        return
    attached.recorder.event(
        semconv.EVENT_RUN_START,
        {
            "name": identity["name"],
            "kind": identity["kind"],
            **told[0],
            "tags": identity["tags"],
            "group": identity["group"],
            "job_type": identity["job_type"],
            "resume": identity["resume"],
            "launch": identity["launch"] or None,
            "attempt": identity["attempt"],
            "started_unix_ns": identity.get("started_unix_ns") or time.time_ns(),
        },
    )
    for body in told[1:]:
        # What did not fit the start; the order is that of their numbers.
        attached.recorder.event(semconv.EVENT_RUN_CONFIG, body)
    if settings.mode == "online":
        # From its first second on: a process that is killed early has crashed all the same.
        attached.recorder.event(semconv.EVENT_RUN_HEARTBEAT, {})


def find_attempt(
    identity: dict[str, Any], settings: Settings, announce: Callable[[], Answer | None]
) -> Answer | None:
    """Ask the server, or else the spool directory, which attempt of the run this is and where it goes on.

    Args:
        identity: The run; gets its `instance_id`, `attempt` and first steps.
        settings: With a spool directory that exists.
        announce: Tells the server of the start; None where it was not asked or could not be.

    Raises:
        ConfigError: The run exists, or does not, and `resume` forbids that.
        RundialRequestError: The server refuses the start.
    """
    identity["instance_id"] = os.urandom(16).hex()
    identity["attempt"] = 1
    steps: tuple[int, int] = (0, 0)
    answer = announce()
    if answer is not None:
        identity["workspace"] = answer.workspace
        identity["project_id"] = answer.project_id
        identity["attempt"], steps = answer.attempt, answer.steps
    elif settings.run_id is not None or identity["rank"] is not None:
        # An id that was just made up is nowhere yet.
        from rundial.api.earlier import next_attempt

        identity["attempt"], steps = next_attempt(
            settings.spool_directory,
            identity["run_id"],
            resume=identity["resume"],
            rank=identity["rank"],
            launch=identity["launch"],
        )
    identity["first_step"], identity["first_system_step"] = steps
    return answer


def _begin_later(run: Run, attached: Attached, delivery: RunDelivery, begin: Callable[[], None]) -> None:
    """Start nothing before the run's first record, flush or finish."""
    from rundial.api.firstrecord import FirstDelivery, FirstRecord

    lock, has_begun = Lock(), False

    def begin_once() -> Sink:
        nonlocal has_begun
        with lock:
            if not has_begun:
                has_begun = True
                run.rewire(attached.recorder, delivery)
                begin()
        return attached.recorder

    run.rewire(FirstRecord(begin_once), FirstDelivery(begin_once, delivery))


def attach(
    parts: Parts, identity: dict[str, Any], settings: Settings, target: Target, answer: Answer | None
) -> Attached:
    """Make this process an instance of the run.

    Raises:
        ConfigError: The spool directory cannot be used.
    """
    # A forked child's start, and that of a run which others have started, are theirs to tell.
    is_ours = not identity.get("is_child", False) and not identity.get("is_joined", False)
    is_told = answer is not None or settings.is_plain_otlp or not is_ours
    meta = Meta(
        run_id=identity["run_id"],
        instance_id=identity["instance_id"],
        workspace=identity["workspace"],
        project=identity["project"],
        endpoint=settings.endpoint,
        lane_endpoints=target.lane_urls,
        server_id=answer.server_id if answer else None,
        run_name=identity["name"],
        kind=identity["kind"],
        attempt=identity["attempt"],
        extra={
            "mode": settings.mode,
            "resume": identity["resume"],
            "rank": identity["rank"],
            "launch": identity["launch"],
            # A child is a part of its parent's attempt; a Collector has nobody to tell a start to.
            "announced": is_told,
            "is_plain_otlp": settings.is_plain_otlp,
            "project_id": identity["project_id"] if answer or identity.get("is_joined") else None,
        },
    )
    this = Identity(
        project=identity["project"],
        run_id=identity["run_id"],
        run_kind=identity["kind"],
        instance_id=identity["instance_id"],
        attempt=identity["attempt"],
        workspace=identity["workspace"],
        rank=identity["rank"],
    )
    try:
        return parts.pipeline.attach(settings, this, meta, target)
    except (OSError, SpoolError) as error:
        raise ConfigError(
            f"spool_directory {settings.spool_directory} cannot be used ({error}); nothing was started. "
            "Set RUNDIAL_SPOOL_DIR to a directory that this user may write"
        ) from error


def go(parts: Parts, attached: Attached, identity: dict[str, Any], settings: Settings) -> None:
    """Start what writes, sends and samples a run."""

    def on_attempt(number: int) -> None:
        # For the children that the process may still have.
        identity["attempt"] = number

    parts.pipeline.begin(attached, settings, on_attempt)
    # A child's samples are series of their own.
    first_step = 0 if identity.get("is_child") else identity["first_system_step"]
    parts.watching.watch(attached, settings, identity["rank"], first_step=first_step)


def make_run(identity: dict[str, Any], settings: Settings, attached: Attached, delivery: RunDelivery) -> Run:
    """Return the run over its parts."""
    rank = identity["rank"]
    attributes = ((semconv.RANK, str(rank)),) if rank is not None else ()
    tracing = Tracing(provider_maker(attached.id_generator), on_failure=_ignore)
    run = Run(
        identity,
        settings,
        sink=attached.recorder,
        delivery=delivery,
        tracing=tracing,
        attributes=attributes,
    )
    tracing.on_failure = run.on_span_failure
    return run


def provider_maker(id_generator: Any = None) -> Callable[[Tracing], TracerProvider]:
    """Return what makes the run's own tracer provider; OTel's SDK is imported only then.

    Args:
        id_generator: Makes the ids of its spans; None makes random ones.
    """

    def make(tracing: Tracing) -> TracerProvider:
        from rundial.api.tracers import RunTracerProvider

        return RunTracerProvider(tracing, id_generator)

    return make


def told_config(config: Mapping[str, Any]) -> tuple[list[dict[str, Any]], Changes]:
    """Return a config in the pieces in which it leaves the machine; the run itself keeps the caller's own.

    The first one belongs to the start, also when it is empty.
    """
    if not config:
        return [{"config": {}}], []
    from rundial.signals.changes import bodies_of

    bodies, cut = bodies_of("config", config)
    return bodies or [{"config": {}}], cut


def _ignore(what: str, error: Exception) -> None:
    del what, error


def _announce(settings: Settings, identity: Mapping[str, Any]) -> Answer | None:
    # HTTP is imported only now: offline runs never need it.
    from rundial.api.handshake import Announcement, announce

    facts = ("run_id", "kind", "name", "group", "job_type", "tags", "config", "instance_id", "rank")
    told = {fact: identity[fact] for fact in (*facts, "launch", "resume", "started_unix_ns")}
    return announce(settings, Announcement(**told))


def spool_root(settings: Settings) -> str:
    """The spool directory, made; a default one that cannot be made gives way to the user's own.

    Raises:
        ConfigError: A directory that the user chose cannot be made.
    """
    if not settings.spool_enabled:
        from rundial.api import volatile

        return volatile.make()
    wanted = settings.spool_directory
    try:
        return _made(wanted)
    except OSError as error:
        if wanted != DEFAULT_SPOOL:
            raise ConfigError(
                f"spool_directory {wanted} cannot be used ({error.strerror}); nothing was started. "
                "Set RUNDIAL_SPOOL_DIR to a directory that this user may write"
            ) from error
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    try:
        return _made(f"{state}/rundial/spool")
    except OSError as error:
        raise ConfigError(
            f"neither {os.path.join(os.getcwd(), wanted)} nor {state} can be written ({error.strerror}); "
            "nothing was started. Set RUNDIAL_SPOOL_DIR to a directory that this user may write"
        ) from error


def _made(path: str) -> str:
    # Not `abspath`, which takes `..` at its word, also behind a link.
    path = os.path.join(os.getcwd(), path)
    os.makedirs(path, mode=0o700, exist_ok=True)
    if not os.access(path, os.W_OK | os.X_OK):
        raise PermissionError(13, "no permission to write", path)
    return path
