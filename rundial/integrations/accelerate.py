"""`RundialTracker`: a tracker of accelerate, for `Accelerator(log_with=RundialTracker("run", project=…))`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import rundial
from rundial.integrations.recorder import Recorder, base, need

_Base: Any = base("accelerate.tracking:GeneralTracker")


class RundialTracker(_Base):  # type: ignore[misc]  # the framework's class, where it is installed
    """Records what `accelerator.log` is given, on the main process.

    Args:
        run_name: What people call the run.
        run: A run that there is, which its owner ends; None starts one.
        **settings: What to start it with, as for `rundial.init`.
    """

    name = "rundial"
    requires_logging_directory = False
    main_process_only = True

    def __init__(
        self, run_name: str | None = None, *, run: rundial.Run | None = None, **settings: Any
    ) -> None:
        need(_Base, "accelerate")
        self._recorder = Recorder(run, {"name": run_name, **settings})
        super().__init__()

    def start(self) -> None:
        """Start the run."""
        self._started()

    @property
    def tracker(self) -> rundial.Run:
        """The run, started at the first look."""
        return self._started()

    def store_init_configuration(self, values: Mapping[str, Any]) -> None:
        """Set hyperparameters in the config; secrets are taken out before anything leaves."""
        if _is_main():
            self._recorder.config(values)

    def log(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Record values."""
        del kwargs
        if _is_main():
            self._recorder.log(values, step)

    def log_images(self, values: Mapping[str, Any], step: int | None = None, **kwargs: Any) -> None:
        """Record pictures: a list of them, or an array of them, by name."""
        del kwargs
        if _is_main():
            for name, images in values.items():
                for image in images:
                    self._recorder.log({name: rundial.Image(image)}, step)

    def log_table(
        self,
        table_name: str,
        columns: list[str] | None = None,
        data: Any = None,
        dataframe: Any = None,
        step: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Record a table."""
        del kwargs
        if _is_main():
            rows = data if dataframe is None else dataframe
            self._recorder.log({table_name: rundial.Table(columns=columns, rows=rows)}, step)

    def finish(self) -> None:
        """End the run, where it was started here."""
        self._recorder.finish()

    def _started(self) -> rundial.Run:
        return self._recorder.run


def _is_main() -> bool:
    from accelerate.state import PartialState

    return bool(PartialState().is_main_process)
