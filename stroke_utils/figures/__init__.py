"""Every figure of the project: one function each, in one style; nothing else draws.

A function of one picture takes ``ax=None``, one of several pictures ``figure=None``, a Figure or a SubFigure; without
them it makes a figure. Both return what they drew on, axes or a flat array of axes, row by row.
``canvas`` makes, stamps and saves figures, ``style`` has colours and the grid of images; ``overview`` draws the map of
the course, ``anatomy`` the phantom's own heads, ``data`` slices, ``networks`` what is inside networks, ``training`` the
course of trainings, ``curves`` what thresholds give, ``segmentation`` and ``results`` what networks found, ``audits``
leakage and shortcuts, ``trust`` how far to believe networks, ``reading`` the page on a scan that was read.
"""

from stroke_utils.figures.anatomy import from_head_to_numbers, labelled_slice, lesion_kinds
from stroke_utils.figures.audits import inflation, probe_intervals
from stroke_utils.figures.canvas import leave_unstamped, save, use_origin
from stroke_utils.figures.curves import operating_curves, reliability, threshold_trade
from stroke_utils.figures.data import (
    HOUNSFIELD,
    class_balance,
    dice_by_size,
    grey_bands,
    grey_histograms,
    hue_rule,
    lesion_sizes,
    location_maps,
    window_slider,
    window_widths,
    windows,
)
from stroke_utils.figures.networks import attention, network, network_stages, responses
from stroke_utils.figures.overview import course_map, one_or_three
from stroke_utils.figures.reading import report_page, save_pdf, with_outlines
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
from stroke_utils.figures.segmentation import convention_ranges, dice_by_level, failure_gallery, recipe_gains
from stroke_utils.figures.style import COLOURS, agreement, agreement_key, crop, image_grid, use_style
from stroke_utils.figures.training import augmentation_curves
from stroke_utils.figures.trust import (
    answers_under_change,
    attention_by_size,
    cause_gallery,
    coverage_curves,
    decision_curves,
    learning_curve,
    long_run,
    reliability_panels,
)

__all__ = [
    "COLOURS",
    "HOUNSFIELD",
    "agreement",
    "agreement_key",
    "answers_under_change",
    "attention",
    "attention_by_size",
    "augmentation_curves",
    "batch_preview",
    "beside_the_paper",
    "cause_gallery",
    "class_balance",
    "confusion_matrices",
    "convention_ranges",
    "course_map",
    "coverage_curves",
    "crop",
    "decision_curves",
    "dice_by_area",
    "dice_by_level",
    "dice_by_size",
    "failure_gallery",
    "fits_by_size",
    "from_head_to_numbers",
    "grey_bands",
    "grey_histograms",
    "hue_rule",
    "image_grid",
    "inflation",
    "labelled_slice",
    "learning_curve",
    "leave_unstamped",
    "lesion_kinds",
    "lesion_sizes",
    "location_maps",
    "long_run",
    "loss_curves",
    "network",
    "network_stages",
    "one_or_three",
    "operating_curves",
    "outlined",
    "predictions_gallery",
    "printable_scores",
    "probe_intervals",
    "recipe_gains",
    "reliability",
    "reliability_panels",
    "report_page",
    "responses",
    "samples",
    "save",
    "save_pdf",
    "seed_losses",
    "segmentation_demo",
    "threshold_choice",
    "threshold_trade",
    "use_origin",
    "use_style",
    "window_slider",
    "window_widths",
    "windows",
    "with_outlines",
]
