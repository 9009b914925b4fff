// "Bug hunt": a network with a planted fault beside the right one; mark the first wrong tensor, and name the mistake.

import { scaleOf } from "./colours.js";
import { kerasStatus } from "./compare.js";
import { button, field, h, localized, numberField, reveal, roving } from "./dom.js";
import { say } from "./i18n.js";
import { fillTile, layerRow } from "./network.js";
import { linkedViews } from "./pair.js";
import { ask, latest } from "./state.js";

export function huntPanel(lab) {
  const { line, run } = kerasStatus(lab);
  const level = h("select", { "data-field": "level", on: { change: () => clear() } });
  const seed = numberField({ value: 1, "data-field": "hunt-seed" }, () => clear());
  const needs = h("p", { text: "compare.needs", hidden: true });
  const game = h("div", { class: "stack", hidden: true });
  const start = button("hunt.start", () => begin(), { class: "main", "data-action": "hunt" });
  const next = button("hunt.next", () => {
    seed.value = Number(seed.value) + 1;
    begin();
  });
  const controls = h("div", { class: "row" }, field("hunt.level", level), field("hunt.seed", seed), start, next, line);
  const element = h("div", { class: "stack hunt" },
    h("div", { class: "card stack" }, h("p", { class: "soft", text: "hunt.help" }), controls, needs), game);

  // A hunt is never shown under another level or seed than its own.
  function clear() {
    game.hidden = true;
    game.replaceChildren();
    delete element.dataset.hunt;
  }

  const busy = (value) => [start, next, level, seed].forEach((control) => (control.disabled = value));

  async function begin() {
    clear();
    busy(true);
    const answer = await run("hunt.start", { level: Number(level.value), seed: Number(seed.value) });
    busy(false);
    if (!answer) {
      seed.value = seed.inForce;
      return;
    }
    seed.inForce = answer.result.seed;
    game.hidden = false;
    game.replaceChildren(...gameOf(answer.result));
    reveal(game.querySelector("h3"));
    element.dataset.hunt = `${answer.result.level},${answer.result.seed}`;
  }

  return {
    element,
    async open() {
      controls.hidden = !lab.hello.parity;
      needs.hidden = lab.hello.parity;
      if (!lab.hello.parity || level.children.length) return;
      const answer = await ask("hunt.levels");
      level.replaceChildren(...(answer?.result.levels ?? []).map(({ level: number, topic }) => {
        const option = h("option", { value: number });
        return say(option, `hunt.topic_${topic}`, { number });
      }));
    },
  };
}

function gameOf({ tensors, causes, learning_rate: rate, momentum, weight_decay: decay }) {
  const newest = latest();
  const rows = h("div", { class: "rows" });
  const views = linkedViews(["hunt.suspect", "hunt.right", "hunt.difference"]);
  const same = h("p", { class: "good identical", text: "hunt.identical", hidden: true });
  const name = h("h3", {});
  const mark = button("hunt.mark", () => markAs(name.textContent), { "data-action": "mark" });
  const opened = h("section", { class: "card stack", "data-opened": "" },
    h("div", { class: "row spread" }, name, mark), same, views.element);
  const marked = h("b", { class: "number" }, "–");
  const verdict = h("div", { class: "stack", role: "status", "aria-live": "polite" });
  const answer = button("hunt.answer", check, { class: "main", "data-action": "answer", disabled: true });
  let chosen = null;
  let cause = null;

  const open = (tensor, byUser = false) => newest(async (isCurrent) => {
    for (const tile of rows.querySelectorAll(".tile")) tile.setAttribute("aria-pressed", tile.dataset.tensor === tensor);
    const found = await ask("hunt.tensor", { name: tensor });
    if (!found || !isCurrent()) return;
    name.textContent = tensor;
    const { wrong, right } = found.arrays;
    const difference = wrong.length === right.length ? Object.assign(wrong.map((value, i) => value - right[i]), { shape: wrong.shape }) : null;
    same.hidden = !difference?.every((entry) => entry === 0);
    views.show(tensor, [wrong, right, difference], [undefined, undefined, difference && scaleOf(difference, true)]);
    opened.dataset.opened = tensor;
    if (byUser) reveal(opened);
  });

  function markAs(tensor) {
    chosen = tensor;
    marked.textContent = tensor;
    for (const tile of rows.querySelectorAll(".tile")) tile.classList.toggle("marked", tile.dataset.tensor === tensor);
    answer.disabled = !cause;
  }

  async function check() {
    const found = await ask("hunt.answer", { tensor: chosen, cause });
    if (!found) return;
    verdict.replaceChildren(...verdictOf(found.result));
    verdict.dataset.solved = found.result.tensor_right && found.result.cause_right;
    reveal(verdict);
  }

  const names = [...new Set(tensors.map(({ layer }) => layer).filter(Boolean))];
  const of = (test) => tensors.filter(test);
  rows.append(layerRow(null, of(({ kind }) => kind === "input"), open),
    ...names.map((layer) => layerRow({ name: layer }, of((tensor) => tensor.layer === layer), open)),
    layerRow("loss", of(({ layer, kind }) => !layer && kind !== "input"), open));
  roving(rows, "button.tile");
  fill(rows, tensors);
  const choices = h("fieldset", {}, h("legend", { text: "hunt.cause" }), ...causes.map(({ id, text }) => {
    const input = h("input", { type: "radio", name: "cause", value: id, on: { change: () => { cause = id; answer.disabled = !chosen; } } });
    return h("label", { class: "field check" }, input, localized(text));
  }));
  open(tensors.find(({ kind }) => kind === "forward").name);
  return [
    h("div", { class: "hunted" },
      h("section", { class: "card network" }, h("h3", { text: "hunt.tensors" }),
        say(h("p", { class: "soft small" }), "hunt.settings", { rate, momentum, decay: decay ?? 0 }), rows),
      h("div", { class: "stack" }, opened, h("section", { class: "card stack" },
        h("p", {}, h("span", { text: "hunt.marked" }), " ", marked), choices, h("div", { class: "row" }, answer), verdict))),
  ];
}

