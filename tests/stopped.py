"""A training that is stopped between two epochs, as a kill stops it; tests of what goes on afterwards share it."""

import contextlib
import math

from stroke_utils.learn import training


class Killed(BaseException):
    """Stands for a kill: nothing between two epochs may catch it."""


@contextlib.contextmanager
def killed_after(monkeypatch, epoch=None):
    """Save the state after every epoch, however short, and raise `Killed` where that many are done; None: nowhere."""
    begin = training._EpochLine.on_epoch_begin

    def on_epoch_begin(self, number, logs=None):
        if number == epoch:
            raise Killed
        begin(self, number, logs)

    with monkeypatch.context() as m:
        m.setattr(training.State, "COST", math.inf)  # these epochs are shorter than their saving
        m.setattr(training._EpochLine, "on_epoch_begin", on_epoch_begin)
        yield
