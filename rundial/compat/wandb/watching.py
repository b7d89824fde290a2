"""`watch`: histograms of a torch model's gradients and parameters, by torch's own hooks.

The names are those of W&B's client: `gradients/<parameter>` and `parameters/<parameter>`. torch is not
imported: the model brings it along.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rundial.interrupts import let_through
from rundial.media.values import Histogram

if TYPE_CHECKING:
    from rundial.compat.wandb.wandbrun import Run

KINDS = ("gradients", "parameters", "all")


class Watch:
    """The hooks on one model.

    Args:
        run: Where histograms go.
        model: A `torch.nn.Module`.
        what: `gradients`, `parameters` or `all`.
        every: One in how many passes is recorded.
        prefix: In front of the parameters' names.

    Attributes:
        model: As given.

    Raises:
        ValueError: `what` is none of the three, or `every` is not positive.

    Threads: hooks run on torch's backward thread too.
    """

    def __init__(self, run: Run, model: Any, *, what: str, every: int, prefix: str) -> None:
        if what not in KINDS:
            raise ValueError(
                f"log must be one of {', '.join(KINDS)} or None, not {what!r}; nothing is watched"
            )
        if every < 1:
            raise ValueError(f"log_freq must be at least 1, not {every!r}; nothing is watched")
        self.model = model
        self._run = run
        self._every = every
        self._counts: dict[str, int] = {}
        self._handles: list[Any] = []
        prefix = f"{prefix}." if prefix else ""
        for name, parameter in model.named_parameters():
            if what in ("gradients", "all") and parameter.requires_grad:
                self._handles.append(parameter.register_hook(self._hook(f"gradients/{prefix}{name}")))
        if what in ("parameters", "all"):
            self._handles.append(model.register_forward_hook(self._after_forward(prefix)))

    def close(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _hook(self, name: str) -> Callable[[Any], None]:
        def record(gradient: Any) -> None:
            self._log(name, gradient)

        return record

    def _after_forward(self, prefix: str) -> Callable[..., None]:
        def record(module: Any, inputs: Any, outputs: Any) -> None:
            del inputs, outputs
            if not module.training:
                return
            for name, parameter in module.named_parameters():
                self._log(f"parameters/{prefix}{name}", parameter)

        return record

    def _log(self, name: str, tensor: Any) -> None:
        passed = self._counts.get(name, 0)
        self._counts[name] = passed + 1
        if passed % self._every:
            return
        try:
            self._run.log({name: Histogram(tensor.detach().cpu().float().reshape(-1))}, commit=False)
        except Exception as error:  # noqa: BLE001 - a histogram that fails must not end the backward pass
            let_through(error)
            self._run.recorded.keep_out(
                1, f"wandb.watch:{name}", f"wandb.watch: {name}: {error!r}; not recorded, and counted"
            )
