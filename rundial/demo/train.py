"""A small neural network that learns to read handwritten digits, logging as a user would.

The data are scikit-learn's 1,797 images of 8 × 8 pixels, which come inside the package. The network
has one hidden layer and is trained by Adam on batches of 32; a third of the images is held back,
half of it to watch the training (validation) and half for one evaluation at the end (test).

Everything is logged through the public API of a run and through nothing else, and what was logged
is counted here, so that the count can be compared with what a server stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

BATCH = 32
HIDDEN = 96
CLASSES = 10
LEARNING_RATE = 2e-3
DECAY = 1e-4
SEED = 7


class Run(Protocol):
    """What the training needs of a run."""

    def log(self, metrics: Mapping[str, Any], *, step: int | None = None) -> bool:
        """Log values at a step."""
        ...

    def log_text(self, message: object, *, level: str = "info") -> bool:
        """Log a line of text."""
        ...

    def trace(self, name: str, *, attrs: Mapping[str, Any] | None = None) -> AbstractContextManager[Any]:
        """Open a span."""
        ...


@dataclass(slots=True)
class Recorded:
    """A run that counts what it is given, whatever becomes of it."""

    run: Run
    points: int = 0
    lines: int = 0
    spans: int = 0
    last: dict[str, float] = field(default_factory=dict)

    def log(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Log values at a step and count each as one point."""
        self.run.log(metrics, step=step)
        self.points += len(metrics)
        self.last.update(metrics)

    def say(self, message: str, *, level: str = "info") -> None:
        """Log a line and count it."""
        self.run.log_text(message, level=level)
        self.lines += 1

    def span(self, name: str, **attrs: Any) -> AbstractContextManager[Any]:
        """Open a span and count it."""
        self.spans += 1
        return self.run.trace(name, attrs=attrs)


@dataclass(frozen=True, slots=True)
class Split:
    """Images with values from 0 to 1, shape [n, 64], and their digits, shape [n]."""

    images: Floats
    digits: Labels


@dataclass(frozen=True, slots=True)
class Digits:
    """The data in three parts that share no image."""

    train: Split
    val: Split
    test: Split


class Network:
    """64 pixels → hidden units (ReLU) → 10 digits, trained by Adam."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._weights: list[Floats] = [
            rng.normal(0, np.sqrt(2 / 64), (64, HIDDEN)),
            np.zeros(HIDDEN),
            rng.normal(0, np.sqrt(2 / HIDDEN), (HIDDEN, CLASSES)),
            np.zeros(CLASSES),
        ]
        self._mean = [np.zeros_like(w) for w in self._weights]
        self._square = [np.zeros_like(w) for w in self._weights]
        self._updates = 0

    def scores(self, images: Floats) -> tuple[Floats, Floats]:
        """Return hidden activations, shape [n, hidden], and log-probabilities, shape [n, 10]."""
        into, into_bias, out, out_bias = self._weights
        hidden = np.maximum(images @ into + into_bias, 0)
        raw = hidden @ out + out_bias
        raw = raw - raw.max(axis=1, keepdims=True)
        return hidden, raw - np.log(np.exp(raw).sum(axis=1, keepdims=True))

    def measure(self, part: Split) -> tuple[float, float]:
        """Return mean cross-entropy and accuracy over a part."""
        return _measured(self.scores(part.images)[1], part.digits)

    def learn(self, batch: Split) -> tuple[float, float]:
        """Make one step on a batch and return its loss and accuracy from before the step."""
        hidden, logs = self.scores(batch.images)
        error = np.exp(logs)
        error[np.arange(len(batch.digits)), batch.digits] -= 1
        error /= len(batch.digits)
        below = (error @ self._weights[2].T) * (hidden > 0)
        self._update([batch.images.T @ below, below.sum(axis=0), hidden.T @ error, error.sum(axis=0)])
        return _measured(logs, batch.digits)

    def _update(self, gradients: list[Floats]) -> None:
        self._updates += 1
        for weight, mean, square, gradient in zip(
            self._weights, self._mean, self._square, gradients, strict=True
        ):
            gradient += DECAY * weight
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient**2 - square)
            rate = LEARNING_RATE * np.sqrt(1 - 0.999**self._updates) / (1 - 0.9**self._updates)
            weight -= rate * mean / (np.sqrt(square) + 1e-8)


def load() -> Digits:
    """Return the images, shuffled by a fixed seed, in parts of 2/3, 1/6 and 1/6."""
    from sklearn.datasets import load_digits

    images, digits = load_digits(return_X_y=True)
    order = np.random.default_rng(SEED).permutation(len(digits))
    first, second = len(order) * 4 // 6, len(order) * 5 // 6

    def part(chosen: NDArray[np.int64]) -> Split:
        return Split(np.asarray(images[chosen] / 16.0), np.asarray(digits[chosen]))

    return Digits(part(order[:first]), part(order[first:second]), part(order[second:]))


def config(epochs: int) -> dict[str, object]:
    """Return what the run's config says about the training."""
    return {
        "model": {"kind": "mlp", "hidden": HIDDEN, "classes": CLASSES},
        "optimizer": {"name": "adam", "learning_rate": LEARNING_RATE, "weight_decay": DECAY},
        "data": "scikit-learn digits (1,797 images of 8 by 8)",
        "batch_size": BATCH,
        "epochs": epochs,
        "seed": SEED,
    }


