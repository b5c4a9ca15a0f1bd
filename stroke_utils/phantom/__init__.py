"""A procedural head-CT cohort in the real data set's layout, for learning and testing without real patients.

Everything is drawn by this package's own code from `spec.PhantomSpec`, in Hounsfield units, and goes through the same
window, overlay and file rules as the real slices.
"""

from .render import window
from .spec import SIZES, SPEC_VERSION, PhantomSpec
from .writer import ensure_phantom, make_phantom, phantom_folder

__all__ = ["SIZES", "SPEC_VERSION", "PhantomSpec", "ensure_phantom", "make_phantom", "phantom_folder", "window"]
