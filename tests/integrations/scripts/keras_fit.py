"""Keras on torch: fit, evaluate, a second fit; or an exception, or a fit that goes on."""

import argparse
import os

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np

from rundial.integrations.keras import RundialKerasCallback

parser = argparse.ArgumentParser()
parser.add_argument("--what", default="all")
args = parser.parse_args()


class Trip(keras.callbacks.Callback):
    """Ends a fit in the middle."""

    def on_epoch_begin(self, epoch, logs=None):
        """Raise at the second epoch."""
        if epoch == 1:
            raise RuntimeError("in the middle")


keras.utils.set_random_seed(0)
x = np.linspace(0, 1, 16, dtype="float32").reshape(-1, 1)
model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", metrics=["mae"])
resume = {"first": {"run_id": "again"}, "resume": {"run_id": "again", "resume": "must"}}.get(args.what, {})
callback = RundialKerasCallback(
    project="keras", mode="offline", log_batch_metrics=True, checkpoint_path="model-{epoch}.keras", **resume
)
saver = keras.callbacks.ModelCheckpoint("model-{epoch}.keras")
callbacks = [saver, callback, Trip()] if args.what == "raise" else [saver, callback]
given = {"validation_data": (x, 2 * x), "verbose": 0, "callbacks": callbacks, "batch_size": 8}
if args.what == "resume":
    model = keras.models.load_model("model-1.keras")
    model.fit(x, 2 * x, initial_epoch=1, epochs=2, **given)
else:
    model.fit(x, 2 * x, epochs=1 if args.what == "first" else 2, **given)
if args.what == "all":
    model.evaluate(x, 2 * x, verbose=0, callbacks=[callback])
    model.fit(x, 2 * x, epochs=1, **given)
