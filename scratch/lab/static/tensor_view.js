// A tensor as a picture, with a cursor that the mouse and the arrow keys move, the exact number under it, and a table.

import { drawCells, drawScale, scaleOf } from "./colours.js";
import { button, h, numberField } from "./dom.js";
import { label, say, words } from "./i18n.js";
import { exact, grid, short } from "./numbers.js";

const TABLE_ROWS = 12;
const TABLE_COLUMNS = 8;
const KEYS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], PageUp: [-10, 0], PageDown: [10, 0] };

// Return how an array is laid out: rows and columns of the picture, and the array's index of a cell and back.
export function layout(shape) {
  const long = shape.filter((n) => n > 1);
  if (long.length >= 2) {
    const [rows, columns] = [shape.slice(0, -1).reduce((a, b) => a * b, 1), shape.at(-1)];
    return { rows, columns, count: rows * columns };
  }
  const count = long[0] ?? 1;
  const [rows, columns] = grid(count);
  return { rows, columns, count };
}

// Return the index of a flat position as the array has it: [17] or [0, 17].
export function indexOf(shape, flat) {
  const index = [];
  for (const n of [...shape].reverse()) {
    index.unshift(flat % n);
    flat = Math.floor(flat / n);
  }
  return index;
}

export class TensorView {
  #values = null;
  #shape = [];
  #layout = null;
  #at = 0;
  #visible = true;

