// "Your own network": the diagnosis of parity_tests, on a file of the person who looks at this page.

import { kerasStatus } from "./compare.js";
import { h, localized, reveal } from "./dom.js";
import { language, say } from "./i18n.js";
import { inEveryLanguage } from "./translated.js";

export function diagnosePanel(lab) {
  const { line, run } = kerasStatus(lab);
  const file = h("input", { type: "text", class: "path", placeholder: "my_network.py:Net", autocomplete: "off", spellcheck: "false", "data-field": "file", required: true, label: "diagnose.file" });
  const start = h("button", { type: "submit", class: "main", text: "diagnose.start" });
  const form = h("form", { class: "row" }, h("span", { class: "soft small", text: "diagnose.file" }), file, start, line);
  const needs = h("p", { text: "compare.needs", hidden: true });
  const found = h("div", { class: "stack", role: "status", "aria-live": "polite" });
  const element = h("div", { class: "stack diagnose" },
    h("div", { class: "card stack" }, h("p", { class: "soft", text: "diagnose.help" }), form, h("p", { class: "soft small", text: "diagnose.trust" }), needs), found);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    start.disabled = true;
    found.replaceChildren(); // a report is never shown below another file
    delete element.dataset.findings;
    const answer = await run("diagnose", { file: file.value.trim() });
    start.disabled = false;
    if (!answer) return;
    found.replaceChildren(...reportOf(answer.result));
    element.dataset.findings = answer.result.findings.length;
    reveal(found.firstElementChild);
  });
  return {
    element,
    open() {
      form.hidden = !lab.hello.parity;
      needs.hidden = lab.hello.parity;
    },
  };
}

const sentence = (text) => localized(inEveryLanguage(text));

function reportOf({ implementation, agrees, sizes, not_offered: missing, findings, table }) {
  const verdict = say(h("h3", { class: agrees ? "good" : "bad" }), agrees ? "diagnose.agrees" : "diagnose.differs", { implementation, sizes: sizes?.join("–") ?? "" });
  const cards = findings.map(({ what, remedy, evidence, reproduction }) => h("article", { class: "card stack" },
    h("h4", {}, sentence(what)), remedy ? h("p", {}, sentence(remedy)) : null, evidence ? h("p", { class: "soft small" }, sentence(evidence)) : null,
    reproduction ? h("details", {}, h("summary", { text: "diagnose.reproduce" }), h("pre", { tabindex: 0 }, h("code", {}, reproduction))) : null));
  return [verdict, ...cards, missing?.length ? say(h("p", { class: "soft" }), "diagnose.missing", { missing: () => listOf(missing) }) : "", situations(table)];
}

function listOf(texts) {
  return texts.map((text) => inEveryLanguage(text)[language]).join(language === "ja" ? "、" : ", ");
}

function situations(table) {
  const scenes = Object.entries(table ?? {});
  if (!scenes.length) return "";
  const stages = [...new Set(scenes.flatMap(([, cells]) => Object.keys(cells)))];
  return h("section", { class: "card" }, h("h3", { text: "diagnose.table" }), h("div", { class: "scroll", tabindex: 0, role: "region", label: "diagnose.table" },
    h("table", {}, h("thead", {}, h("tr", {}, h("td"), ...stages.map((stage) => h("th", { scope: "col" }, sentence(stage))))),
      h("tbody", {}, ...scenes.map(([scene, cells]) => h("tr", {}, h("th", { scope: "row" }, sentence(scene)), ...stages.map((stage) => h("td", {}, sentence(cells[stage] ?? "–")))))))));
}
