// The network as rows of pictures: one row a layer, one column a kind of tensor; the chosen tensor is opened beside it.

import { isSigned, scaleOf } from "./colours.js";
import { button, h, reveal, roving } from "./dom.js";
import { label, say } from "./i18n.js";
import { short } from "./numbers.js";
import { ask, latest } from "./state.js";
import { thumbnail } from "./tensor_view.js";

const COLUMNS = ["parameter", "forward", "backward", "gradient", "update"];
const COLUMN_OF = { input: "forward", target: "forward", loss: "forward" };

export function networkCard(lab, explain) {
  const rows = h("div", { class: "rows" });
  const heads = h("div", { class: "layer heads", "aria-hidden": "true" }, h("span"), ...COLUMNS.map((name) => h("span", { text: `column.${name}` })));
  const loss = h("span", { class: "number" });
  const place = h("span", { class: "soft" });
  const element = h("div", { class: "card network", "data-state": "empty" },
    h("div", { class: "row spread" }, h("h3", { text: "network.title" }), h("p", { class: "soft" }, h("span", { text: "network.loss" }), " ", loss)),
    h("div", { class: "row spread small" }, place, button("network.again", () => refresh(), { class: "live" })),
    h("p", { class: "soft small", text: "network.help" }), heads, rows);
  const newest = latest();
  let tensors = [];
  let chosen = null;
  roving(rows, "button.tile");

  function choose(name, byUser = false) {
    chosen = name;
    for (const tile of rows.querySelectorAll(".tile")) tile.setAttribute("aria-pressed", tile.dataset.tensor === name);
    explain.show(tensors.find((tensor) => tensor.name === name));
    if (byUser) reveal(explain.element);
  }

  function build() {
    const names = ["", ...lab.hello.layers.map((layer) => layer.name)];
    const known = rows.dataset.shapes;
    const shapes = JSON.stringify(tensors.map(({ name, shape }) => [name, shape]));
    if (known === shapes) return;
    rows.dataset.shapes = shapes;
    const first = layerRow(null, tensors.filter(({ kind }) => kind === "input"), choose);
    const last = layerRow("loss", tensors.filter(({ layer, kind }) => !layer && kind !== "input"), choose);
    const middle = names.slice(1).map((name) =>
      layerRow(lab.hello.layers.find((layer) => layer.name === name), tensors.filter(({ layer }) => layer === name), choose));
    rows.replaceChildren(first, ...middle, last);
  }

  const refresh = () => newest(async (isCurrent) => {
    element.dataset.state = "loading";
    const answer = await ask("trace", lab.studied);
    if (!answer || !isCurrent()) return;
    tensors = answer.result.tensors;
    loss.textContent = short(Number(answer.result.loss), 5);
    say(place, "network.place", { epoch: answer.result.epoch + 1, step: answer.result.step });
    lab.dispatchEvent(new CustomEvent("probabilities", { detail: answer.result.probabilities }));
    build();
    const known = tensors.some(({ name }) => name === chosen);
    choose(known ? chosen : lab.hello.layers[0].name + "/out");
    for (const tensor of tensors) {
      const got = await ask("tensor", { name: tensor.name, ...lab.studied });
      if (!got || !isCurrent()) return;
      fillTile(rows.querySelector(`.tile[data-tensor="${tensor.name}"]`), tensor, got.arrays.value);
    }
    element.dataset.state = "ready";
    element.dataset.traces = Number(element.dataset.traces ?? 0) + 1;
  });

  lab.addEventListener("digit", refresh);
  // Also while the first trace is loading, whose tensors would come from two snapshots otherwise.
  lab.addEventListener("snapshot", () => newest.hasStarted() && refresh());
  return { element, open: refresh };
}

export function layerRow(layer, tensors, choose) {
  const title = h("div", { class: "layer-name" });
  if (layer === null) title.append(h("b", { text: "network.input" }));
  else if (layer === "loss") title.append(h("b", { text: "network.loss" }));
  else {
    title.append(h("b", {}, layer.name), h("span", { class: "soft small" },
      [layer.type, layer.activation && layer.activation !== "linear" ? layer.activation : null].filter(Boolean).join(" · ")));
  }
  const cells = COLUMNS.map((column) => h("div", { class: "cell", "data-column": column },
    h("span", { class: "column-name soft small", text: `column.${column}`, "aria-hidden": "true" }),
    ...tensors.filter(({ kind }) => (COLUMN_OF[kind] ?? kind) === column).map((tensor) => tile(tensor, choose))));
  cells.forEach((cell) => cell.classList.toggle("empty", cell.children.length === 1));
  return h("div", { class: "layer" }, title, ...cells);
}

function tile({ name, shape }, choose) {
  const text = name.includes("/") ? name.split("/")[1].replace("_new", " new") : name;
  return h("button", { type: "button", class: "tile", "data-tensor": name, "aria-pressed": "false", on: { click: () => choose(name, true) } },
    h("span", { class: "small-picture" }),
    h("span", { class: "tile-name" }, h("b", {}, text), h("span", { class: "soft" }, shape.filter((n) => n > 1).join("×") || "1")));
}

export function fillTile(element, { name, kind, shape, min, max }, value) {
  if (!element) return;
  const picture = element.querySelector(".small-picture");
  if (value.length === 1) {
    label(element, "network.number", { name, value: short(value[0]) });
    return picture.replaceChildren(h("span", { class: "figure" }, short(value[0])));
  }
  label(element, "network.tile", { name, shape: shape.join(" × "), min: short(Number(min)), max: short(Number(max)) });
  const canvas = thumbnail(value, value.shape, scaleOf(value, isSigned(kind, value)));
  canvas.classList.toggle("fine", canvas.width > 80 || canvas.height > 80);
  return picture.replaceChildren(canvas);
}
