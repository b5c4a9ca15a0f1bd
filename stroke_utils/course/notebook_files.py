"""Notebooks as files: their parameters and headings, and the kernel that runs them without a browser."""

import ast
import os
import re
import tempfile
from pathlib import Path

import ipykernel.kernelspec
import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

from stroke_utils.base.errors import UserError
from stroke_utils.results import parameters


class OwnKernelSpecs(KernelSpecManager):
    """Knows one kernel, the running interpreter, whatever kernels the user, ``JUPYTER_PATH`` or the notebook name."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the kernel specification of ``sys.executable`` for every name."""
        kernel = ipykernel.kernelspec.get_kernel_dict()
        kernel["argv"] += ["--IPKernelApp.log_level=CRITICAL"]  # it warns of its own default transport at every start
        return KernelSpec(resource_dir=ipykernel.kernelspec.RESOURCES, **kernel)


class OwnKernelManager(AsyncKernelManager):
    """Starts kernels in the environment that this module runs in, and talks to them through files.

    Kernels that several processes start at one time may be given the same TCP ports, and then wait for ever.
    """

    def __init__(self, **settings):
        super().__init__(**settings)
        self._sockets = tempfile.TemporaryDirectory(prefix="kernel-")  # goes with the manager
        if len(self._sockets.name) < 80:  # a socket's path may have some 100 letters
            self.transport, self.ip = "ipc", str(Path(self._sockets.name, "s"))

    @default("kernel_spec_manager")
    def _own_kernel_specs(self) -> OwnKernelSpecs:
        return OwnKernelSpecs(parent=self)


def read_notebook(path: str | os.PathLike) -> nbformat.NotebookNode:
    """Read a notebook.

    Raises:
        UserError: no such file, or not a notebook.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"There is no notebook {path}. Check the path.")
    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        raise UserError(f"{path} cannot be read as a notebook ({error}). Restore it from git.") from error


def defaults(path: str | os.PathLike) -> dict[str, object]:
    """Return the names and default values in the cell tagged ``parameters`` of a notebook file."""
    return defaults_of(read_notebook(path), Path(path).name)


def defaults_of(notebook: nbformat.NotebookNode, name: str) -> dict[str, object]:
    """Return the names and default values in a notebook's cell tagged ``parameters``; ``name`` is for messages.

    Raises:
        UserError: there is not exactly one such cell, or it holds anything but ``name = literal`` lines.
    """
    cells = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        found = "no cell" if not cells else f"{len(cells)} cells"
        raise UserError(
            f"{name} has {found} tagged 'parameters'; exactly one is expected, the cell that begins with 'profile = '. "
            "In JupyterLab select it, click the gears at the upper right, and add or remove 'parameters' among its "
            "Cell Tags. Or restore the notebook from git."
        )
    found = {}
    for node in ast.parse(cells[0].source).body:
        try:
            (target,) = node.targets
            found[target.id] = ast.literal_eval(node.value)
        except (AttributeError, ValueError) as error:
            line = ast.unparse(node)
            raise UserError(f"{name}: the parameters cell may hold literals only, found: {line}") from error
    return found


def check_parameters(notebook: str | os.PathLike, given: dict[str, object]) -> dict[str, object]:
    """Return parameters for a notebook file in their types.

    Args:
        notebook: the file; its cell tagged ``parameters`` says which parameters it has.
        given: the parameters, as of a file or a command line.

    Raises:
        UserError: names every fault.
    """
    return parameters.check(Path(notebook).stem, given, defaults(notebook), Path(notebook).name)


def last_heading(cells: list, index: int) -> str:
    """Return the nearest Markdown heading above cell ``index``, or an empty string."""
    for cell in reversed(cells[:index]):
        if cell.cell_type == "markdown" and (found := re.findall(r"^#{1,6} +(.+?) *$", cell.source, re.MULTILINE)):
            return found[-1]
    return ""
