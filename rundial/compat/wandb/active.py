"""The run that `wandb.init` made last, and the functions of the module that mean it.

Threads: any; which run is current is the whole process's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rundial.compat.wandb.failures import before_init

if TYPE_CHECKING:
    from rundial.compat.wandb.wandbrun import Run

_CURRENT: list[Run] = []


class BeforeInit:
    """`wandb.config` and `wandb.summary` while there is no run: every use says so.

    Args:
        name: Which of them.
    """

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "_name", name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise before_init(f"{object.__getattribute__(self, '_name')}.{name}")

    def __setattr__(self, name: str, value: object) -> None:
        raise before_init(f"{object.__getattribute__(self, '_name')}.{name}")

    def __getitem__(self, name: str) -> Any:
        raise before_init(f"{object.__getattribute__(self, '_name')}[{name!r}]")

    def __setitem__(self, name: str, value: object) -> None:
        raise before_init(f"{object.__getattribute__(self, '_name')}[{name!r}]")


def current_run() -> Run | None:
    """Return the run that is going on, None where there is none."""
    return _CURRENT[-1] if _CURRENT else None


def current_config() -> Any:
    """Return the config of the run that is going on."""
    run = current_run()
    return BeforeInit("config") if run is None else run.config


def current_summary() -> Any:
    """Return the summary of the run that is going on."""
    run = current_run()
    return BeforeInit("summary") if run is None else run.summary


def enter(run: Run) -> None:
    """Make a run the current one."""
    _CURRENT[:] = [run]


def leave(run: Run) -> None:
    """Have no current run any more, if it is this one."""
    if current_run() is run:
        _CURRENT.clear()


def log(data: Any, step: Any = None, commit: bool | None = None, sync: bool | None = None) -> None:
    """Record values into the current run; see `Run.log`."""
    _run("log()").log(data, step, commit, sync)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """End the current run; without one nothing happens."""
    run = current_run()
    if run is not None:
        run.finish(exit_code, quiet)


def join(exit_code: int | None = None) -> None:
    """Another name of `finish`."""
    finish(exit_code)


def teardown(exit_code: int | None = None) -> None:
    """End the current run; there is no service to end."""
    finish(exit_code)


def define_metric(name: str, *more: Any, **options: Any) -> Any:
    """Say how a metric of the current run is to be read; see `Run.define_metric`."""
    return _run("define_metric()").define_metric(name, *more, **options)


def watch(models: Any, *more: Any, **options: Any) -> None:
    """Record gradients and parameters of a model into the current run; see `Run.watch`."""
    _run("watch()").watch(models, *more, **options)


def unwatch(models: Any = None) -> None:
    """Stop what `watch` began."""
    _run("unwatch()").unwatch(models)


def save(glob_str: Any, *more: Any, **options: Any) -> Any:
    """Keep files with the current run; see `Run.save`."""
    return _run("save()").save(glob_str, *more, **options)


def alert(title: str, text: str = "", *more: Any, **options: Any) -> None:
    """Tell people something; see `Run.alert`."""
    _run("alert()").alert(title, text, *more, **options)


def log_artifact(artifact_or_path: Any, *more: Any, **options: Any) -> Any:
    """Have an artifact of the current run delivered; see `Run.log_artifact`."""
    return _run("log_artifact()").log_artifact(artifact_or_path, *more, **options)


def use_artifact(artifact_or_name: Any, *more: Any, **options: Any) -> Any:
    """Use an artifact in the current run; see `Run.use_artifact`."""
    return _run("use_artifact()").use_artifact(artifact_or_name, *more, **options)


def log_model(path: Any, *more: Any, **options: Any) -> None:
    """Have a model of the current run delivered; see `Run.log_model`."""
    _run("log_model()").log_model(path, *more, **options)


def use_model(name: str) -> str:
    """Fetch a model from the server; see `Run.use_model`."""
    return _run("use_model()").use_model(name)


def require(*features: Any, **more: Any) -> None:
    """Do nothing: features of W&B's client are not ours."""


def mark_preempting() -> None:
    """Note that the machine is about to be taken away."""
    _run("mark_preempting()").mark_preempting()


def _run(name: str) -> Run:
    run = current_run()
    if run is None:
        raise before_init(name)
    return run
