// The terms of a sum: as a picture, as a list sorted by size, and as the sum that grows with each of them.

import { lineChart } from "./charts.js";
import { drawCells, drawScale, scaleOf } from "./colours.js";
import { h } from "./dom.js";
import { label, say } from "./i18n.js";
import { exact, short } from "./numbers.js";
import { layout } from "./tensor_view.js";

const LISTED = 12;

export function sumOf(lab, result, arrays) {
  const { products } = arrays;
  const parts = [list(result, arrays)];
  if (products.length > 3) parts.unshift(picture(products, pictureShape(lab, products.length)), running(result, arrays));
  return [h("div", { class: parts.length > 1 ? "sum pictured" : "sum" }, ...parts)];
}

// The terms of the first layer are pixels: 28 × 28. Others are laid out as the tensor view does.
function pictureShape(lab, count) {
  const [height, width] = lab.hello.data.shape;
  if (count === height * width) return [height, width];
  const { rows, columns } = layout([count]);
  return [rows, columns];
}

// Of a matrix whose rows are pixels: the column that the chosen value is in, one unit's, as a picture; else null.
export function unitPicture(lab, { shape }, values, at) {
  const [height, width] = lab.hello.data.shape;
  if (shape.length !== 2 || shape[0] !== height * width) return null;
  const unit = at % shape[1];
  const column = Float32Array.from({ length: shape[0] }, (_, i) => values[i * shape[1] + unit]);
  return h("div", { class: "unit" }, picture(column, [height, width], "explain.unit", { unit }));
}

function picture(products, [rows, columns], title = "explain.products", named = {}) {
  const canvas = h("canvas", { class: "cells", role: "img" });
  label(canvas, title, named);
  const ramp = h("canvas", { class: "scale", "aria-hidden": "true" });
  const scale = scaleOf(products, true);
  canvas.redraw = () => {
    drawCells(canvas, products, rows, columns, scale);
    drawScale(ramp, scale);
  };
  canvas.redraw();
  const frame = h("div", { class: "products" }, canvas);
  frame.style.aspectRatio = rows * 8 < columns ? "6" : `${columns} / ${rows}`;
  return h("figure", {}, say(h("figcaption", {}), title, named), frame,
    h("div", { class: "legend" }, short(scale.low), ramp, short(scale.high)));
}

function running(result, { running: sums }) {
  const chart = lineChart("explain.running", { height: 150 });
  const bias = result.formula === "dense_forward" && result.operands.length ? Number(result.operands[0].value) : null;
  const y = bias === null ? Array.from(sums) : [...sums, sums.at(-1) + bias];
  chart.draw({ series: [{ x: y.map((_, i) => i), y }] });
  return h("figure", { class: "growing" }, h("figcaption", { text: "explain.running" }), chart.element);
}

function list(result, { left, right, products }) {
  const order = Array.from(products.keys()).sort((a, b) => Math.abs(products[b]) - Math.abs(products[a]));
  const zeros = products.reduce((count, product) => count + (product === 0), 0);
  const shown = order.slice(0, LISTED);
  const caption = say(h("caption", {}), products.length === 1 ? "explain.only_term" : "explain.terms", { all: products.length, zero: zeros });
  const [leftName, rightName] = [result.left?.[0] ?? "", result.right?.[0] ?? ""];
  const two = right.length > 0;
  const heads = ["i", leftName, ...(two ? [rightName] : [])].map((text) => h("th", { scope: "col" }, text));
  let sum = 0;
  const rows = shown.map((i) => {
    sum += products[i];
    return h("tr", {}, ...[i, number(left[i]), ...(two ? [number(right[i])] : []), short(products[i], 5), short(sum, 5)].map((text, column) =>
      column ? h("td", {}, String(text)) : h("th", { scope: "row" }, String(text))));
  });
  return h("div", { class: "terms", tabindex: 0, role: "region", label: "explain.product" },
    h("table", {}, caption,
      h("thead", {}, h("tr", {}, ...heads, h("th", { scope: "col", text: "explain.product" }), h("th", { scope: "col", text: "explain.sum_so_far" }))),
      h("tbody", {}, ...rows)));
}

function number(value) {
  return exact(Math.fround(value) + 0); // 0 for -0, which -t is for the other digits
}
