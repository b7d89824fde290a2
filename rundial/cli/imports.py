"""`rundial import`: what other trackers have left on disk, as runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rundial.cli.failure import CommandError
from rundial.cli.options import Group, placed
from rundial.cli.output import count, shown
from rundial.cli.progress import counted
from rundial.cli.target import session_of

if TYPE_CHECKING:
    from rundial.importers.imported import Imported
    from rundial.importers.recording import Report

group = Group("import", help="Import what other trackers have left on disk; again it changes nothing.")
_PLACE = click.Path(exists=True, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@group.command("wandb")
@click.argument("path", metavar="PATH", type=_PLACE)
@placed
@click.pass_context
def wandb(ctx: click.Context, /, path: Path, workspace: str | None, project: str | None) -> int:
    """Import W&B's offline runs.

    PATH is a .wandb file, or a directory with some below it, such as wandb/. A torn file is imported up to
    where it is torn. Ids, steps, times, config, summary, media and files are kept; a run's project is its own
    unless --project says otherwise.
    """
    from rundial.importers import wandbruns

    return _imported(
        ctx, workspace, project, lambda: (wandbruns.imported(each) for each in wandbruns.find(path))
    )


@group.command("mlflow")
@click.argument("path", metavar="PATH", type=_PLACE)
@placed
@click.pass_context
def mlflow(ctx: click.Context, /, path: Path, workspace: str | None, project: str | None) -> int:
    """Import MLflow's runs.

    PATH is a directory such as mlruns/, or a SQLite database such as mlflow.db. Ids, steps, times,
    parameters, tags and artifacts on this machine are kept; an experiment becomes a project unless --project
    names one.
    """
    from rundial.importers import mlflowruns

    return _imported(ctx, workspace, project, lambda: mlflowruns.imported(path))


@group.command("tensorboard")
@click.argument("path", metavar="DIR", type=_PLACE)
@placed
@click.pass_context
def tensorboard(ctx: click.Context, /, path: Path, workspace: str | None, project: str | None) -> int:
    """Import TensorBoard's event files.

    DIR is a log directory; each directory below it that has event files becomes a run. Scalars, images,
    histograms, text and hparams are kept.
    """
    from rundial.importers import tensorboardruns

    return _imported(
        ctx,
        workspace,
        project,
        lambda: (tensorboardruns.imported(each, path) for each in tensorboardruns.find(path)),
    )


@group.command("csv")
@click.argument("path", metavar="FILE", type=_FILE)
@click.option("--name", metavar="TEXT", help="What people call the run; the file's name unless given.")
@click.option("--step-column", metavar="NAME", help="Which column is the step.")
@click.option("--time-column", metavar="NAME", help="Which column is the time, in s or ms since 1970.")
@placed
@click.pass_context
def csv_file(  # noqa: PLR0913 - the options of a command
    ctx: click.Context,
    /,
    path: Path,
    name: str | None,
    step_column: str | None,
    time_column: str | None,
    workspace: str | None,
    project: str | None,
) -> int:
    """Import a CSV file as a run: a column a metric, or as `rundial metrics export` writes it.

    FILE is UTF-8 with a row of names at its top. Without --step-column a column that is commonly the step is
    taken, or else the number of the row.
    """
    from rundial.importers import csvfile

    def read() -> Iterator[Imported]:
        found = csvfile.imported(path, step_column=step_column, time_column=time_column)
        found.name = name or found.name
        yield found

    return _imported(ctx, workspace, project, read)


def _imported(
    ctx: click.Context, workspace: str | None, project: str | None, read: Callable[[], Iterable[Imported]]
) -> int:
    from rundial.importers.imported import NothingToImportError
    from rundial.importers.recording import Importer

    session = session_of(ctx, workspace=workspace, project=project)
    key, _ = session.credentials()
    given = {"endpoint": session.target.endpoint, "api_key": key, "workspace": session.target.workspace}
    # What the profile names is where runs go that belong nowhere yet, not where all of them go.
    reports: list[Report] = []
    with counted(session.output, "importing", shown=count) as on_records:
        importer = Importer(
            {**given, "project": project}, lambda done, name: on_records(done, None, shown(name))
        )
        importer.greet()
        try:
            for each in read():
                each.project = each.project or session.target.project or ""
                reports.append(importer.record(each))
        except NothingToImportError as error:
            raise CommandError(
                str(error), "Name the file or directory that the tracker has written"
            ) from error
    found: dict[str, Any] = {"runs": [_facts(report) for report in reports]}
    session.output.result(found, lambda: [line for report in reports for line in _lines(report)])
    return 0 if all(report.is_delivered for report in reports) else 1


def _facts(report: Report) -> dict[str, Any]:
    return {
        "runId": report.run_id,
        "name": report.name,
        "state": report.state,
        "points": report.points,
        "lines": report.lines,
        "media": report.media,
        "files": report.files,
        "leftOut": dict(report.left_out or {}),
        "delivered": report.is_delivered,
    }


def _lines(report: Report) -> Iterator[str]:
    if report.state == "present":
        yield f"{shown(report.run_id)}  is there already; nothing was changed"
        return
    numbers = ", ".join(
        f"{count(getattr(report, what))} {what}" for what in ("points", "lines", "media", "files")
    )
    yield f"{shown(report.run_id)}  {report.state}: {numbers}"
    for what, how_many in (report.left_out or {}).items():
        yield f"  not carried over: {shown(what)} ({count(how_many)})"
    if not report.is_delivered:
        yield "  the server has not taken all of it: run rundial sync"
