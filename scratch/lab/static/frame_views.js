// What a frame of the training shows: curves, confusion matrix, pictures of weights, histograms over time, health.

import { histogramStrip, lineChart } from "./charts.js";
import { drawCells, drawScale } from "./colours.js";
import { h, roving } from "./dom.js";
import { label, say } from "./i18n.js";
import { percent, short } from "./numbers.js";

const MOST_COLUMNS = 160; // moments that the histograms show
const KINDS = ["out", "gradient", "ratio"];

export class FrameViews {
  #points = [];
  #generation = null;
  #epochs = [];
  #past = new Map(); // place in steps → arrays of histograms
  #kind = "out";
  #here = null;
  #present = null; // the newest frame

  constructor(lab) {
    this.lab = lab;
    [this.loss, this.accuracy] = ["train.loss_chart", "train.accuracy_chart"].map((name) => figure(name));
    this.confusion = h("div", { class: "scroll" });
    this.pictures = ["W", "change"].map((name) => mosaic(name));
    this.strips = h("div", { class: "strips" });
    this.health = h("div", { class: "scroll", tabindex: 0, role: "region", label: "train.health" });
    this.tested = h("p", { class: "soft small" });
    const [weights, change] = this.pictures.map(({ element }) => element);
    this.cards = [
      card("train.curves", "train.curves_help", this.loss.figure, this.accuracy.figure),
      card("train.confusion", null, this.tested, this.confusion),
      card("train.health", "train.health_help", this.health),
      card("train.weights", "train.weights_help", weights),
      card("train.change", "train.change_help", change),
    ];
    this.histograms = card("train.histograms", "train.histograms_help", this.#kinds(), this.strips);
    this.histograms.classList.add("wide");
  }

  // Take an event: the curves always, the pictures only while the present is looked at.
  receive(frame) {
    this.#addCurves(frame);
    this.#remember(frame);
    this.#present = frame;
    if (this.lab.snapshot === null) this.show(frame);
    else this.#drawCurves();
  }

  showPresent() {
    if (this.#present) this.show(this.#present);
  }

  show(frame) {
    this.#here = this.lab.snapshot === null ? null : this.#place(frame);
    this.#drawCurves();
    this.#remember(frame);
    this.#drawHistograms();
    drawConfusion(this.confusion, frame.arrays.confusion);
    say(this.tested, "train.tested", { count: frame.test.count, accuracy: percent(frame.test.accuracy) });
    for (const { name, draw } of this.pictures) if (frame.arrays[name]) draw(frame.arrays[name], Number(frame[`${name}_scale`]));
    drawHealth(this.health, frame);
    this.cards[0].parentElement.dataset.shown = this.#place(frame);
  }

  // Histograms of moments before this page was opened, from the snapshots.
  async fillPast(snapshots) {
    for (const place of [...this.#past.keys()]) {
      if (!snapshots.length || place > this.#place(snapshots.at(-1)) + this.lab.training.steps_per_epoch) this.#past.delete(place);
    }
    for (const snapshot of snapshots) {
      if (this.#past.has(this.#place(snapshot))) continue;
      try {
        const { result, arrays } = await this.lab.connection.request("frame.of", { snapshot: snapshot.id });
        this.#remember({ ...result, arrays });
      } catch {
        return; // the snapshot was dropped meanwhile, or the connection is lost
      }
      if (this.lab.training.state === "playing") return;
    }
    this.#drawHistograms();
  }

  #place({ epoch, step }) {
    return epoch * this.lab.training.steps_per_epoch + step;
  }

  #addCurves({ curves, epochs }) {
    if (!curves) return;
    if (curves.generation !== this.#generation || curves.from === 0) this.#points = [];
    this.#generation = curves.generation;
    this.#points = [...this.#points.slice(0, curves.from), ...curves.points.map((point) => point.map(Number))];
    this.#epochs = epochs ?? this.#epochs;
    if (!this.#points.length) this.#past.clear();
  }

  #drawCurves() {
    const x = this.#points.map(([end]) => end);
    const all = this.lab.training.steps_per_epoch;
    const tested = (key) => ({ x: this.#epochs.map(({ epoch }) => epoch * all), y: this.#epochs.map((values) => Number(values[key])), second: true });
    const series = (column, key) => [{ x, y: this.#points.map((point) => point[column]) }, tested(key)].filter((line) => line.x.length);
    this.loss.draw({ series: series(1, "val_loss"), here: this.#here, low: 0 });
    this.accuracy.draw({ series: series(2, "val_accuracy"), here: this.#here, high: 1 });
  }

  #remember(frame) {
    const kept = Object.entries(frame.arrays).filter(([name]) => name.startsWith("histogram/"));
    this.#past.set(this.#place(frame), new Map(kept));
    if (this.#past.size <= MOST_COLUMNS) return;
    const places = [...this.#past.keys()].sort((a, b) => a - b);
    places.slice(1, -1).filter((_, i) => i % 2).forEach((place) => this.#past.delete(place));
  }

  #kinds() {
    const group = h("div", { class: "segments", role: "radiogroup", label: "train.histograms" });
    for (const kind of KINDS) {
      group.append(h("button", {
        type: "button", role: "radio", "aria-checked": kind === this.#kind, text: `train.histogram_${kind}`,
        on: {
          click: (event) => {
            this.#kind = kind;
            for (const item of group.children) item.setAttribute("aria-checked", item === event.currentTarget);
            this.#drawHistograms();
          },
        },
      }));
    }
    roving(group, "button", (item) => item.click());
    return group;
  }

  #drawHistograms() {
    const places = [...this.#past.keys()].sort((a, b) => a - b);
    const names = places.length ? [...this.#past.get(places.at(-1)).keys()].filter((name) => name.endsWith(`/${this.#kind}`)) : [];
    if ([...this.strips.children].map((strip) => strip.dataset.name).join() !== names.join()) {
      this.strips.replaceChildren(...names.map((name) => histogramRow(name)));
    }
    names.forEach((name, i) => {
      const columns = places.map((place) => this.#past.get(place).get(name)).filter(Boolean);
      this.strips.children[i].draw(columns.map((counts) => Array.from(counts.subarray(1))));
    });
  }
}

function figure(name) {
  const chart = lineChart(name, { height: 160 });
  return { ...chart, figure: h("figure", {}, h("figcaption", { text: name }), chart.element) };
}

function card(title, help, ...content) {
  return h("section", { class: "card" }, h("h3", { text: title }), help && h("p", { class: "soft small", text: help }), ...content);
}

function histogramRow(name) {
  const shown = name.split("/").slice(1, -1).join("/");
  const strip = histogramStrip("train.histograms");
  label(strip.element, "train.histogram_of", { name: shown });
  const row = h("div", { class: "strip", "data-name": name }, h("span", { class: "number small" }, shown),
    h("div", { class: "strip-picture" }, strip.element),
    h("span", { class: "soft strip-axis", "aria-hidden": "true" }, h("span", {}, "10²"), h("span", {}, "10⁻³"), h("span", {}, "10⁻⁸")));
  row.draw = strip.draw;
  return row;
}

// All units of the first layer side by side; bytes, of which 128 is 0.
function mosaic(name) {
  const canvas = h("canvas", { class: "cells", role: "img", label: `train.picture_${name}` });
  const ramp = h("canvas", { class: "scale", "aria-hidden": "true" });
  const [low, high] = [h("span", {}), h("span", {})];
  const element = h("div", {}, h("div", { class: "mosaic" }, canvas), h("div", { class: "legend" }, low, ramp, high));
  let last = null;
  const draw = (bytes, limit) => {
    last = [bytes, limit];
    const [count, height, width] = bytes.shape;
    const across = Math.ceil(Math.sqrt(count));
    const down = Math.ceil(count / across);
    const [columns, rows] = [across * (width + 1) + 1, down * (height + 1) + 1];
    const values = new Float32Array(rows * columns);
    for (let unit = 0; unit < count; unit++) {
      const top = Math.floor(unit / across) * (height + 1) + 1;
      const left = (unit % across) * (width + 1) + 1;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) values[(top + y) * columns + left + x] = bytes[(unit * height + y) * width + x] - 128;
      }
    }
    drawCells(canvas, values, rows, columns, { low: -127, high: 127, diverging: true });
    const scale = { low: -limit, high: limit || 1e-30, diverging: true };
    drawScale(ramp, scale);
    [low.textContent, high.textContent] = [short(-limit), short(limit)];
  };
  canvas.redraw = () => last && draw(...last);
  return { name, element, draw };
}

// Rows: the right digit; columns: what the network says. The shade is the share of the row.
function drawConfusion(box, matrix) {
  const n = matrix.shape[0];
  const numbers = Array.from({ length: n }, (_, i) => i);
  const table = h("table", { class: "confusion" }, h("caption", { text: "train.confusion_caption" }),
    h("thead", {}, h("tr", {}, h("td"), ...numbers.map((i) => h("th", { scope: "col" }, String(i))))),
    h("tbody", {}, ...numbers.map((row) => {
      const all = numbers.reduce((sum, column) => sum + matrix[row * n + column], 0);
      return h("tr", {}, h("th", { scope: "row" }, String(row)), ...numbers.map((column) => {
        const count = matrix[row * n + column];
        const cell = h("td", { class: row === column ? "right" : count ? "wrong" : "" }, String(count));
        cell.style.setProperty("--share", all ? count / all : 0);
        return cell;
      }));
    })));
  box.replaceChildren(table);
}

function drawHealth(box, { parameters, layers }) {
  const layerRows = layers.filter(({ dead }) => dead !== null).map(({ name, dead, units }) =>
    h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, `${dead} / ${units}`)));
  const rows = parameters.map(({ name, norm, gradient, ratio }) => h("tr", {}, h("th", { scope: "row" }, name),
    h("td", {}, short(Number(norm))), h("td", {}, short(Number(gradient))), h("td", {}, ratio == null ? "–" : short(Number(ratio)))));
  const heads = (...keys) => h("thead", {}, h("tr", {}, h("td"), ...keys.map((key) => h("th", { scope: "col", text: key }))));
  box.replaceChildren(
    h("table", {}, heads("train.norm", "train.gradient_norm", "train.ratio"), h("tbody", {}, ...rows)),
    layerRows.length ? h("table", {}, heads("train.dead"), h("tbody", {}, ...layerRows)) : "",
  );
}
