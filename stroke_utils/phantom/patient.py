"""What is drawn once per patient: build, level, scanner settings and the layout of the cortex."""

from dataclasses import dataclass

import numpy as np

from .spec import PhantomSpec, rng

TOP, BOTTOM = 98.0, -5.0
"""Heights of the highest and lowest slice above the skull base, mm."""


class Waves:
    """Smooth random field in space: a sum of plane waves, so that neighbouring slices agree; unit variance."""

    def __init__(self, generator: np.random.Generator, wavelength: tuple, count: int = 7):
        direction = generator.standard_normal((count, 3))
        direction[:, 2] *= 0.6
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        length = np.exp(generator.uniform(*np.log(wavelength), count))
        self.vectors = (2 * np.pi * direction / length[:, None]).astype(np.float32)
        self.phases = generator.uniform(0, 2 * np.pi, count).astype(np.float32)

    def on(self, across: np.ndarray, down: np.ndarray, z: float) -> np.ndarray:
        """Return the field on a regular pixel grid, float32 (rows, columns).

        ``across`` (columns, 2) and ``down`` (rows, 2) are the parts of a pixel's x and y in mm that come from its
        column and from its row. The sine of their sum splits into products: the whole field is one matrix product.
        """
        right = across @ self.vectors[:, :2].T
        below = down @ self.vectors[:, :2].T + self.vectors[:, 2] * np.float32(z) + self.phases
        left = np.concatenate([np.sin(below), np.cos(below)], axis=1)
        field = left @ np.concatenate([np.cos(right), np.sin(right)], axis=1).T
        return field * np.float32(np.sqrt(2 / len(self.phases)))


@dataclass(frozen=True)
class Sulci:
    """Furrows along one line of the brain's surface: position, depth and width in mm, and a phase each."""

    position: np.ndarray
    depth: np.ndarray
    width: np.ndarray
    phase: np.ndarray

    @classmethod
    def draw(cls, generator: np.random.Generator, start: float, stop: float, spacing: tuple, depth: tuple) -> "Sulci":
        """Place furrows between ``start`` and ``stop`` at random distances and give each a random shape."""
        position = start + np.cumsum(generator.uniform(*spacing, int((stop - start) / np.mean(spacing)) + 8))
        position = position[position < stop]
        count = len(position)
        return cls(
            position,
            generator.uniform(*depth, count),
            generator.uniform(0.25, 1.5, count) ** 1.5,
            generator.uniform(0, 2 * np.pi, count),
        )

    def nearest(self, along: np.ndarray, z: float) -> tuple:
        """Return distance to the nearest furrow, its depth and its relative width, for positions ``along`` in mm."""
        fine = np.arange(self.position[0] - 15, self.position[-1] + 15, 0.25)
        index = np.abs(fine[:, None] - self.position[None]).argmin(axis=1)
        swing = 1 + 0.35 * np.sin(z / 9 + self.phase)
        rows = np.clip(((along - fine[0]) * 4).astype(np.int32), 0, len(fine) - 1)
        chosen = index[rows]
        distance = np.abs(along - self.position.astype(np.float32)[chosen])
        return (
            distance,
            (self.depth * swing).astype(np.float32)[chosen],
            (self.width * np.clip(1.5 * swing - 0.5, 0, None)).astype(np.float32)[chosen],
        )


@dataclass
class Patient:
    """One phantom patient. Nothing in it depends on the class of its slices."""

    heights: np.ndarray  # of each slice above the skull base, mm
    spacing_z: float
    pixel: float  # mm
    scale: tuple  # of x and y against the nominal head
    rotation: float  # degrees
    shift: tuple  # mm
    pitch: float  # height difference per mm towards the back
    roll: float  # height difference per mm towards the right
    egg: float
    squareness: float
    outline: tuple  # amplitudes and phases of the outline's harmonics
    bone: float  # thickness, mm
    bone_wave: tuple
    scalp: float
    muscle: float
    nose: float
    ears: bool
    sinus: tuple  # height and half-width of the frontal sinus
    rest: tuple  # kind of head-rest and its numbers
    atrophy: float  # 0–1
    ventricles: float
    asymmetry: float
    ageing: float  # pallor around the ventricles, HU
    grey: float
    white: float
    csf: float
    blur: float
    noise: float
    noise_grain: tuple
    width: int
    low: int
    old_infarct: bool
    plexus: bool
    pineal: bool
    falx_calcium: bool
    waves: dict
    lateral: Sulci
    medial: Sulci


