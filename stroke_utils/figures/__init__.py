"""Every figure of the project: one function each, in one style; nothing else draws.

``style`` has colours, grids and the note on figures of phantom data; ``data`` draws slices and cohorts, ``training``
the course of trainings, ``segmentation`` and ``results`` what networks found.
"""

from stroke_utils.figures.data import (
    class_balance,
    dice_by_size,
    grey_bands,
    grey_histograms,
    hue_rule,
    lesion_sizes,
    location_maps,
    window_widths,
)
from stroke_utils.figures.results import (
    batch_preview,
    beside_the_paper,
    confusion_matrices,
    dice_by_area,
    fits_by_size,
    loss_curves,
    outlined,
    predictions_gallery,
    printable_scores,
    samples,
    seed_losses,
    segmentation_demo,
    threshold_choice,
)
from stroke_utils.figures.segmentation import convention_ranges, failure_gallery
from stroke_utils.figures.style import COLOURS, DPI, OUTLINES, agreement, crop, image_grid, save, stamp, use_style
from stroke_utils.figures.training import augmentation_curves
