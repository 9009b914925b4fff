// "Compare with Keras": the step on the chosen digit in both programs, one row a tensor, and one of them as pictures.

import { button, h, reveal } from "./dom.js";
import { say, words } from "./i18n.js";
import { short } from "./numbers.js";
import { linkedViews } from "./pair.js";
import { ask, latest } from "./state.js";

export const KERAS_TIME_LIMIT = 240; // seconds: TensorFlow starts slowly on a busy machine

// A line that says what the process with Keras is doing; run(request) shows it while the request is answered.
export function kerasStatus(lab) {
  const line = h("p", { class: "soft progress", role: "status", "aria-live": "polite" });
  lab.connection.addEventListener("compare.progress", ({ detail }) => line.dataset.busy && say(line, `compare.${detail.phase}`));
  const run = async (method, parameters) => {
    line.dataset.busy = "yes";
    say(line, "compare.computing");
    const answer = await ask(method, parameters, KERAS_TIME_LIMIT);
    delete line.dataset.busy;
    line.removeAttribute("data-text");
    line.textContent = "";
    return answer;
  };
  return { line, run };
}

export function comparePanel(lab) {
  const { line, run } = kerasStatus(lab);
  const subject = h("p", {});
  const verdict = h("p", { class: "verdict", role: "status", "aria-live": "polite" });
  const table = h("div", { class: "scroll" });
  const views = linkedViews(["compare.ours", "compare.keras", "compare.ratio"]);
  const opened = h("section", { class: "card", hidden: true }, h("h3", {}), h("p", { class: "soft small", text: "compare.open_help" }), views.element);
  const start = button("compare.start", compare, { class: "main", "data-action": "compare" });
  const needs = h("p", { text: "compare.needs", hidden: true });
  const newest = latest();
  const element = h("div", { class: "stack compare" },
    h("div", { class: "card stack" }, h("p", { class: "soft", text: "compare.help" }), subject, h("div", { class: "row" }, start, line), needs, verdict, table), opened);

  async function compare() {
    start.disabled = true;
    const digit = await chosenDigit(lab);
    const answer = await run("compare", lab.studied);
    start.disabled = false;
    if (!answer) return;
    const { rows, keras, framework } = answer.result;
    const bad = rows.filter(({ ok }) => ok === false).length;
    verdict.className = `verdict ${bad ? "bad" : "good"}`;
    say(verdict, bad ? "compare.differs" : "compare.agrees", { bad, all: rows.length, keras, framework, digit: () => nameOf(digit) });
    reveal(verdict);
    table.replaceChildren(tableOf(rows, (name) => open(name, true)));
    element.dataset.rows = rows.length;
    await open(rows[0].name);
  }

  const open = (name, byUser = false) => newest(async (isCurrent) => {
    for (const item of table.querySelectorAll("button")) item.setAttribute("aria-pressed", item.dataset.name === name);
    const answer = await ask("compare.tensor", { name });
    if (!answer || !isCurrent()) return;
    const { ours, keras, bound } = answer.arrays;
    const ratio = bound && Object.assign(Float32Array.from(ours, (value, i) => relative(value - keras[i], bound[i])), { shape: ours.shape });
    opened.hidden = false;
    opened.querySelector("h3").textContent = name;
    views.show(name, [ours, keras, ratio ?? null], [undefined, undefined, { low: 0, high: 1, diverging: false }]);
    opened.dataset.opened = name;
    if (byUser) reveal(opened);
  });

  return {
    element,
    async open() {
      start.hidden = subject.hidden = !lab.hello.parity;
      needs.hidden = lab.hello.parity;
      const digit = lab.hello.parity && await chosenDigit(lab);
      if (digit) say(subject, "compare.subject", { digit: () => nameOf(digit) });
    },
  };
}

// Return the digit that is studied; choose one if there is none yet.
async function chosenDigit(lab) {
  lab.digit ??= lab.hello.digit ?? (await ask("digit.pick", { set: "test", index: 0 }))?.result;
  return lab.digit;
}

function nameOf({ source, index, label }) {
  return words(label === null ? `compare.digit_${source}` : `compare.digit_${source}_of`, { index, label });
}

function relative(difference, bound) {
  return difference === 0 ? 0 : Math.abs(difference) / bound;
}

function tableOf(rows, open) {
  const heads = ["tensor", "light", "difference", "ulp", "bound", "share"].map((key) => h("th", { scope: "col", class: key, text: `compare.${key}` }));
  return h("table", { class: "comparison" }, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...rows.map((row) => {
    const light = row.ok === null ? "none" : row.ok ? "ok" : "bad";
    return h("tr", { "data-name": row.name, "data-light": light },
      h("th", { scope: "row" }, h("button", { type: "button", "aria-pressed": "false", "data-name": row.name, on: { click: () => open(row.name) } }, row.name)),
      h("td", { class: "light", text: `compare.light_${light}` }),
      ...[row.largest_difference, row.ulp, row.bound, row.ratio].map((value) => h("td", {}, value === null ? "–" : short(Number(value)))));
  })));
}
