"""What every test in `tests/fault` does to a run: one row each of `docs/faults.md`.

A row names the fault, the signals that are logged meanwhile, and the modes of the run. The promise is
the test's docstring, and how often it was tried is counted by `make faults`, so neither stands here. A
contract test tells which test lacks its row.
"""

from __future__ import annotations

from typing import NamedTuple

ALL = "points, lines, spans"
POINTS = "points"
FILES = "artifacts"
LINES = "lines"
SPANS = "spans"
ONLINE = "online"
OFFLINE = "offline"
SYNC = "sync"
SERVER = "server"
BOTH = f"{ONLINE}, {OFFLINE}"
KEPT = f"{ONLINE}, {SYNC}"


class Fault(NamedTuple):
    """One row, but for what its test says itself.

    Attributes:
        what: What goes wrong.
        signals: What is logged while it does.
        modes: How the run delivers: `online`, `offline` and later, `sync` itself; `server` where no run
            of ours sends.
    """

    what: str
    signals: str
    modes: str


# By file in tests/fault, then by test.
FAULTS: dict[str, dict[str, Fault]] = {
    "test_kill": {
        "test_a_killed_run_is_stored_whole_after_sync": Fault("kill -9 while threads log", ALL, BOTH),
        "test_a_second_sync_changes_nothing": Fault("sync repeated over a copy of the spool", ALL, SYNC),
        "test_the_next_run_delivers_what_a_killed_one_left": Fault("kill -9, then another run", ALL, ONLINE),
    },
    "test_evals": {
        "test_a_killed_evaluation_is_stored_whole_after_sync": Fault(
            "kill -9 in the middle of an evaluation", f"{LINES}, {SPANS}", BOTH
        ),
        "test_results_outlive_a_server_that_is_killed": Fault(
            "kill -9 of the server in the middle of an evaluation", LINES, ONLINE
        ),
    },
    "test_kill_again": {
        "test_a_sync_that_is_killed_again_and_again_stores_everything_once": Fault(
            "kill -9 in the middle of recovery and of sync", ALL, SYNC
        ),
        "test_a_run_that_is_killed_while_it_adopts_leaves_all_of_it_to_the_next": Fault(
            "kill -9 while a run delivers what others left", ALL, ONLINE
        ),
        "test_a_run_killed_while_its_ring_wraps_is_stored_whole": Fault(
            "kill -9 while the ring wraps", ALL, BOTH
        ),
        "test_a_ring_of_another_boot_gives_only_what_can_be_trusted": Fault(
            "a ring left by another boot (simulated)", ALL, SYNC
        ),
    },
    "test_ring_kill": {
        "test_a_killed_ring_holds_what_it_accepted": Fault("kill -9 of a bare ring's writers", ALL, "ring"),
        "test_a_ring_killed_after_many_laps_holds_what_it_accepted": Fault(
            "kill -9 of a bare ring's writers, many laps on", ALL, "ring"
        ),
    },
    "test_exit": {
        "test_a_program_that_leaves_without_finish_loses_nothing": Fault(
            "end of the program, sys.exit, an exception, Ctrl-C, SIGTERM, on each Python", ALL, ONLINE
        ),
        "test_forked_children_that_log_and_return_lose_nothing": Fault(
            "forked children that log and return, on each Python", POINTS, ONLINE
        ),
    },
    "test_users": {
        "test_what_one_user_left_is_not_touched_by_another": Fault(
            "two users in one spool directory", ALL, BOTH
        ),
    },
    "test_process": {
        "test_a_handler_that_ends_the_run_inside_log_waits_for_nothing_and_loses_nothing": Fault(
            "a signal handler that ends the run inside log()", POINTS, OFFLINE
        ),
        "test_a_finish_that_gives_up_leaves_everything_to_sync": Fault(
            "finish with a dead, hung or trickling server, then sync", POINTS, KEPT
        ),
        "test_runs_in_sequence_hold_on_to_nothing": Fault("hundreds of runs in one process", ALL, BOTH),
        "test_a_clock_that_jumps_back_and_forward_loses_and_doubles_nothing": Fault(
            "the clock jumps back and forward", POINTS, OFFLINE
        ),
        "test_a_log_storm_costs_no_metric": Fault("a log storm beside sparse metrics", ALL, OFFLINE),
        "test_signal_handlers_finalisers_and_logging_handlers_may_log_inside_log": Fault(
            "signal, finaliser and logging handlers that log inside log()", ALL, OFFLINE
        ),
        "test_exceptions_raised_into_log_lose_and_double_nothing": Fault(
            "exceptions raised into log()", POINTS, OFFLINE
        ),
        "test_finish_keeps_its_time_whatever_the_server_does": Fault(
            "finish with a dead, hung or trickling server", POINTS, KEPT
        ),
    },
    "test_leaving": {
        "test_the_last_line_says_what_waits_and_how_to_send_it": Fault(
            "exit without finish, sys.exit, an exception, SIGTERM, with a dead or hung server", ALL, KEPT
        ),
        "test_a_program_whose_server_has_all_says_nothing": Fault("exit without finish", POINTS, ONLINE),
    },
    "test_fork": {
        "test_a_forked_child_whose_spool_cannot_be_opened_works_on": Fault(
            "a forked child whose spool cannot be opened", ALL, OFFLINE
        ),
        "test_forks_while_other_threads_log_lose_and_double_nothing": Fault(
            "fork while other threads log", ALL, OFFLINE
        ),
        "test_spawned_children_that_log_and_return_lose_nothing": Fault(
            "spawned children, four processes in one directory", ALL, ONLINE
        ),
    },
    "test_disk": {
        "test_a_disk_without_one_free_byte_takes_more_once_all_is_answered": Fault(
            "a disk without one free byte", POINTS, ONLINE
        ),
        "test_an_export_to_a_disk_that_takes_nothing_waits_once": Fault(
            "export of OpenTelemetry spans to a disk that takes nothing", SPANS, ONLINE
        ),
        "test_on_a_disk_that_takes_nothing_the_rest_waits_for_every_endpoint": Fault(
            "exit on a disk that takes nothing, with two endpoints", POINTS, ONLINE
        ),
        "test_a_disk_that_takes_nothing_costs_the_oldest_and_is_used_again": Fault(
            "disk full, then room again", LINES, ONLINE
        ),
        "test_a_program_that_ends_on_a_full_disk_leaves_the_rest_to_sync": Fault(
            "exit on a full disk", LINES, KEPT
        ),
        "test_a_disk_that_becomes_read_only_stops_nothing_and_invents_nothing": Fault(
            "the disk becomes read-only", POINTS, KEPT
        ),
    },
    "test_place": {
        "test_a_ring_that_lost_its_name_is_replaced_before_a_kill": Fault(
            "a ring unlinked under a running process", POINTS, BOTH
        ),
        "test_a_spool_and_ring_removed_under_a_live_run_cost_nothing_that_was_sent": Fault(
            "the spool directory removed in mid-run", POINTS, ONLINE
        ),
        "test_on_a_file_system_that_holds_no_ring_the_ring_is_in_shared_memory": Fault(
            "a file system that is not on the allow-list", POINTS, ONLINE
        ),
        "test_a_full_btrfs_ends_no_run": Fault("a full btrfs", POINTS, ONLINE),
        "test_without_shared_memory_either_the_ring_is_in_memory": Fault("no /dev/shm", POINTS, ONLINE),
    },
    "test_outage": {
        "test_a_server_away_for_30_seconds_misses_nothing": Fault(
            "server stopped for 30 s", "points, lines", ONLINE
        ),
        "test_a_run_may_start_before_its_server": Fault(
            "server not there at the start", "points, lines", ONLINE
        ),
        "test_a_server_killed_while_a_client_sends_loses_nothing": Fault(
            "server killed (-9) and restarted", "points, lines", ONLINE
        ),
        "test_offline_then_sync_is_the_same_run": Fault("no server at all", "points, lines", SYNC),
    },
    "test_refusals": {
        "test_a_server_that_fails_keeps_a_run_waiting_and_loses_nothing": Fault(
            "403, stale 404, 405, 500, no answer, a trickle, resets, HTML, too long an answer", ALL, ONLINE
        ),
        "test_a_server_that_fails_keeps_a_spool_waiting_and_loses_nothing": Fault(
            "403, stale 404, 405, 500, no answer, a trickle, resets, HTML, too long an answer", ALL, SYNC
        ),
        "test_503_for_30_seconds_misses_nothing": Fault("503 for 30 s", ALL, ONLINE),
        "test_an_answer_that_is_lost_doubles_nothing": Fault(
            "connection reset before and in the middle of an accepting answer", ALL, ONLINE
        ),
        "test_a_connection_reset_in_mid_body_loses_nothing": Fault(
            "connection reset in mid-body", ALL, ONLINE
        ),
        "test_a_large_request_that_stops_half_way_loses_nothing": Fault(
            "connection reset in mid-body, body larger than the buffers", LINES, ONLINE
        ),
        "test_a_server_that_knows_no_traces_gets_the_rest": Fault("404 for one signal", ALL, KEPT),
        "test_a_stale_build_is_named_before_a_run_starts": Fault("404 of a stale build in init", ALL, ONLINE),
        "test_a_server_that_fails_at_the_start_is_told_of_the_run_later": Fault(
            "no answer, a trickle, a reset, 503, 429 in init", ALL, ONLINE
        ),
        "test_a_server_that_refuses_the_start_raises_before_anything_is_made": Fault(
            "401, 403, 405 in init", ALL, ONLINE
        ),
        "test_a_redirect_to_another_origin_gets_no_request_and_no_key": Fault(
            "301, 302, 303, 307, 308 to another origin", ALL, ONLINE
        ),
        "test_a_redirect_at_the_start_gets_no_request_and_no_key": Fault("302 in init", ALL, ONLINE),
        "test_the_users_exception_leaves_as_it_came": Fault(
            "the program's own exception while the server fails", ALL, ONLINE
        ),
    },
    "test_files": {
        "test_kill_in_the_middle_of_a_multipart_upload_resumes_by_parts": Fault(
            "kill -9 in the middle of an upload in parts, then sync", FILES, ONLINE
        ),
        "test_next_run_delivers_the_files_that_a_killed_one_left": Fault(
            "kill -9 while the store is away, then another run", FILES, ONLINE
        ),
        "test_kill_right_after_the_call_loses_no_file": Fault(
            "kill -9 right after log_artifact, then sync", FILES, OFFLINE
        ),
        "test_file_that_is_gone_when_the_spool_is_adopted_is_reported": Fault(
            "kill -9, and the file is removed before sync", FILES, OFFLINE
        ),
        "test_generated_media_survive_once_they_are_written": Fault(
            "the process ends, then sync and sync again", FILES, OFFLINE
        ),
        "test_expired_urls_are_renewed": Fault("403 for URLs that have expired", FILES, ONLINE),
        "test_two_processes_that_log_the_same_name_make_two_versions": Fault(
            "two processes log the same artifact name", FILES, ONLINE
        ),
        "test_full_disk_at_the_client_sends_the_file_from_where_it_is": Fault(
            "no room for a snapshot", FILES, ONLINE
        ),
        "test_file_that_changes_while_it_is_sent_is_recorded_as_what_was_hashed": Fault(
            "a file that changes while it is sent", FILES, ONLINE
        ),
        "test_refused_artifact_is_counted_and_the_next_one_arrives": Fault(
            "400 for one artifact", FILES, ONLINE
        ),
        "test_a_snapshot_that_a_power_cut_has_emptied_is_taken_again_or_reported": Fault(
            "a snapshot that became zeros, then sync", FILES, OFFLINE
        ),
        "test_a_wait_for_files_says_what_for": Fault("503 for every PUT, then none", FILES, ONLINE),
        "test_media_wait_for_room_on_a_disk_that_is_full": Fault(
            "a full disk of 1 MiB under the spool, then room", FILES, ONLINE
        ),
    },
    "test_new_key": {
        "test_a_new_key_in_mid_run_sends_at_once_what_waited": Fault(
            "401 or 403, then a new key in the profile or by run.client.api_key", ALL, ONLINE
        ),
        "test_a_key_that_is_set_twice_is_right_in_the_end": Fault(
            "401, then a mistyped key, then the right one", ALL, ONLINE
        ),
        "test_a_program_in_another_process_sees_the_key_that_is_stored": Fault(
            "401, then a new key in the profile, another process", ALL, ONLINE
        ),
        "test_a_run_that_ended_with_an_expired_key_is_sent_with_the_next_one": Fault(
            "401 until the end, then a run with a new key", ALL, ONLINE
        ),
        "test_sync_uses_the_key_that_is_stored_now": Fault(
            "401, then a new key in the profile and sync", ALL, SYNC
        ),
        "test_a_key_of_a_child_is_its_own": Fault(
            "401, then a new key set in a forked child", POINTS, ONLINE
        ),
    },
    "test_parts": {
        "test_a_record_that_is_refused_costs_no_other": Fault(
            "a poison record: 400, 422, 413 for it alone, partial success", ALL, ONLINE
        ),
        "test_a_record_that_is_refused_at_a_sync_costs_no_other": Fault(
            "a poison record: 400, 422, 413 for it alone, partial success", ALL, SYNC
        ),
        "test_a_server_that_takes_one_record_at_a_time_gets_them_all": Fault(
            "413 down to single items", ALL, ONLINE
        ),
        "test_a_busy_server_is_left_alone_for_as_long_as_it_asks": Fault(
            "429 with Retry-After in seconds and as a date", ALL, ONLINE
        ),
    },
    "test_shared_database": {
        "test_two_servers_take_one_run_at_once_and_count_each_point_once": Fault(
            "two servers on one database take one run at once", POINTS, ONLINE
        ),
        "test_a_run_recorded_through_the_proxy_is_complete": Fault(
            "each request of a run goes to another server", ALL, ONLINE
        ),
        "test_points_that_one_server_took_after_the_other_show": Fault(
            "two servers take one series by turns", POINTS, ONLINE
        ),
        "test_a_server_killed_under_load_loses_nothing_and_the_other_goes_on": Fault(
            "kill -9 of one of two servers on one database", POINTS, ONLINE
        ),
        "test_what_two_servers_are_told_of_a_run_at_once_is_all_kept": Fault(
            "two servers are told of one run at once", POINTS, ONLINE
        ),
        "test_postgresql_restarted_under_load_loses_nothing_that_was_acknowledged": Fault(
            "PostgreSQL restarted under load", POINTS, ONLINE
        ),
        "test_two_servers_that_start_at_once_make_one_workspace_and_one_owner": Fault(
            "two servers start at once on an empty database", POINTS, ONLINE
        ),
    },
    "test_clickhouse": {
        "test_a_server_killed_between_clickhouse_and_its_catalog_has_all_that_it_acknowledged": Fault(
            "kill -9 of a server whose points are in ClickHouse, under load", ALL, SERVER
        ),
        "test_a_clickhouse_that_fails_under_load_costs_nothing_that_was_acknowledged": Fault(
            "ClickHouse killed, refusing inserts, or its answers lost, under load", ALL, SERVER
        ),
    },
    "test_server": {
        "test_a_server_killed_under_load_has_all_that_it_acknowledged": Fault(
            "kill -9 of the server under load, again and again", ALL, SERVER
        ),
        "test_a_full_disk_is_answered_503_and_nothing_half_written_and_mends_itself": Fault(
            "the server's disk full under load", ALL, SERVER
        ),
        "test_a_second_server_on_the_same_data_refuses_in_words_and_the_first_goes_on": Fault(
            "a second server on one SQLite directory", ALL, SERVER
        ),
        "test_a_clock_that_jumps_costs_no_record_and_ends_no_run_for_good": Fault(
            "the server's and the client's clock an hour or a year ahead, or back", "points, lines", SERVER
        ),
        "test_clients_that_leave_in_the_middle_of_a_body_cost_nobody_anything": Fault(
            "half a body, then gone", ALL, SERVER
        ),
    },
    "test_traces": {
        "test_an_agent_killed_in_its_work_is_stored_whole": Fault(
            "kill -9 in the middle of an agent's run", SPANS, BOTH
        ),
        "test_a_span_that_is_open_for_long_is_seen_while_it_is": Fault("a span open for long", SPANS, ONLINE),
        "test_children_forked_inside_a_span_are_below_it": Fault("fork inside a span", SPANS, ONLINE),
        "test_a_span_of_any_size_is_stored_within_its_bounds": Fault(
            "a prompt of 5 MB, 10,000 events, 10,000 attributes", "spans, artifacts", ONLINE
        ),
    },
}
