"""`rundial.eval`: suites of examples, and the pytest plugin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rundial.errors import ConfigError
from rundial.signals import results

if TYPE_CHECKING:
    from rundial.api.evalsuite import RundialEvalSuite
    from rundial.api.run import Run
    from rundial.choices import Mode


class EvalNamespace:
    """What `rundial.eval` offers.

    Attributes:
        pytest_plugin: Name of the pytest plugin, for `pytest_plugins` and `-p`.
    """

    pytest_plugin = "rundial.eval_pytest_plugin"

    def suite(  # noqa: PLR0913 - the published signature
        self,
        name: str,
        *,
        dataset: str | Mapping[str, object] | Iterable[Mapping[str, Any]],
        scorers: Sequence[str | Mapping[str, object] | Callable[..., object]],
        workspace: str | None = None,
        project: str | None = None,
        org_id: str | None = None,
        project_id: str | None = None,
        endpoint: str | None = None,
        api_key: str | None = None,
        suite_id: str | None = None,
        dataset_name: str | None = None,
        dataset_version: str | None = None,
        mode: Mode | None = None,
        **client_options: Any,
    ) -> RundialEvalSuite:
        """Return a suite: examples, and the scorers that judge what comes out for them.

        Nobody is asked: `run()` starts a run, as `rundial.init` does, and that tells of the suite.

        Args:
            name: What people call it, at most 256 characters; it tells one suite of a project from another.
            dataset: The cases, each a mapping, with an `id` that stays the same; or a mapping with a
                `name`, and such as `version`, `artifactRef` and `cases`; or an artifact's reference.
            scorers: Names, functions, or mappings with a `name` or a `function`, and such as
                `"goal": "minimize"`. A function takes by name what it asks for of `output`, `case` and what
                the case holds.
            workspace: As for `rundial.init`.
            project: As for `rundial.init`.
            org_id: The workspace's id, beside `project_id`; may be left out.
            project_id: The project's id, where its name is not known; then the server is asked at once.
            endpoint: As for `rundial.init`.
            api_key: As for `rundial.init`.
            suite_id: Its id; None derives it from the name.
            dataset_name: What the dataset is called, where it does not say so itself.
            dataset_version: Its version; made of its content when None.
            mode: As for `rundial.init`.
            **client_options: Further settings of its runs, as for `rundial.init`.

        Raises:
            ConfigError: An argument or setting is wrong; nothing was made.
            RundialRequestError: The server refuses, where it is asked at once.
        """
        from rundial.api.evalcases import dataset_of
        from rundial.api.evalsuite import RundialEvalSuite, described

        wanted_id, name = _names(name, suite_id)
        facts, cases = dataset_of(dataset, name, name=dataset_name, version=dataset_version)
        told = described(scorers)
        if project_id is not None:
            from rundial.api.client import Client

            client = Client(endpoint, api_key=api_key, mode=mode, **client_options)
            suite = client.eval_suite(
                org_id=org_id,
                project_id=project_id,
                name=name,
                dataset=facts,
                scorers=scorers,
                suite_id=suite_id,
            )
            return suite.holding(cases, scorers)
        given = {
            **client_options,
            "workspace": workspace,
            "project": project,
            "endpoint": endpoint,
            "api_key": api_key,
            "mode": mode,
        }
        return RundialEvalSuite(
            project_id=_project(given),
            org_id=org_id or "",
            suite={"suiteId": wanted_id, "name": name, "scorers": told},
            dataset=facts,
            start=_starter(given),
        ).holding(cases, scorers)


def _names(name: object, suite_id: str | None) -> tuple[str, str]:
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 256:
        raise ConfigError("a suite's name must be a text of 1 to 256 characters; nothing was made")
    try:
        wanted = results.eval_run_id_of(suite_id) if suite_id else results.suite_id_of(name.strip())
    except ValueError as error:
        raise ConfigError(f"suite_id: {error}; nothing was made") from error
    return wanted, name.strip()


def _project(given: Mapping[str, Any]) -> str:
    """The project's slug; what is wrong with the settings is found here, and not in mid-evaluation."""
    from rundial.api import session

    return session.settings_of(_of_init(given)).project


def _starter(given: Mapping[str, Any]) -> Callable[[str, Mapping[str, object] | None, str | None], Run]:
    def start(name: str, config: Mapping[str, object] | None, run_id: str | None) -> Run:
        from rundial.api import session

        facts: dict[str, Any] = {"name": name, "kind": "eval", "run_id": run_id}
        if run_id is not None:
            facts["resume"] = "allow"
        return session.begin(
            {**facts, **_of_init(given)}, config=config, distributed_rank=given.get("distributed_rank")
        )

    return start


def _of_init(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "distributed_rank"}


eval = EvalNamespace()