  // onMove(flat) is called when the cursor has moved to the value at this flat position.
  constructor({ onMove = () => {}, onChoose = () => {} } = {}) {
    this.onMove = onMove;
    this.onChoose = onChoose;
    this.canvas = h("canvas", { class: "cells" });
    this.cursor = h("div", { class: "cursor", hidden: true });
    this.frame = h("div", { class: "picture", tabindex: 0, role: "application" }, this.canvas, this.cursor);
    this.scale = h("canvas", { class: "scale", "aria-hidden": "true" });
    this.low = h("span", {});
    this.high = h("span", {});
    this.place = h("span", { class: "place" });
    this.value = h("output", { class: "value" });
    this.table = h("div", { class: "table-box", hidden: true, tabindex: 0, role: "region" });
    label(this.table, "tensor.table");
    this.toggle = button("tensor.show_table", () => this.#showTable(this.table.hidden), { "aria-expanded": "false" });
    this.element = h(
      "div",
      { class: "tensor" },
      h("div", { class: "reading", "aria-live": "polite" }, this.place, this.value),
      this.frame,
      h("div", { class: "legend" }, this.low, this.scale, this.high),
      h("div", { class: "row" }, this.#goTo(), this.toggle),
      this.table,
    );
    this.frame.addEventListener("keydown", (event) => this.#key(event));
    this.frame.addEventListener("pointermove", (event) => event.pointerType === "mouse" && this.#point(event));
    this.frame.addEventListener("pointerdown", (event) => {
      this.#point(event);
      this.onChoose(this.#at);
    });
    addEventListener("theme", () => this.#values && this.#draw());
  }

  // Show an array. `visible` false hides the numbers, for a value that is to be predicted first.
  // The cursor stays where it is if the last array had the same shape, and is at `start` otherwise.
  show(name, values, shape, { scale = null, visible = true, start = 0 } = {}) {
    const same = shape.join() === this.#shape.join();
    Object.assign(this, { name });
    this.#values = values;
    this.#shape = shape;
    this.#visible = visible;
    this.#layout = layout(shape);
    this.given = scale;
    this.#at = same ? this.#at : start;
    label(this.frame, "tensor.picture", { name, shape: shape.join(" × ") || "1" });
    this.element.dataset.tensor = name;
    this.#draw();
    this.move(this.#at, false);
  }

  get at() {
    return this.#at;
  }

  set visible(value) {
    this.#visible = value;
    this.move(this.#at, false);
  }

  move(flat, notify = true) {
    if (!this.#values) return;
    this.#at = Math.max(0, Math.min(this.#values.length - 1, flat));
    const { rows, columns } = this.#layout;
    const [row, column] = [Math.floor(this.#at / columns), this.#at % columns];
    Object.assign(this.cursor.style, {
      left: `${(100 * column) / columns}%`,
      top: `${(100 * row) / rows}%`,
      width: `${100 / columns}%`,
      height: `${100 / rows}%`,
    });
    this.cursor.hidden = false;
    const index = indexOf(this.#shape, this.#at);
    this.inputs[0].parentElement.hidden = !index.length;
    this.inputs.forEach((input, axis) => {
      input.hidden = axis >= index.length;
      input.max = (this.#shape[axis] ?? 1) - 1;
      input.inForce = index[axis] ?? 0;
      if (input !== document.activeElement) input.value = input.inForce;
    });
    this.place.textContent = index.length ? `${this.name}[${index.join(", ")}] =` : `${this.name} =`;
    const text = this.#text(this.#at);
    this.value.textContent = this.#visible ? text : "?";
    this.value.dataset.value = this.#visible ? text : "";
    this.value.dataset.index = index.join(",");
    if (!this.table.hidden) this.#fillTable();
    if (notify) this.onMove(this.#at);
  }

  #text(flat) {
    return exact(this.#values[flat], this.#values instanceof Float64Array);
  }

  #draw() {
    const { rows, columns } = this.#layout;
    const scale = drawCells(this.canvas, this.#values, rows, columns, this.given ?? scaleOf(this.#values));
    const [across, down] = columns * 8 < rows ? [1, 2.5] : rows * 30 < columns ? [10, 1.2] : [columns, rows];
    this.frame.style.aspectRatio = `${across} / ${down}`;
    this.frame.style.width = this.#values.length === 1 ? "4rem" : "";
    drawScale(this.scale, scale);
    this.low.textContent = short(scale.low);
    this.high.textContent = short(scale.high);
  }

  #goTo() {
    this.inputs = [0, 1].map((axis) => {
      const input = numberField({ value: 0, class: "index" }, () => {
        const index = this.#shape.map((n, i) => Math.max(0, Math.min(n - 1, Math.trunc(Number(this.inputs[i]?.value ?? 0)))));
        this.move(index.reduce((flat, i, a) => flat * this.#shape[a] + i, 0));
        for (const each of this.inputs) each.value = each.inForce; // the nearest entry that exists
        this.onChoose(this.#at);
      });
      label(input, "tensor.axis", { axis });
      return input;
    });
    return h("span", { class: "go-to" }, h("span", { text: "tensor.go_to" }), ...this.inputs);
  }

  #key(event) {
    if (!this.#values) return;
    const { rows, columns } = this.#layout;
    let [row, column] = [Math.floor(this.#at / columns), this.#at % columns];
    if (event.key === "Enter" || event.key === " ") this.onChoose(this.#at);
    else if (event.key === "Home") column = 0;
    else if (event.key === "End") column = columns - 1;
    else if (event.key in KEYS) {
      const step = event.shiftKey ? 10 : 1;
      row = Math.max(0, Math.min(rows - 1, row + step * KEYS[event.key][0]));
      column = Math.max(0, Math.min(columns - 1, column + step * KEYS[event.key][1]));
    } else return;
    event.preventDefault();
    const flat = row * columns + column;
    if (flat !== this.#at) this.move(flat);
  }

  #point(event) {
    if (!this.#values) return;
    const { rows, columns } = this.#layout;
    const box = this.frame.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left - 1) / (box.width - 2)) * columns);
    const row = Math.floor(((event.clientY - box.top - 1) / (box.height - 2)) * rows);
    if (row < 0 || row >= rows || column < 0 || column >= columns) return;
    const flat = row * columns + column;
    if (flat !== this.#at) this.move(flat);
  }

  #showTable(open) {
    this.table.hidden = !open;
    this.toggle.setAttribute("aria-expanded", open);
    say(this.toggle, open ? "tensor.hide_table" : "tensor.show_table");
    if (open && this.#values) this.#fillTable();
  }

  // A part of the array around the cursor, as text.
  #fillTable() {
    const { rows, columns } = this.#layout;
    const first = (at, size, all) => Math.max(0, Math.min(at - (size >> 1), all - size));
    const top = first(Math.floor(this.#at / columns), TABLE_ROWS, rows);
    const left = first(this.#at % columns, TABLE_COLUMNS, columns);
    const across = Array.from({ length: Math.min(TABLE_COLUMNS, columns) }, (_, i) => left + i);
    const down = Array.from({ length: Math.min(TABLE_ROWS, rows) }, (_, i) => top + i);
    const cell = (row, column) => {
      const flat = row * columns + column;
      const text = flat >= this.#values.length ? "" : this.#visible || flat !== this.#at ? this.#text(flat) : "?";
      return h("td", flat === this.#at ? { "aria-current": "true" } : {}, text);
    };
    this.table.replaceChildren(
      h("table", {},
        h("caption", {}, `${this.name}: ${words("tensor.part", { rows, columns })}`),
        h("thead", {}, h("tr", {}, h("td"), ...across.map((i) => h("th", { scope: "col" }, String(i))))),
        h("tbody", {}, ...down.map((row) => h("tr", {}, h("th", { scope: "row" }, String(row)), ...across.map((column) => cell(row, column))))),
      ),
    );
  }
}

// A small picture without a cursor.
export function thumbnail(values, shape, scale = null) {
  const canvas = h("canvas", { class: "cells", "aria-hidden": "true" });
  const { rows, columns } = layout(shape);
  const draw = () => drawCells(canvas, values, rows, columns, scale ?? scaleOf(values));
  draw();
  canvas.redraw = draw;
  return canvas;
}
