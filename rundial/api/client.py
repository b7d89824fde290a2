"""`Client`: one Rundial server, as Python calls.

The control and query API has one method a route. Every call is bounded by one timeout, follows no
redirect and raises `RundialRequestError` with advice when the answer is not the one that the API
promises: an error status, a login page, a proxy's HTML, an old server. Answers are the server's JSON
objects as they came; their keys and types are in `rundial.api.calls.shapes`.

A client records as well: into runs that it starts or joins, over the same pipeline as the runs of
`rundial.init`. Until it does, it has no thread and no file, and that part is not even imported.

Any thread may call any method.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from rundial.api import surroundings
from rundial.api.caller import Caller
from rundial.api.calls import (
    access,
    artifacts,
    evals,
    files,
    places,
    reading,
    runs,
    sending,
    signin,
    writing,
)
from rundial.api.ending import seconds_of
from rundial.api.exchange import Exchange, HttpExchange
from rundial.api.key import Key
from rundial.api.recordoptions import MIN_CALL_S, RecordOptions
from rundial.profiles import normalise

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from rundial.api.calls.shapes import Options
    from rundial.api.recording import Recording
    from rundial.choices import Distributed

CALL_S = 5.0
# What closing without draining may take: for bringing everything to disk, and not for sending it.
SEAL_S = 0.5


class Client:
    """Talks to one server with one key or one session.

    Args:
        endpoint: The server's address, such as `http://127.0.0.1:8787`. None means the one that
            `rundial.init` would take (`RUNDIAL_ENDPOINT`, then the active profile), with its key.
        api_key: Sent as a bearer token to this endpoint only; None sends none to an endpoint that is
            given. A run's client is given the run's own, so that both always use the same.
        session_token: Of a login, sent where there is no key; `login_credentials` sets it.
        request_timeout_seconds: What one call may take in all, from 0.1; 5 s when None. Where it is given,
            it is the deadline of a request of telemetry too.
        ca_certs: A PEM file to trust instead of the system's certificates, for calls; telemetry goes by
            `OTEL_EXPORTER_OTLP_CERTIFICATE`.
        exchange: How requests travel; tests pass a fake.
        distributed: `rank0`: other ranks record nothing. `all`: every rank records, tagged with its rank.
        distributed_rank: This process's rank; from the launcher's environment when None.
        spool_enabled: False keeps nothing on disk: what no server has taken when the client closes, or at
            the latest when the process ends, is lost, and that is said.
        start_worker_on_init: Makes no difference: threads start with the first record, or with `start`.
        **options: Settings for recording, such as `mode` and `spool_directory`; see the settings page.

    Raises:
        ConfigError: The endpoint is not an http or https address, or an option is wrong or unknown.
    """

    def __init__(  # noqa: PLR0913 - a published signature
        self,
        endpoint: str | None = None,
        *,
        api_key: str | Key | None = None,
        session_token: str | None = None,
        request_timeout_seconds: float | None = None,
        ca_certs: str | None = None,
        exchange: Exchange | None = None,
        distributed: Distributed = "rank0",
        distributed_rank: int | None = None,
        spool_enabled: bool = True,
        start_worker_on_init: bool = True,
        **options: Unpack[Options],
    ) -> None:
        del start_worker_on_init
        self._endpoint = surroundings.endpoint() if endpoint is None else normalise(endpoint)
        if endpoint is None and api_key is None and session_token is None:
            api_key = surroundings.key_for(self._endpoint)
        self._key = api_key if isinstance(api_key, Key) else Key(api_key, session_token=session_token)
        self._options = RecordOptions.checked(
            options,
            distributed=distributed,
            distributed_rank=distributed_rank,
            spool_enabled=spool_enabled,
            request_timeout_seconds=request_timeout_seconds,
        )
        self._owned: HttpExchange | None = None
        if exchange is None:
            exchange = self._owned = HttpExchange(ca_certs=ca_certs)
        timeout_s = (
            CALL_S
            if request_timeout_seconds is None
            else max(MIN_CALL_S, seconds_of(request_timeout_seconds))
        )
        self._caller = Caller(self._endpoint, self._key, timeout_s=timeout_s, exchange=exchange)
        self._is_closed = False
        self._lazy: dict[str, Recording] = {}
        # Slugs of workspace and project by project id, as far as the server has told.
        self.known_places: dict[str, tuple[str, str]] = {}

    def __repr__(self) -> str:
        return f"Client({self._endpoint!r})"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def endpoint(self) -> str:
        """The server's address, normalised."""
        return self._endpoint

    @property
    def api_key(self) -> str | None:
        """The key that is sent, or None; may be set, and counts from the next request on.

        Set on `run.client`, it is the run's key too, and what waited for want of it is sent at once.

        Raises:
            ConfigError: It is set to what HTTP cannot carry; the former key stays.
        """
        return self._key.value

    @api_key.setter
    def api_key(self, value: str | None) -> None:
        self._key.set(value)

    @property
    def session_token(self) -> str | None:
        """The session that is sent where there is no key, or None."""
        return self._key.session_token

    def set_session_token(self, session_token: str | None) -> None:
        """Use another session from the next request on, telemetry included; None sends none.

        Raises:
            ConfigError: It is not a text that a cookie can carry; the former one stays.
        """
        self._key.set_session(session_token)

    def close(self, timeout_seconds: float | None = 5.0, *, drain: bool = True) -> bool:
        """Stop recording, send what is left, and let go of threads and connections. Idempotent.

        Runs are left and not ended: `finish` does that. Reading goes on to work, recording does not.

        Args:
            timeout_seconds: The deadline of the whole call; None is none.
            drain: False only brings everything to disk and leaves the sending to others.

        Returns:
            True when everything is answered (offline: is on disk). What is not stays in the spool for
            `rundial sync` or the next run, and a warning says where.
        """
        self._is_closed = True
        is_done = True
        if self._lazy:
            is_done = self.recording.close(
                timeout_seconds if drain else min(SEAL_S, seconds_of(timeout_seconds))
            )
        if self._owned is not None:
            self._owned.close()
        return is_done

    @property
    def caller(self) -> Caller:
        """What sends the requests of this client's methods; not for users."""
        return self._caller

    @property
    def key(self) -> Key:
        """What this client's requests and its telemetry show to be let in; not for users."""
        return self._key

    @property
    def recording(self) -> Recording:
        """What this client records, made when it is first asked for; not for users."""
        known = self._lazy.get("recording")
        if known is not None:
            return known
        from rundial.api.recording import Recording  # the pipeline, which reading never needs

        # Threads that come at once make one each, which starts nothing yet, and share the first.
        return self._lazy.setdefault("recording", Recording(self, self._options, is_closed=self._is_closed))

    # The server and who we are to it.

    health = signin.health
    get_cli_capabilities = signin.get_cli_capabilities
    whoami = signin.whoami
    login_credentials = signin.login_credentials
    logout_session = signin.logout_session

    # Keys, agents, and what was done with them.

    create_api_key = access.create_api_key
    list_api_keys = access.list_api_keys
    revoke_api_key = access.revoke_api_key
    create_agent = access.create_agent
    list_agents = access.list_agents
    revoke_agent = access.revoke_agent
    create_agent_api_key = access.create_agent_api_key
    list_agent_api_keys = access.list_agent_api_keys
    list_audit_events = access.list_audit_events

    # Where runs live.

    list_workspaces = places.list_workspaces
    list_projects = places.list_projects
    resolve_run_target = places.resolve_run_target
    resolve_project_id = places.resolve_project_id

    # Runs as the server has them.

    announce_run = runs.announce_run
    update_run_config = runs.update_run_config
    update_run_status = runs.update_run_status
    stop_run = runs.stop_run
    run_control = runs.run_control
    query_runs = runs.query_runs
    iter_runs = runs.iter_runs
    get_run_details = runs.get_run_details

    # What they have recorded.

    list_metric_keys = reading.list_metric_keys
    query_series = reading.query_series
    query_logs = reading.query_logs
    export_metrics_page = reading.export_metrics_page
    export_logs_page = reading.export_logs_page
    iter_points = reading.iter_points
    iter_lines = reading.iter_lines
    list_spans = reading.list_spans
    iter_spans = reading.iter_spans
    get_trace = reading.get_trace
    use_artifact = files.use_artifact

    # Artifacts and media.

    list_artifacts = artifacts.list_artifacts
    iter_artifacts = artifacts.iter_artifacts
    artifact = artifacts.artifact
    put_artifact = sending.put_artifact
    note_artifact_use = artifacts.note_artifact_use
    update_artifact_aliases = artifacts.update_artifact_aliases
    delete_artifact = artifacts.delete_artifact
    verify_artifact = artifacts.verify_artifact
    collect_artifacts = artifacts.collect_artifacts
    lineage = artifacts.lineage
    list_media = artifacts.list_media

    # Evaluations.

    create_eval_suite = evals.create_eval_suite
    create_eval_run = evals.create_eval_run
    eval_suite = evals.eval_suite
    log_eval_result = evals.log_eval_result
    query_eval_diff = evals.query_eval_diff
    list_eval_runs = evals.list_eval_runs
    get_eval_run = evals.get_eval_run
    iter_eval_results = evals.iter_eval_results

    # Recording.

    run = writing.run
    start_run = writing.start_run
    start_run_for_workspace_project = writing.start_run_for_workspace_project
    log_metric = writing.log_metric
    log_text = writing.log_text
    log_artifact = files.log_artifact
    log_media = files.log_media
    start = writing.start
    flush = writing.flush
    diagnostics = writing.diagnostics
