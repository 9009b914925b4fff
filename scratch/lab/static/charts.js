// Line charts and histograms over time as SVG and canvas: a few lines each, no library.

import { drawCells } from "./colours.js";
import { h, svg } from "./dom.js";
import { short } from "./numbers.js";

const WIDTH = 520;
const MARGIN = { left: 44, right: 10, top: 10, bottom: 22 };

// Round numbers that divide [low, high] into about `count` steps.
export function ticks(low, high, count = 4) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

// A chart that is drawn again with draw({series: [{x, y, second}], here, low, high}).
export function lineChart(name, { height = 190 } = {}) {
  const element = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", label: name });
  const draw = ({ series, here = null, low = null, high = null }) => {
    const xs = series.flatMap(({ x }) => [x[0], x.at(-1)]).filter(Number.isFinite);
    const ys = series.flatMap(({ y }) => Array.from(y)).filter(Number.isFinite);
    if (!xs.length || !ys.length) return element.replaceChildren();
    const range = { left: Math.min(...xs), right: Math.max(...xs), low: low ?? extreme(Math.min, ys), high: high ?? extreme(Math.max, ys) };
    if (range.left === range.right) range.right += 1;
    if (range.low === range.high) range.high = range.low + (Math.abs(range.low) || 1);
    const px = (x) => MARGIN.left + ((x - range.left) / (range.right - range.left)) * (WIDTH - MARGIN.left - MARGIN.right);
    const py = (y) => height - MARGIN.bottom - ((y - range.low) / (range.high - range.low)) * (height - MARGIN.top - MARGIN.bottom);
    element.replaceChildren(...axes(range, px, py, height), ...series.map((line) => path(line, px, py)));
    if (here !== null) element.append(svg("line", { class: "here", x1: px(here), x2: px(here), y1: MARGIN.top, y2: height - MARGIN.bottom }));
    return element;
  };
  return { element, draw };
}

function extreme(choose, values) {
  return values.reduce((a, b) => choose(a, b));
}

function axes({ left, right, low, high }, px, py, height) {
  const bottom = height - MARGIN.bottom;
  return [
    ...ticks(low, high).flatMap((y) => [
      svg("line", { class: "axis", x1: MARGIN.left, x2: WIDTH - MARGIN.right, y1: py(y), y2: py(y) }),
      svg("text", { x: MARGIN.left - 6, y: py(y) + 4, "text-anchor": "end" }, short(Number(y.toPrecision(6)))),
    ]),
    ...ticks(left, right, 6).map((x) => svg("text", { class: "below", x: px(x), y: bottom + 7, "text-anchor": "middle" }, short(Number(x.toPrecision(6)), 6))),
  ];
}

function path({ x, y, second }, px, py) {
  let d = "";
  let pen = false;
  for (let i = 0; i < y.length; i++) {
    if (!Number.isFinite(y[i])) pen = false;
    else {
      d += `${pen ? "L" : "M"}${px(x[i]).toFixed(1)} ${py(y[i]).toFixed(1)}`;
      pen = true;
    }
  }
  if (y.length === 1) return svg("circle", { class: second ? "dot second" : "dot", cx: px(x[0]), cy: py(y[0]), r: 3 });
  return svg("path", { class: second ? "line second" : "line", d });
}

// Histograms side by side, one column a moment: a canvas whose colour is the share of values in a bin.
export function histogramStrip(label) {
  const canvas = h("canvas", { class: "cells", role: "img", label });
  let last = null;
  canvas.redraw = () => last && draw(last);
  const draw = (columns) => {
    last = columns;
    if (!columns.length) return;
    const bins = columns[0].length;
    const values = new Float32Array(bins * columns.length);
    columns.forEach((counts, column) => {
      const most = Math.max(...counts, 1);
      counts.forEach((count, bin) => (values[(bins - 1 - bin) * columns.length + column] = Math.sqrt(count / most)));
    });
    drawCells(canvas, values, bins, columns.length, { low: 0, high: 1, diverging: false });
  };
  return { element: canvas, draw };
}
