"""Figures of how trainings go: notebook 03's experiment."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure, SubFigure

from stroke_utils.figures.canvas import nothing, several


def augmentation_curves(
    trials: list[tuple[str, int, pd.DataFrame]], figure: Figure | SubFigure | None = None
) -> np.ndarray:
    """Draw the losses of an experiment, one picture an amount, one colour a seed, training dashed and validation solid.

    The grey line is what a model of two classes loses by guessing, log 2.

    Args:
        trials: amount, seed and history (:func:`stroke_utils.learn.training.fit`) of each training.
    """
    if not trials:
        return np.array([nothing("experiment: experiment_seeds is empty", "", figure=figure)])
    amounts = list(dict.fromkeys(amount for amount, _, _ in trials))
    seeds = sorted({seed for _, seed, _ in trials})
    (axes,) = several(figure, 1, len(amounts), (3.4 * len(amounts), 3.2), sharey=True)
    for axis, amount in zip(axes, amounts, strict=True):
        axis.set(title=amount, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.axhline(np.log(2), color="0.5", lw=1, ls="-.", label="guessing")
        for seed, history in ((s, h) for a, s, h in trials if a == amount):
            colour = f"C{seeds.index(seed)}"
            axis.plot(history["epoch"], history["loss"], "--", color=colour)
            axis.plot(history["epoch"], history["val_loss"], color=colour, label=f"seed {seed}")
    axes[0].set_ylabel("loss")
    # One wild epoch must not flatten the rest.
    tall = pd.concat([history[["loss", "val_loss"]].stack() for _, _, history in trials])
    axes[0].set_ylim(0, 1.1 * tall.quantile(0.95))
    axes[-1].legend()
    return axes
