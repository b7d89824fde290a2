"""`rundial metrics export` and `rundial logs export`: everything that a run has recorded, as a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rundial.cli.failure import CommandError
from rundial.cli.names import run_ids
from rundial.cli.options import Command, flags_of, placed, words_of
from rundial.cli.output import count, shown, some
from rundial.cli.progress import counted
from rundial.cli.target import Session, session_of
from rundial.cli.times import Moment

if TYPE_CHECKING:
    from rundial.cli.export import Kind, Wish

FORMATS = ("json", "jsonl", "csv", "parquet")
MAX_PAGE = {"metrics": 10_000, "logs": 1_000}
COUNTED = {"metrics": "points", "logs": "lines"}


def _own_format(ctx: click.Context, param: click.Parameter, value: str) -> str:
    del param
    flags_of(ctx).owns_format = True
    return value


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.argument("run_id", shell_complete=run_ids),
        placed,
        click.option(
            "--format",
            "form",
            type=click.Choice(FORMATS),
            default="json",
            show_default=True,
            callback=_own_format,
            is_eager=True,
            help="Of the file.",
        ),
        click.option(
            "--out",
            required=True,
            type=click.Path(dir_okay=False, path_type=Path),
            help="The file; replaced whole, once everything is there.",
        ),
        click.option("--since", type=Moment(), metavar="TIME", help="From then on: 2h, 2026-11-01."),
        click.option("--until", type=Moment(), metavar="TIME", help="Up to then."),
        click.option(
            "--start-ms", type=click.IntRange(0), metavar="MS", help="As --since, in ms since 1970."
        ),
        click.option("--end-ms", type=click.IntRange(0), metavar="MS", help="As --until, in ms since 1970."),
        click.option(
            "--page-size",
            type=click.IntRange(1, 10_000),
            default=1000,
            show_default=True,
            help="Rows a request.",
        ),
        click.option("--all-columns", is_flag=True, help="CSV: also what the published columns leave out."),
    )[::-1]:
        command = option(command)
    return command


@click.command("export", cls=Command)
@_options
@click.option("--keys", multiple=True, metavar="KEY", help="Only these series; repeatable, or a,b.")
@click.pass_context
def metrics(ctx: click.Context, /, run_id: str, keys: tuple[str, ...], **given: Any) -> None:
    """Write every point of a run to a file, exactly; interrupted, it goes on when given again."""
    from rundial.cli.export import METRICS

    _export(ctx, METRICS, run_id, tuple(words_of(keys)), given)


@click.command("export", cls=Command)
@_options
@click.pass_context
def logs(ctx: click.Context, /, run_id: str, **given: Any) -> None:
    """Write every line of a run's text to a file; interrupted, it goes on when given again."""
    from rundial.cli.export import LOGS

    _export(ctx, LOGS, run_id, (), given)


def _export(
    ctx: click.Context, kind: Kind, run_id: str, keys: tuple[str, ...], given: Mapping[str, Any]
) -> None:
    from rundial.cli.export import Wish, export, need_format

    need_format(given["form"])
    out: Path = given["out"]
    start_ms, end_ms = _bounds(given)
    session = session_of(ctx, workspace=given["workspace"], project=given["project"])
    with session.client(timeout_s=60.0) as client:
        place = session.place(client)
        details: Mapping[str, Any] = client.get_run_details(
            workspace_slug=place.workspace, project_slug=place.project, run_id=run_id
        )
        wish = Wish(
            kind, client.endpoint, str(details.get("projectId")), run_id, keys, start_ms, end_ms,
            given["form"], given["all_columns"],
        )  # fmt: skip
        counts = details.get("counts") or {}
        total = counts.get(COUNTED[kind.name]) if not keys and start_ms is None and end_ms is None else None
        fetch = _fetcher(client.caller.post, wish, min(given["page_size"], MAX_PAGE[kind.name]))
        try:
            with counted(session.output, out.name, shown=count) as on_progress:
                done = export(
                    wish,
                    out,
                    fetch=fetch,
                    window=_window(details),
                    on_rows=lambda rows: on_progress(rows, total),
                )
        except KeyboardInterrupt as error:
            raise CommandError(
                f"interrupted; the rows so far are kept beside {shown(out)}",
                "Give the same command again: it goes on where it was",
            ) from error
    if done.has_more_columns and wish.form == "csv" and not wish.all_columns:
        session.output.note("some points have a context, which --all-columns writes too")
    _tell(session, wish, out, done.rows)


def _tell(session: Session, wish: Wish, out: Path, rows: int) -> None:
    found = {"out": str(out), "rows": rows, "format": wish.form}
    session.output.result(
        found, lambda: [f"{some(rows, COUNTED[wish.kind.name].removesuffix('s'))} in {shown(out)}"]
    )


def _fetcher(
    post: Callable[..., dict[str, Any]], wish: Wish, limit: int
) -> Callable[[str | None], Mapping[str, Any]]:
    from rundial.api.caller import given
    from rundial.api.calls import paging

    def fetch(cursor: str | None) -> Mapping[str, Any]:
        body = given(
            projectId=wish.project_id,
            runId=wish.run_id,
            metricKeys=list(wish.keys) or None,
            startMs=wish.start_ms,
            endMs=wish.end_ms,
            limit=limit,
            format="json",
            cursor=cursor,
        )
        found = post(f"/api/v1/export/{wish.kind.name}", body, what=f"exporting {wish.run_id}")
        return {**found, "rows": paging.rows_of(found, "rows", wish.endpoint)}

    return fetch


def _bounds(given: Mapping[str, Any]) -> tuple[int | None, int | None]:
    for one, other in (("since", "start_ms"), ("until", "end_ms")):
        if given[one] is not None and given[other] is not None:
            name = other.replace("_", "-")
            raise click.UsageError(f"--{one} and --{name} say the same thing; give one of them")
    start = given["since"] if given["since"] is not None else given["start_ms"]
    end = given["until"] if given["until"] is not None else given["end_ms"]
    if start is not None and end is not None and start > end:
        raise click.UsageError("the time ends before it begins")
    return start, end


def _window(details: Mapping[str, Any]) -> tuple[int, int]:
    """Return the time that the published client would have asked for."""
    from rundial.cli.export import MARGIN_MS

    now = time.time_ns() // 1_000_000
    start = details.get("startedAtMs") or now
    end = details.get("finishedAtMs") or details.get("updatedAtMs") or now
    return max(0, int(start) - MARGIN_MS), int(end) + MARGIN_MS
