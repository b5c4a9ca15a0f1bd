"""TensorFlow, Keras and segmentation-models, prepared in the order they need: the one place that imports them."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator

from stroke_utils.base import progress
from stroke_utils.base.errors import UserError

os.environ.setdefault("SM_FRAMEWORK", "tf.keras")  # segmentation-models reads it at its first import
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # else ~/.keras/keras.json decides, which is made for other work
os.environ["TF_USE_LEGACY_KERAS"] = "0"  # a 1 asks for Keras 2, whose layers do not fit those of Keras 3

__all__ = ["Classifiers", "keras", "sm", "tf"]


def threads() -> int:
    """Return how many threads TensorFlow may use: ``STROKE_THREADS``, else one for each core of this process.

    Sums are split among threads, so another number of them is another rounding: it is recorded with every run.

    Raises:
        UserError: the variable holds no whole number from 1 on.
    """
    given = os.environ.get("STROKE_THREADS", "")
    if given and not (given.isascii() and given.isdigit() and int(given)):
        raise UserError(f"STROKE_THREADS is {given!r}; expected a whole number from 1 on, or unset it.")
    return int(given or progress.cores())


def share_batches() -> None:
    """Let several devices share each batch, where ``STROKE_DEVICES`` names how many; call it before TensorFlow works.

    GPUs where there are any, else that many logical devices on the processor, which is slower and shows that it works.
    Every network that is built afterwards has one copy on each device (``tf.distribute.MirroredStrategy``).

    Raises:
        UserError: the variable holds no whole number from 1 on, or there are fewer GPUs.
    """
    given = os.environ.get("STROKE_DEVICES", "")
    if given and not (given.isascii() and given.isdigit() and int(given)):
        raise UserError(f"STROKE_DEVICES is {given!r}; expected a whole number from 1 on, or unset it.")
    number, kind = int(given or 1), "GPU"
    if number == 1:
        return
    found = tf.config.list_physical_devices("GPU")
    if not found:
        kind, processor = "CPU", tf.config.list_physical_devices("CPU")[0]
        found = [tf.config.LogicalDeviceConfiguration()] * number
        tf.config.set_logical_device_configuration(processor, found)
    if len(found) < number:
        raise UserError(f"STROKE_DEVICES is {number}, and TensorFlow finds {len(found)} GPU. Give at most that many.")
    strategy = tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(number)])
    tf.distribute.experimental_set_strategy(strategy)


@contextlib.contextmanager
def silence_stderr() -> Iterator[None]:
    """Discard what C libraries print on file descriptor 2; exceptions still pass.

    TensorFlow's import prints time-stamped lines there whatever its log level is.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "w") as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def refuse_other_backend(name: str) -> None:
    """Raise UserError where Keras works with another library than TensorFlow."""
    if name != "tensorflow":
        raise UserError(
            f"Keras is told to run on {name!r}; this project needs TensorFlow. Set KERAS_BACKEND=tensorflow (or remove "
            "the variable) and restart the kernel."
        )


refuse_other_backend(os.environ["KERAS_BACKEND"])  # before the import, which fails where that library is missing
with silence_stderr():
    import tensorflow as tf

with contextlib.suppress(RuntimeError):  # too late where TensorFlow has worked in this process before
    tf.config.threading.set_intra_op_parallelism_threads(threads())
    tf.config.threading.set_inter_op_parallelism_threads(threads())
tf.get_logger().setLevel("ERROR")  # it warns that graphs are traced often, where several networks are trained in turn

import keras  # noqa: E402

refuse_other_backend(keras.backend.backend())  # it may have been imported before this module
# These three stand in ~/.keras/keras.json too; the project's networks are made for Keras' own defaults.
keras.config.set_image_data_format("channels_last")
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
share_batches()
with contextlib.redirect_stdout(io.StringIO()):  # it prints which framework it found
    try:
        import segmentation_models as sm
        from classification_models.tfkeras import Classifiers
    except AttributeError as error:
        raise UserError(
            "segmentation-models was loaded for another framework "
            f"(SM_FRAMEWORK={os.environ.get('SM_FRAMEWORK')!r}, expected 'tf.keras'). Restart the kernel, unset "
            "SM_FRAMEWORK and import stroke_utils before anything that imports segmentation_models."
        ) from error