// The pictures in the list: those of the network under suspicion.
async function fill(rows, tensors) {
  for (const tensor of tensors) {
    const found = await ask("hunt.tensor", { name: tensor.name });
    if (!found || !rows.isConnected) return;
    fillTile(rows.querySelector(`.tile[data-tensor="${tensor.name}"]`), tensor, found.arrays.wrong);
  }
  rows.dataset.state = "ready";
}

function verdictOf(result) {
  const { tensor_right: tensor, cause_right: cause, first_wrong: first } = result;
  const line = (right, key, values = {}) => say(h("p", { class: right ? "good" : "bad" }), `hunt.${key}_${right ? "right" : "wrong"}`, values);
  return [
    line(tensor, "tensor", { first }),
    line(cause, "cause"),
    h("p", {}, localized(result.explanation)),
    h("div", { class: "codes" }, ...codesOf(result.wrong_line, result.right_line)),
  ];
}

// Both sources, with the lines marked that the other one lacks at this place. The first line and the docstring are not
// marked: they always differ, and compute nothing.
function codesOf(wrong, right) {
  const [before, after] = [wrong.split("\n"), right.split("\n")];
  const common = commonLines(before, after);
  const code = (title, lines, kept) => h("figure", {}, h("figcaption", { text: title }), h("pre", {}, h("code", {},
    ...lines.map((text, i) => h(kept.has(i) || i < bodyOf(lines) || !text.trim() ? "span" : "mark", {}, `${text}\n`)))));
  return [code("hunt.wrong_code", before, common[0]), code("hunt.right_code", after, common[1])];
}

// Return the number of the first line after the signature and the docstring.
function bodyOf(lines) {
  const first = lines.findIndex((text) => text.trim().startsWith('"""'));
  if (first < 0) return 1;
  const isOneLine = /""".*"""$/.test(lines[first].trim());
  return 1 + (isOneLine ? first : lines.findIndex((text, i) => i > first && text.trim().endsWith('"""')));
}

// Return the numbers of the lines in a longest common subsequence: those of the first text, and those of the second.
function commonLines(first, second) {
  // length[i][j]: of the longest one of first[i …] and second[j …].
  const length = Array.from({ length: first.length + 1 }, () => new Array(second.length + 1).fill(0));
  for (let i = first.length - 1; i >= 0; i--) {
    for (let j = second.length - 1; j >= 0; j--) {
      length[i][j] = first[i] === second[j] ? length[i + 1][j + 1] + 1 : Math.max(length[i + 1][j], length[i][j + 1]);
    }
  }
  const found = [new Set(), new Set()];
  for (let i = 0, j = 0; i < first.length && j < second.length; ) {
    if (first[i] === second[j]) {
      found[0].add(i++);
      found[1].add(j++);
    } else if (length[i + 1][j] >= length[i][j + 1]) i++;
    else j++;
  }
  return found;
}
