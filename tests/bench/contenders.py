"""What stands against what, each in a process of its own: ``python -m tests.bench.contenders KIND OPTIONS``.

A contender is a function that builds its work and returns its tasks by name; :class:`tests.bench.measure.Worker` asks
for them. Both sides get the same pixels, the same number of threads and the same batch, held in memory.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from stroke_utils.base import progress

Tasks = dict[str, Callable[[], object]]
THREADS = int(os.environ.get("STROKE_THREADS") or progress.cores())
RATE = 1e-4
CPU = "STROKE_BENCH_CPU"
"""Environment variable: steps and inference are told in CPU seconds, for a machine that does other work as well."""


def pixels(batch: int, size: int) -> np.ndarray:
    """Return made-up slices, float32 (batch, size, size, 3), 0 to 1."""
    return np.random.default_rng(0).random((batch, size, size, 3), dtype=np.float32)


def classes(batch: int, size: int) -> np.ndarray:
    """Return a made-up class mask, int64 (batch, size, size), of 0, 1 and 2."""
    return np.random.default_rng(1).integers(0, 3, (batch, size, size))


def _ours(model, images: np.ndarray, truth: np.ndarray) -> Tasks:
    """One training step as :func:`stroke_utils.learn.training.fit` makes it, and saving the state after an epoch."""
    from stroke_utils.learn import training
    from stroke_utils.learn.backend import keras, tf

    held = tf.constant(images), tf.constant(truth)
    state = training.State(model, training.Schedule(1, 1), "bench")
    folder = tempfile.TemporaryDirectory()

    def save() -> float:
        state.stop.best_weights = state.stop.best_weights or model.get_weights()
        start = time.perf_counter()
        state.save(Path(folder.name, "state.npz"))
        return time.perf_counter() - start

    def weights() -> float:
        return float(sum(np.prod(v.shape) for v in model.trainable_variables))

    assert keras.backend.backend() == "tensorflow"
    return {"work": lambda: model.train_on_batch(*held), "save": save, "weights": weights}


def unet_keras(size: int, batch: int) -> Tasks:
    """Train the U-Net-ResNet50 of notebook 05, with its loss, scores and optimizer."""
    from stroke_utils.learn import models, training

    training.set_seed(0)
    model = training.compile_unet(models.unet("resnet50", size), RATE)
    return _ours(model, pixels(batch, size), np.eye(3, dtype=np.float32)[classes(batch, size)])


def classifier_keras(name: str, size: int, batch: int) -> Tasks:
    """Train a detector of notebook 03."""
    from stroke_utils.learn import models, training

    training.set_seed(0)
    model = training.compile_classifier(models.detector(name, size), RATE)
    return _ours(model, pixels(batch, size), np.arange(batch, dtype=np.float32)[:, None] % 2)


def infer_keras(name: str, size: int, batch: int) -> Tasks:
    """Predict with a detector, or with the U-Net, in a graph that is traced once."""
    from stroke_utils.learn import predict
    from stroke_utils.learn.backend import tf

    call, images = predict.in_graph(network(name, size)), tf.constant(pixels(batch, size))
    return {"work": lambda: call(images).numpy()}


def network(name: str, size: int):
    """Build the network that inference is measured with: a detector, or ``unet``."""
    from stroke_utils.learn import models, training

    training.set_seed(0)
    return models.unet("resnet50", size) if name == "unet" else models.detector(name, size)


def _torchvision():
    """Import torchvision beside a PyTorch of another build: its operators for boxes are missing then, no network is."""
    import torch

    torch.set_num_threads(THREADS)
    with mock.patch.object(torch.library, "register_fake", lambda *_, **__: lambda function: function):
        import torchvision
    return torch, torchvision


def _torch(model, images: np.ndarray, truth: np.ndarray, loss_of: Callable) -> Tasks:
    """One step in PyTorch's fastest plain way: pixels last in memory, one operation for Adam."""
    torch, _ = _torchvision()
    model = model.to(memory_format=torch.channels_last).train()
    # A permuted view of pixels that lie last is already in this format.
    x, y = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(truth)
    assert x.is_contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return {"work": lambda: step() and None}


def unet_torch(size: int, batch: int) -> Tasks:
    """Train the U-Net of segmentation-models-pytorch with the same encoder, decoder and loss; it computes no scores."""
    _torchvision()
    import segmentation_models_pytorch as smp

    model = smp.Unet("resnet50", encoder_weights=None, classes=3)
    return _torch(model, pixels(batch, size), classes(batch, size), smp.losses.DiceLoss("multiclass"))


def classifier_torch(name: str, size: int, batch: int) -> Tasks:
    """Train torchvision's network under the paper's head."""
    torch, torchvision = _torchvision()
    nn, build = torch.nn, {"mobilenetv2": torchvision.models.mobilenet_v2, "resnet50": torchvision.models.resnet50}
    model = build[name](weights=None)

    def head(width: int):
        return nn.Sequential(nn.Dropout(0.3), nn.Linear(width, 128), nn.ReLU(), nn.Linear(128, 1))

    if name == "resnet50":
        model.fc = head(2048)
    else:
        model.classifier = head(1280)
    truth = np.arange(batch, dtype=np.float32)[:, None] % 2
    return _torch(model, pixels(batch, size), truth, nn.functional.binary_cross_entropy_with_logits)


def infer_onnxruntime(name: str, size: int, batch: int, file: str) -> Tasks:
    """Predict with the same network in ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = THREADS, 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    given = {session.get_inputs()[0].name: pixels(batch, size)}
    return {"work": lambda: session.run(None, given)[0]}


def infer_openvino(name: str, size: int, batch: int, file: str) -> Tasks:
    """Predict with the same network in OpenVINO, in full precision as the others."""
    import openvino

    about = {"INFERENCE_NUM_THREADS": THREADS, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    model, images = openvino.Core().read_model(file), pixels(batch, size)
    model.reshape(images.shape)
    compiled = openvino.Core().compile_model(model, "CPU", about)
    return {"work": lambda: compiled(images)[0]}


def write_onnx(name: str, size: int, file: str) -> Tasks:
    """Write a network as an ONNX file for the two above; give the largest difference of their answers from Keras'."""
    import tf2onnx

    from stroke_utils.learn.backend import tf

    net = network(name, size)

    def work() -> float:
        shape = [tf.TensorSpec((None, size, size, 3), tf.float32, name="pixels")]
        call = tf.function(lambda pixels: net(pixels, training=False))
        tf2onnx.convert.from_function(call, input_signature=shape, opset=17, output_path=file)
        here, given = (
            net(pixels(1, size), training=False).numpy(),
            {"name": name, "size": size, "batch": 1, "file": file},
        )
        return max(float(np.abs(f(**given)["work"]() - here).max()) for f in (infer_onnxruntime, infer_openvino))

    return {"work": work}


def main(kind: str, options: str) -> None:
    """Answer each line of stdin, the name of a task, by the number it gives, or else by the seconds it took."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    tasks = globals()[kind](**json.loads(options))
    clock = time.process_time if os.environ.get(CPU) else time.perf_counter
    for line in sys.stdin:
        start = clock()
        given = tasks[line.strip()]()
        spent = clock() - start
        print(given if isinstance(given, float) else spent, file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
