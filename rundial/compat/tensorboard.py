"""`SummaryWriter`: TensorBoard's writer as PyTorch has it, recorded by Rundial instead of into event files.

`from rundial.compat.tensorboard import SummaryWriter` in place of `from torch.utils.tensorboard import
SummaryWriter` is all that a script changes. Neither TensorBoard nor torch is imported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

import rundial
from rundial.errors import UnsupportedError
from rundial.media.values import Figure, Histogram, Image
from rundial.signals import semconv
from rundial.signals.values import as_step, plain_number

if TYPE_CHECKING:
    from types import TracebackType

PAGE = "docs/tensorboard.md"
PROJECT = "tensorboard"
INFO = 9


class SummaryWriter:
    """Writes into a run.

    Args:
        log_dir: What the run is called; no directory is made.
        comment: Added to the name when there is no `log_dir`.
        purge_step: Not used: a point that is logged again takes the earlier one's place.
        max_queue: Not used.
        flush_secs: Not used.
        filename_suffix: Not used.
        run: The run to write into; None starts one, in the project `tensorboard` unless something names
            another.
        **options: Further settings of `rundial.init`.

    Attributes:
        run: The run.

    Threads: any.
    """

    def __init__(  # noqa: PLR0913 - torch's signature
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
        *,
        run: rundial.Run | None = None,
        **options: Any,
    ) -> None:
        del purge_step, max_queue, flush_secs, filename_suffix
        self._name = os.fspath(log_dir) if log_dir is not None else comment or None
        self._owns_run = run is None
        self.run = _started(self._name, options) if run is None else run
        # Guards the steps of tags that are written without one.
        self._lock = Lock()
        self._steps: dict[str, int] = {}

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owns_run:
            self.run.__exit__(kind, error, trace)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise UnsupportedError(f"SummaryWriter.{name}", PAGE)

    @property
    def log_dir(self) -> str:
        """What the writer was given as its directory, or else the run's id."""
        return self._name or self.run.run_id

    def get_logdir(self) -> str:
        """Return `log_dir`."""
        return self.log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: Any = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Record one value; of double precision always."""
        del new_style, double_precision
        self.run.log({tag: _number(scalar_value)}, step=self._step(tag, global_step), time_ms=_ms(walltime))

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Record several values, named `main_tag/tag`."""
        values = {f"{main_tag}/{tag}": _number(value) for tag, value in tag_scalar_dict.items()}
        self.run.log(values, step=self._step(main_tag, global_step), time_ms=_ms(walltime))

    def add_tensor(
        self, tag: str, tensor: Any, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Record a tensor of one element as its value, and any other as a histogram."""
        if int(tensor.numel() if hasattr(tensor, "numel") else tensor.size) == 1:
            self.add_scalar(tag, tensor, global_step, walltime)
        else:
            self.add_histogram(tag, tensor, global_step, walltime=walltime)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: Any = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Record how values lie, in 64 ranges of equal width."""
        del bins, max_bins
        self._show(tag, Histogram(values), global_step, walltime)

    def add_histogram_raw(  # noqa: PLR0913 - torch's signature
        self,
        tag: str,
        min: float,
        max: float,
        num: int,
        sum: float,
        sum_squares: float,
        bucket_limits: Any,
        bucket_counts: Any,
        global_step: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Record a histogram that has been counted."""
        del num, sum, sum_squares
        limits = [float(limit) for limit in bucket_limits]
        last = limits[-1] if limits[-1] < float("inf") else max
        histogram = Histogram(
            counts=[float(count) for count in bucket_counts], edges=[min, *limits[:-1], last]
        )
        self._show(tag, histogram, global_step, walltime)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Record a picture.

        Args:
            tag: Its name.
            img_tensor: An array or tensor.
            global_step: Its step.
            walltime: Seconds since the Unix epoch; None is now.
            dataformats: The order of its dimensions: `CHW`, `HWC` or `HW`.
        """
        self._show(tag, Image(_in_rows(_plain(img_tensor), dataformats)), global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Record several pictures of one step; see `add_image`."""
        step = self._step(tag, global_step)
        for image in _plain(img_tensor):
            self._show(tag, Image(_in_rows(image, dataformats[1:])), step, walltime)

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: Any = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """Record a figure of matplotlib, or several; `close` closes them."""
        step = self._step(tag, global_step)
        for each in figure if isinstance(figure, (list, tuple)) else [figure]:
            self._show(tag, Figure(each), step, walltime)
            if close:
                import sys

                pyplot: Any = sys.modules.get("matplotlib.pyplot")
                if pyplot is not None:
                    pyplot.close(each)

    def add_text(
        self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Record a text: a line with its key and step."""
        attributes = {semconv.TEXT_KEY: tag, semconv.STEP: self._step(tag, global_step)}
        self.run.line(INFO, text_string, time_ms=_ms(walltime), attributes=attributes)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Any = None,
        run_name: str | None = None,
        global_step: Any = None,
    ) -> None:
        """Set parameters in the run's config, and record what came of them."""
        del hparam_domain_discrete, run_name
        self.run.update_config(dict(hparam_dict))
        for tag, value in metric_dict.items():
            self.add_scalar(tag, value, global_step)

    def add_pr_curve(  # noqa: PLR0913 - torch's signature
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: Any = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Record a precision-recall curve as a table of its thresholds."""
        truth = [bool(each) for each in _listed(labels)]
        scores = [float(each) for each in _listed(predictions)]
        shares = [1.0] * len(truth) if weights is None else [float(each) for each in _listed(weights)]
        rows = [
            _precision_recall(number / (num_thresholds - 1), truth, scores, shares)
            for number in range(num_thresholds)
        ]
        table = rundial.Table(columns=["threshold", "precision", "recall"], rows=rows)
        self._show(tag, table, global_step, walltime)

    def flush(self) -> None:
        """Do nothing: a record is on its way when it is made. `run.flush` waits for it."""

    def close(self) -> None:
        """End the run, unless it was given."""
        if self._owns_run:
            self.run.complete()

    def _show(self, tag: str, medium: Any, global_step: Any, walltime: float | None) -> None:
        self.run.log({tag: medium}, step=self._step(tag, global_step), time_ms=_ms(walltime))

    def _step(self, tag: str, global_step: Any) -> Any:
        """Return the step; of a tag that is written without one, the next of its own."""
        with self._lock:
            if global_step is None:
                global_step = self._steps.get(tag, 0)
            number = as_step(global_step)
            if number is not None:
                self._steps[tag] = number + 1
        return global_step


def _started(name: str | None, options: Mapping[str, Any]) -> rundial.Run:
    from rundial import profiles

    given = {"name": name, **options}
    if given.get("project") is None and not os.environ.get("RUNDIAL_PROJECT", "").strip():
        profile = profiles.load().active
        if profile is None or not profile.project:
            given["project"] = PROJECT
    return rundial.init(**given)


def _number(value: Any) -> Any:
    """Return a number, out of an array of one element too."""
    if getattr(value, "shape", None) not in (None, ()):
        flat = _plain(value).reshape(-1)
        if len(flat) == 1:
            value = flat[0]
    number = plain_number(value)
    return value if isinstance(number, str) else number


def _plain(value: Any) -> Any:
    """Return a tensor as an array."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _in_rows(image: Any, dataformats: str) -> Any:
    """Return a picture with its rows first and its colours last."""
    order = dataformats.upper()
    if order == "CHW":
        return image.transpose(1, 2, 0)
    return image if order in ("HWC", "HW") else image.transpose([order.index(each) for each in "HWC"])


def _listed(values: Any) -> Any:
    values = _plain(values)
    return values.reshape(-1).tolist() if hasattr(values, "reshape") else values


def _precision_recall(
    threshold: float, truth: list[bool], scores: list[float], shares: list[float]
) -> list[float]:
    hits = sum(
        s for is_true, score, s in zip(truth, scores, shares, strict=True) if is_true and score >= threshold
    )
    found = sum(s for score, s in zip(scores, shares, strict=True) if score >= threshold)
    wanted = sum(s for is_true, s in zip(truth, shares, strict=True) if is_true)
    return [threshold, hits / found if found else 1.0, hits / wanted if wanted else 0.0]


def _ms(walltime: float | None) -> int | None:
    return None if walltime is None else int(walltime * 1000)