def draw_patient(seed: int, number: int, slices: int, spec: PhantomSpec) -> Patient:
    """Draw everything about a patient but its lesion; a pure function of seed, number and number of slices."""
    g = rng(seed, number, 1)
    spacing_z = float(g.choice(spec.slice_spacing))
    half = (slices - 1) * spacing_z / 2
    middle = float(np.clip(g.triangular(*spec.levels), BOTTOM + half, TOP - half))
    heights = middle - half + spacing_z * np.arange(slices)
    wide = g.random() < spec.wide_field_fraction
    pixel = float(g.uniform(*(spec.wide_field_spacing if wide else spec.pixel_spacing)))
    size = g.uniform(*spec.head_scale)
    strong = g.random() < spec.strong_rotation_fraction
    rotation = g.uniform(*spec.strong_rotation) * g.choice([-1, 1]) if strong else g.normal(0, spec.rotation_sd)
    age = float(g.beta(*spec.age))
    width = int(g.choice(spec.window_widths, p=spec.window_weights))
    unusual = g.random() < spec.unusual_window_fraction
    offset = (
        g.choice([-1, 1]) * g.uniform(*spec.unusual_window_offset) if unusual else g.normal(0, spec.window_centre[1])
    )
    centre = float(spec.window_centre[0] + offset)
    grey = g.uniform(*spec.grey_matter)
    harmonics = np.arange(2, 7)
    return Patient(
        heights=heights,
        spacing_z=spacing_z,
        pixel=pixel,
        scale=(size * g.uniform(0.96, 1.05), size * g.uniform(0.95, 1.04)),
        rotation=float(rotation),
        shift=tuple(g.uniform(-1, 1, 2) * np.clip((512 * pixel - 185 * size) / 2, 2, spec.shift)),
        pitch=float(g.normal(0.02, 0.11)),
        roll=float(g.normal(0, 0.04)),
        egg=float(g.uniform(0.03, 0.10)),
        squareness=float(g.uniform(2.0, 2.45)),
        outline=(g.normal(0, 1.7, 5) / harmonics**1.3, g.normal(0, 0.35, 5)),
        bone=float(g.uniform(*spec.bone)),
        bone_wave=(g.uniform(0.05, 0.22, 3), g.uniform(0, 2 * np.pi, 3)),
        scalp=float(g.uniform(2.5, 7.0)),
        muscle=float(g.uniform(3.0, 11.0)),
        nose=float(g.uniform(0, 1)),
        ears=bool(g.random() < 0.6),
        sinus=(float(g.uniform(6, 52)), float(g.uniform(8, 34))),
        rest=(
            str(g.choice(["none", "arc", "lines", "sides", "corners"], p=[0.36, 0.28, 0.12, 0.12, 0.12])),
            g.random(6),
        ),
        atrophy=age,
        ventricles=float(0.55 + 0.9 * age + g.uniform(-0.2, 0.5)),
        asymmetry=float(g.normal(0, 0.08)),
        ageing=float(max(0.0, g.normal(5 * (age - 0.35), 1.5))),
        grey=float(grey),
        white=float(grey - g.uniform(*spec.grey_white_difference)),
        csf=float(g.uniform(*spec.csf)),
        blur=float(g.uniform(*spec.blur_sd)),
        noise=float(g.uniform(*(spec.noisy_sd if g.random() < spec.noisy_fraction else spec.noise_sd))),
        noise_grain=(float(g.uniform(*spec.noise_grain)), float(g.uniform(*spec.noise_streaks))),
        width=width,
        low=round(centre - width / 2),
        old_infarct=bool(g.random() < spec.old_infarct_fraction),
        plexus=bool(g.random() < spec.plexus_fraction),
        pineal=bool(g.random() < spec.pineal_fraction),
        falx_calcium=bool(g.random() < 0.08),
        waves={
            "warp_x": Waves(g, (45, 90)),
            "warp_y": Waves(g, (45, 90)),
            "meander": Waves(g, (16, 36)),
            "wiggle": Waves(g, (6, 12)),
            "tissue": Waves(g, (20, 60)),
            "cells": Waves(g, (6, 11), 9),
            "rim": Waves(g, (18, 45)),
        },
        lateral=Sulci.draw(g, 0, 460, (8, 17), (8, 22)),
        medial=Sulci.draw(g, -90, 90, (9, 18), (5, 15)),
    )
