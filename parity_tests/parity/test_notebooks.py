"""The notebooks of the study lab: both languages, source and committed notebook, and the numbers in the text."""

import ast

import nbformat
import pytest

from parity_tests import needs_keras  # noqa: F401
from parity_tests.parity.notebooks import FOLDER, NAMES, execute, read

MAX_BYTES = 400_000  # of a committed notebook

# Cells that are appended to a notebook and executed after it; 1e-5 is 7√785·u, the bound of a float32 sum of 785 terms.
TRUE_FOR_ANY_DIGITS = """
assert model.count_params() == 227_670
assert abs(products.sum() + b1[unit] - trace_of_five["dense/out"][0, unit]) < 1e-5  # b is updated in section 5
assert set(errors) == {"dense/dW", "dense/db", "dense_1/dW", "dense_1/db", "dense_2/dW", "dense_2/db"}
assert max(errors.values()) < 1e-5, errors
assert set(numerical_errors) == {"dense", "dense_1", "dense_2"}
assert max(numerical_errors.values()) < 1e-5, numerical_errors
assert always_zero.any()
assert (W == W0)[always_zero].all()
assert (W != W0)[~always_zero].mean() > 0.5
assert np.allclose(after, before - 0.01 * dW, rtol=0, atol=1e-7)
assert loss_with(w1) < loss_with(w0)
assert "1. db is one number, np.sum(dout). Only layer 2 of 2 has this mistake." in repr(diagnosis)
assert corrected.agrees
"""
TRUE_FOR_ALL_DIGITS = """
assert (x_train.shape, y_train.shape) == ((60_000, 784), (60_000, 10))
assert (x_test.shape, y_test.shape) == ((10_000, 784), (10_000, 10))
assert f"{first.history['val_accuracy'][-1]:.3f}" == "0.940"
assert f"{first.history['loss'][0]:.4f}" == "1.0402"
assert f"{difference:.4f}" == "0.0034"
assert model.predict(x5, verbose=0).argmax() == 5
assert always_zero.sum() == 67
assert abs(curves["with the mistake"][-1] - curves["corrected"][-1]) < 0.002
"""


def run(assertions: str) -> None:
    """Execute the notebook, and then the assertions in the same process; the Japanese one has the same code."""
    notebook = read("article")
    notebook.cells.append(nbformat.v4.new_code_cell(assertions))
    execute(notebook)


def code_cells(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the code of each cell without its comments."""
    return [ast.dump(ast.parse(cell.source)) for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.slow
def test_it_runs_on_a_few_digits(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_PATH", small)
    run(TRUE_FOR_ANY_DIGITS)


@pytest.mark.slow
@pytest.mark.usefixtures("all_digits")
def test_the_numbers_of_the_text() -> None:
    run(TRUE_FOR_ANY_DIGITS + TRUE_FOR_ALL_DIGITS)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["raise ValueError('seen too')", "import os; os._exit(3)"])
def test_a_failure_has_the_outputs_of_the_last_cells(end: str) -> None:
    cells = [nbformat.v4.new_code_cell("print('se' + 'en', flush=True)"), nbformat.v4.new_code_cell(end)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with pytest.raises(RuntimeError) as failure:
        execute(notebook)
    text = str(failure.value)
    assert "\nseen\n" in text
    assert end in text.split("The last two cells:")[1]
    assert ("Traceback" in text) == ("ValueError" in end)


def test_the_translation_has_the_same_cells() -> None:
    english, japanese = (read(name) for name in NAMES)
    assert [cell.cell_type for cell in japanese.cells] == [cell.cell_type for cell in english.cells]
    assert code_cells(japanese) == code_cells(english)


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_notebook_is_its_source_executed(name: str) -> None:
    file = FOLDER / f"{name}.ipynb"
    assert file.stat().st_size < MAX_BYTES
    committed = nbformat.read(file, as_version=4)
    nbformat.validate(committed)
    source = read(name)
    assert [(cell.cell_type, cell.source) for cell in committed.cells] == [
        (cell.cell_type, cell.source) for cell in source.cells
    ], "python -m parity_tests.parity.notebooks writes the notebooks again"
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert sum("image/png" in output.get("data", {}) for cell in code for output in cell.outputs) == 9
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert "/home/" not in file.read_text("utf-8")
    assert "/tmp/" not in file.read_text("utf-8")
