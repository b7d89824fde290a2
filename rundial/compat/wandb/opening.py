"""`wandb.init`, `login`, `setup` and `Settings`: from W&B's arguments and environment to a Rundial run.

An argument counts before `settings`, and that before the `WANDB_*` variable; then come Rundial's own
settings. W&B's key and address are not looked at: neither is anything that a Rundial server should see.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from threading import Lock
from typing import Any

import rundial
from rundial import profiles
from rundial.api.guard import warn_user
from rundial.compat.wandb import active
from rundial.compat.wandb.failures import unsupported
from rundial.compat.wandb.runconfig import fields_of_config
from rundial.compat.wandb.wandbrun import Run

UNCATEGORIZED = "uncategorized"
MODES = {
    "online": "online",
    "offline": "offline",
    "dryrun": "offline",
    "disabled": "disabled",
    "run": "online",
}
RESUMES = {"allow": "allow", "auto": "allow", "must": "must", "never": "never"}
REINITS = {
    True: "finish_previous",
    False: "return_previous",
    None: "return_previous",
    "default": "return_previous",
}
# Which argument of `init` is which setting, and its variable.
_NAMES = {
    "project": ("project", "WANDB_PROJECT"),
    "entity": ("entity", "WANDB_ENTITY"),
    "dir": ("dir", "WANDB_DIR"),
    "id": ("run_id", "WANDB_RUN_ID"),
    "name": ("run_name", "WANDB_NAME"),
    "notes": ("run_notes", "WANDB_NOTES"),
    "tags": ("run_tags", "WANDB_TAGS"),
    "group": ("run_group", "WANDB_RUN_GROUP"),
    "job_type": ("run_job_type", "WANDB_JOB_TYPE"),
    "mode": ("mode", "WANDB_MODE"),
    "resume": ("resume", "WANDB_RESUME"),
    "reinit": ("reinit", ""),
    "allow_val_change": ("allow_val_change", ""),
}
# What `init` takes, and Rundial has nothing for: given, it is an error, and not a run that is something else.
_REFUSED = ("resume_from", "fork_from")
_KEY_MARK = "rdk_"
# Guards the making of the current run.
_lock = Lock()


class Settings:
    """What a run is started with: any of W&B's settings by name; those that nothing comes of are kept.

    Args:
        **given: Settings; None counts as not given.
    """

    def __init__(self, **given: Any) -> None:
        self.__dict__.update({name: value for name, value in given.items() if value is not None})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return None

    def __repr__(self) -> str:
        return f"Settings({', '.join(sorted(self.__dict__))})"


def init(  # noqa: PLR0913 - W&B's signature
    entity: str | None = None,
    project: str | None = None,
    dir: Any = None,
    id: str | None = None,
    name: str | None = None,
    notes: str | None = None,
    tags: Any = None,
    config: Any = None,
    config_exclude_keys: Any = None,
    config_include_keys: Any = None,
    allow_val_change: bool | None = None,
    group: str | None = None,
    job_type: str | None = None,
    mode: str | None = None,
    force: bool | None = None,
    reinit: Any = None,
    resume: Any = None,
    save_code: bool | None = None,
    tensorboard: bool | None = None,
    sync_tensorboard: bool | None = None,
    monitor_gym: bool | None = None,
    settings: Any = None,
    anonymous: Any = None,
    **more: Any,
) -> Run:
    """Start a run, or return the one that is going on.

    Args:
        entity: Workspace slug.
        project: Project slug; `uncategorized` when nothing names one.
        dir: Where `run.dir` lies.
        id: The run's id.
        name: What people call it.
        notes: Kept in the config, as `_wandb.notes`.
        tags: Short labels.
        config: A mapping, a namespace, a dataclass, or the path of a JSON file.
        config_exclude_keys: Names to leave out of it.
        config_include_keys: The only names to take of it.
        allow_val_change: Whether keys of the config may change.
        group: Name under which runs belong together.
        job_type: Role in the group.
        mode: `online`, `offline` or `disabled`.
        force: Not used.
        reinit: What becomes of a run that is going on: it is returned (None, False, `return_previous`),
            finished
            (True, `finish_previous`), or goes on beside this one (`create_new`).
        resume: `allow` or True, `must`, `never`; None is `never` for an id that is given.
        save_code: Not used.
        tensorboard: Another name of `sync_tensorboard`.
        sync_tensorboard: Whether what is written to TensorBoard is recorded too.
        monitor_gym: Not used.
        settings: A `Settings` or a mapping of settings.
        anonymous: Not used.
        **more: Further settings of `rundial.init`, such as `endpoint` and `api_key`.

    Raises:
        ConfigError: An argument is wrong; nothing was started.
        RundialRequestError: The server refuses the key, the project or the run id.
        UnsupportedError: `resume_from`, `fork_from`, or the mode `shared`.
    """
    del force, save_code, monitor_gym, anonymous
    for refused in _REFUSED:
        if more.pop(refused, None) is not None:
            raise unsupported(f"init({refused}=…)")
    known = locals()
    given = {argument: known[argument] for argument in _NAMES}
    wanted = _settings(given, settings)
    values = _config(config, config_include_keys, config_exclude_keys)
    with _lock:
        before = active.current_run()
        how = REINITS.get(wanted.reinit, wanted.reinit)
        if before is not None and how == "return_previous":
            if values:
                before.config.update(values, allow_val_change=True)
            return before
        if before is not None and how == "finish_previous":
            before.finish()
        run = Run(rundial.init(**_arguments(wanted, values, more)), wanted)
        if how != "create_new":
            active.enter(run)
    if tensorboard or sync_tensorboard:
        from rundial.compat.wandb import eventwatch as events

        run.recorded.before_finish.append(events.follow(run))
    return run


def login(key: str | None = None, *more: Any, **options: Any) -> bool:
    """Use a key of Rundial's for the runs of this process; any other key is used for nothing."""
    del more, options
    if key and key.startswith(_KEY_MARK):
        os.environ["RUNDIAL_API_KEY"] = key
    elif key:
        warn_user(
            "wandb.login was given a key that is none of Rundial's; it is sent nowhere. "
            "For a key of its own see `rundial auth login`"
        )
    return True


