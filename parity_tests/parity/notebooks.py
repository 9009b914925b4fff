"""The notebooks of the study lab: read, execute, write.

    python -m parity_tests.parity.notebooks

executes ``scratch/lab/notebooks/*.py`` (jupytext's percent format, in which they are edited) and writes each beside its
source as ``.ipynb``, with outputs that contain nothing of this machine and are small.
"""

import argparse
import base64
import io
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from PIL import Image

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scratch" / "lab" / "notebooks"
NAMES = ("article", "article.ja")
COLORS = 256  # of a picture in a committed notebook: half its size, without a visible difference


def read(name: str) -> nbformat.NotebookNode:
    """Return the notebook of a source, without outputs; its cells have the same identifiers each time."""
    notebook = jupytext.read(FOLDER / f"{name}.py")
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    return notebook


def execute(notebook: nbformat.NotebookNode) -> None:
    """Execute all cells in a new process and store their outputs.

    Raises:
        RuntimeError: if a cell fails, takes too long or ends the process; the text has the cell and its outputs.
    """
    where = {"metadata": {"path": str(ROOT)}}  # the folder from which Python imports the packages of the project
    limits = {"timeout": 600, "startup_timeout": 600}  # seconds: the machine may be busy
    client = NotebookClient(notebook, **limits, record_timing=False, coalesce_streams=True, resources=where)
    begun: list[nbformat.NotebookNode] = []
    client.on_cell_execute = lambda cell, cell_index: begun.append(cell)
    try:
        client.execute()
    except Exception as error:
        last = "\n\n".join(f"{cell.source}\n--- outputs:\n{outputs_of(cell)}" for cell in begun[-2:])
        raise RuntimeError(f"{type(error).__name__}: {error}\n\nThe last two cells:\n\n{last}") from error


def outputs_of(cell: nbformat.NotebookNode) -> str:
    """Return the texts of a cell's outputs: streams, values and tracebacks."""
    texts = []
    for output in cell.outputs:
        plain = output.get("data", {}).get("text/plain", "")
        texts.append(output.get("text") or "\n".join(output.get("traceback", [])) or plain)
    return "\n".join(texts)


def shorten_outputs(notebook: nbformat.NotebookNode) -> None:
    """Remove what belongs to the process that has ended, and store pictures with fewer colours.

    That are messages on stderr, which describe this machine, and the frame of the lab's page.
    """
    for cell in notebook.cells:
        if cell.cell_type == "code":
            kept = [output for output in cell.outputs if output.get("name") != "stderr"]
            cell.outputs = [output for output in kept if "<iframe" not in output.get("data", {}).get("text/html", "")]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = with_fewer_colors(output.data["image/png"])


def with_fewer_colors(png: str) -> str:
    """Return a picture in base64 with at most ``COLORS`` colours."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    file = io.BytesIO()
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def main() -> None:
    """Execute and write the notebooks that the command names."""
    parser = argparse.ArgumentParser(prog="python -m parity_tests.parity.notebooks", description="Execute notebooks.")
    parser.add_argument("name", nargs="*", default=NAMES, help="without its suffix (default: article article.ja)")
    for name in parser.parse_args().name:
        notebook = read(name)
        execute(notebook)
        shorten_outputs(notebook)
        nbformat.write(notebook, FOLDER / f"{name}.ipynb")


if __name__ == "__main__":
    main()
