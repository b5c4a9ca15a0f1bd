"""What is drawn once per patient: build, level, scanner settings and the layout of the cortex."""

from dataclasses import dataclass

import numpy as np

from .spec import PhantomSpec, rng

TOP, BOTTOM = 103.0, -6.0
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

    def __call__(self, x: np.ndarray, y: np.ndarray, z: float) -> np.ndarray:
        """Return the field at coordinates in mm, float32 of the shape of ``x``."""
        total = np.zeros(np.shape(x), dtype=np.float32)
        for (kx, ky, kz), phase in zip(self.vectors, self.phases, strict=True):
            total += np.sin(kx * x + ky * y + np.float32(kz * z + phase))
        return total * np.float32(np.sqrt(2 / len(self.phases)))


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
    middle = float(np.clip(g.uniform(*spec.levels), BOTTOM + half, TOP - half))
    heights = middle - half + spacing_z * np.arange(slices)
    wide = g.random() < spec.wide_field_fraction
    pixel = float(g.uniform(*(spec.wide_field_spacing if wide else spec.pixel_spacing)))
    size = g.uniform(*spec.head_scale)
    strong = g.random() < spec.strong_rotation_fraction
    rotation = g.uniform(*spec.strong_rotation) * g.choice([-1, 1]) if strong else g.normal(0, spec.rotation_sd)
    age = float(g.beta(1.6, 1.9))
    width = int(g.choice(spec.window_widths, p=spec.window_weights))
    mean, sd = spec.window_centre
    centre = float(np.clip(g.normal(mean, sd), *spec.window_centre_limits))
    grey = g.uniform(*spec.grey_matter)
    harmonics = np.arange(2, 7)
    return Patient(
        heights=heights,
        spacing_z=spacing_z,
        pixel=pixel,
        scale=(size * g.uniform(0.96, 1.05), size * g.uniform(0.95, 1.04)),
        rotation=float(rotation),
        shift=tuple(g.uniform(*spec.shift, 2)),
        pitch=float(g.normal(0.02, 0.11)),
        roll=float(g.normal(0, 0.04)),
        egg=float(g.uniform(0.03, 0.10)),
        squareness=float(g.uniform(2.0, 2.45)),
        outline=(g.normal(0, 1.6, 5) / harmonics, g.uniform(0, 2 * np.pi, 5)),
        bone=float(g.uniform(5.2, 8.2)),
        bone_wave=(g.uniform(0.05, 0.22, 3), g.uniform(0, 2 * np.pi, 3)),
        scalp=float(g.uniform(2.5, 7.0)),
        muscle=float(g.uniform(2.0, 8.0)),
        nose=float(g.uniform(0, 1)),
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
        noise=float(g.uniform(*spec.noise_sd)),
        noise_grain=(float(g.uniform(0.5, 1.1)), float(g.uniform(0, 0.6))),
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