def setup(settings: Any = None) -> Settings:
    """Return the settings; there is no service to set up."""
    return _settings({}, settings)


def _settings(given: Mapping[str, Any], more: Any) -> Settings:
    found = dict(more) if isinstance(more, Mapping) else dict(vars(more)) if more is not None else {}
    for argument, (setting, variable) in _NAMES.items():
        value = given.get(argument)
        if value is not None:
            found[setting] = value
        elif found.get(setting) is None and os.environ.get(variable, "").strip():
            found[setting] = os.environ[variable].strip()
    if os.environ.get("WANDB_DISABLED", "").strip().lower() in ("1", "true", "yes", "on"):
        found["mode"] = "disabled"
    if isinstance(found.get("run_tags"), str):
        found["run_tags"] = [part.strip() for part in found["run_tags"].split(",") if part.strip()]
    return Settings(**found)


def _arguments(wanted: Settings, values: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    if wanted.run_notes:
        values = {**values, "_wandb": {"notes": str(wanted.run_notes)}}
    return {
        "project": wanted.project or _default_project(more),
        "workspace": wanted.entity,
        "name": wanted.run_name,
        "run_id": wanted.run_id,
        "tags": wanted.run_tags,
        "group": wanted.run_group,
        "job_type": wanted.run_job_type,
        "mode": _mode(wanted.mode),
        "resume": _resume(wanted.resume),
        "config": values,
        **more,
    }


def _default_project(more: Mapping[str, Any]) -> str | None:
    if more.get("project") or os.environ.get("RUNDIAL_PROJECT", "").strip():
        return None
    profile = profiles.load().active
    return None if profile is not None and profile.project else UNCATEGORIZED


def _mode(mode: Any) -> str | None:
    if mode is None:
        return None
    if mode == "shared":
        raise unsupported("init(mode='shared')")
    return MODES.get(str(mode), str(mode))


def _resume(resume: Any) -> str | None:
    if resume is None or resume is False:
        return None
    return "allow" if resume is True else RESUMES.get(str(resume), str(resume))


def _config(config: Any, include: Any, exclude: Any) -> dict[str, Any]:
    if isinstance(config, (str, os.PathLike)):
        config = _read(os.fspath(config))
    found = fields_of_config(config)
    if include is not None:
        found = {name: value for name, value in found.items() if name in include}
    return {name: value for name, value in found.items() if name not in (exclude or ())}


def _read(path: str) -> Any:
    import json

    with open(path, encoding="utf-8") as file:
        text = file.read()
    try:
        return json.loads(text)
    except ValueError as error:
        raise rundial.ConfigError(f"config {path} is no JSON; give a mapping. Nothing was started") from error
