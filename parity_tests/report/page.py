"""The report as one self-contained HTML page."""

import base64
import html
import io
import string

from matplotlib.figure import Figure

from parity_tests.diagnosis.report import Report as NetworkReport
from parity_tests.report import figures
from parity_tests.report.results import Report, tensor_results
from parity_tests.report.tables import DIFFERS, Table, environment, gradient_table, summary_table, tensor_table
from scratch.files import write_bytes
from scratch.ops import BACKENDS

PAGE = string.Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Scratch ↔ Keras</title><style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: right; }
td { white-space: nowrap; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
tr.differs { background: #fdd; } img { max-width: 100%; } h2 { margin-top: 2.5rem; }
.verdict { padding: .8rem 1rem; border-radius: .4rem; background: $colour; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
</style></head><body>
<h1>Scratch ↔ Keras</h1><p>$environment</p><p class="verdict">$verdict</p>
$body
</body></html>
""")
SUMMARY = """Difference and bound are those of the entry that comes closest to its bound; the margin says how many times
the difference fits into the bound. The code column says what <code>backend="numba"</code> executes: the layers one by
one, or the fused training step."""
TENSORS = """The article's network, one batch of 100, tensor by tensor in order of computation: the difference between
scratch and Keras, the bound from the error model, and the root mean square (RMS) distance of each program from
float64."""


def write_page(path: str, report: Report) -> None:
    """Write the report as one HTML file without references to other files."""
    parts = ["<h2>Checks</h2>", f"<p>{SUMMARY}</p>", _table(summary_table(report.results))]
    parts += ["<h2>Differences and their bounds</h2>", f"<p>{TENSORS}</p>"]
    parts += [_image(figures.draw_differences([row for row, _, _ in tensor_results(BACKENDS[0])]))]
    parts += [_table(tensor_table())]
    parts += ["<h2>Gradients computed in three ways</h2><p>Relative differences.</p>", _table(gradient_table())]
    if report.histories:
        parts += ["<h2>Trajectories</h2><p>Trained from the same weights on the same batches.</p>"]
        parts += [_image(figures.draw_trajectories(report.histories))]
    if report.accuracies:
        text = ", ".join(f"{name}: p = {p:.3f}" for name, p in report.p_values.items())
        parts += [f"<h2>Final accuracies from independent initial weights</h2><p>{html.escape(text)}</p>"]
        parts += [_image(figures.draw_accuracies(report.accuracies))]
    page = PAGE.substitute(
        environment=html.escape(environment()),
        verdict=html.escape(report.verdict),
        colour="#fdd" if report.first_divergence else "#dfd",
        body="\n".join(parts),
    )
    write_bytes(path, page.encode())


def _table(table: Table) -> str:
    """Return a table as HTML."""

    def line(tag: str, values: list[str]) -> str:
        return "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in values)

    rows = "".join(f'<tr class="{DIFFERS if DIFFERS in row else ""}">{line("td", row)}</tr>' for row in table.rows)
    return f'<div class="scroll"><table><tr>{line("th", table.head)}</tr>{rows}</table></div>'


def _image(figure: Figure) -> str:
    """Return a figure as an HTML image that contains its data."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return f'<img alt="see the text above" src="data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}">'


def write_network_page(path: str, report: NetworkReport) -> None:
    """Write the report on a network of the user's own as one HTML file."""
    write_bytes(path, f"<!doctype html><meta charset='utf-8'>{report._repr_html_()}".encode())