def steps_of(digits: Digits, epochs: int) -> int:
    """Return how many steps a training of so many epochs has."""
    return epochs * (len(digits.train.digits) // BATCH)


def train(
    run: Run, digits: Digits, *, epochs: int, on_step: Callable[[int, Mapping[str, float]], None]
) -> Recorded:
    """Train, evaluate, and return what was logged.

    Args:
        run: Where everything is logged.
        digits: The data.
        epochs: Passes over the training part, from 1.
        on_step: Called after each step with the steps done and the last values.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # it ships no types

    recorded = Recorded(run)
    rng = np.random.default_rng(SEED)
    network = Network(rng)
    recorded.say(f"training on {len(digits.train.digits):,} images, validating on {len(digits.val.digits):,}")
    # Matrices this small are multiplied faster by one thread than by several that wait for each other.
    with threadpool_limits(1), recorded.span("train", epochs=epochs, batch_size=BATCH):
        for epoch in range(epochs):
            with recorded.span("epoch", epoch=epoch) as span:
                _epoch(recorded, network, digits, epoch, rng, on_step)
                span.set_attrs({"val.accuracy": recorded.last["val/accuracy"]})
    _evaluate(recorded, network, digits.test, steps_of(digits, epochs))
    return recorded


def _epoch(
    recorded: Recorded,
    network: Network,
    digits: Digits,
    epoch: int,
    rng: np.random.Generator,
    on_step: Callable[[int, Mapping[str, float]], None],
) -> None:
    done = steps_of(digits, epoch)
    for step, batch in enumerate(_batches(digits.train, rng), done):
        loss, accuracy = network.learn(batch)
        val_loss, val_accuracy = network.measure(digits.val)
        recorded.log(
            {
                "train/loss": loss,
                "train/accuracy": accuracy,
                "val/loss": val_loss,
                "val/accuracy": val_accuracy,
            },
            step=step,
        )
        on_step(step + 1, recorded.last)
    last = recorded.last
    recorded.say(f"epoch {epoch}: val loss {last['val/loss']:.4f}, val accuracy {last['val/accuracy']:.2%}")


def _batches(part: Split, rng: np.random.Generator) -> Iterator[Split]:
    order = rng.permutation(len(part.digits))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        chosen = order[start : start + BATCH]
        yield Split(part.images[chosen], part.digits[chosen])


def _evaluate(recorded: Recorded, network: Network, test: Split, step: int) -> None:
    with recorded.span("evaluation", images=len(test.digits)) as span:
        loss, accuracy = network.measure(test)
        guesses = network.scores(test.images)[1].argmax(axis=1)
        values = {"test/loss": loss, "test/accuracy": accuracy}
        for digit in range(CLASSES):
            values[f"test/recall/{digit}"] = float((guesses[test.digits == digit] == digit).mean())
        recorded.log(values, step=step)
        span.set_attrs({"test.accuracy": accuracy})
    wrong = int((guesses != test.digits).sum())
    recorded.say(f"test accuracy {accuracy:.2%}: {wrong} of {len(test.digits)} images misread")


def _measured(logs: Floats, digits: Labels) -> tuple[float, float]:
    loss = -logs[np.arange(len(digits)), digits].mean()
    return float(loss), float((logs.argmax(axis=1) == digits).mean())
