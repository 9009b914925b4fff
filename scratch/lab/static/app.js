// The page: header with settings, tabs, one panel for each view, and the line that says what is wrong.

import { comparePanel } from "./compare.js";
import { h, roving } from "./dom.js";
import { diagnosePanel } from "./diagnose.js";
import { huntPanel } from "./hunt.js";
import { language, say, setLanguage } from "./i18n.js";
import { lookPanel } from "./look.js";
import { lab } from "./state.js";
import { trainPanel } from "./train.js";
import { inEveryLanguage } from "./translated.js";

// Each returns {element, open()}; open is called whenever the tab is shown, and after a new connection.
const RECORDED = { look: lookPanel, train: trainPanel };
const VIEWS = lab.isRecorded ? RECORDED : { ...RECORDED, compare: comparePanel, hunt: huntPanel, diagnose: diagnosePanel };
const panels = {};
let current = null;

function header() {
  const languages = h("div", { class: "segments", role: "radiogroup", label: "settings.language" });
  for (const [name, text] of [["en", "English"], ["ja", "日本語"]]) {
    languages.append(choice(text, { lang: name, "data-language": name }, () => chooseLanguage(name)));
  }
  const themes = h("div", { class: "segments", role: "radiogroup", label: "settings.theme" });
  for (const name of ["light", "dark", "system"]) {
    themes.append(choice(null, { text: `theme.${name}`, "data-choice": name }, () => {
      chooseTheme(name);
      check(themes, "choice", name);
    }));
  }
  check(themes, "choice", settings.get("theme") ?? "system");
  for (const group of [languages, themes]) roving(group, "button", (item) => item.click());
  return h("header", { class: "top" },
    h("div", { class: "name" }, h("img", { src: "/static/icon.svg", alt: "" }),
      h("h1", {}, "Scratch ↔ Keras", h("small", { text: "title.lab" }))),
    h("div", { class: "settings" }, languages, themes));
}

function choice(text, attributes, click) {
  const element = h("button", { type: "button", role: "radio", "aria-checked": "false", on: { click }, ...attributes });
  if (text) element.textContent = text;
  return element;
}

function check(group, key, name) {
  for (const item of group.children) item.setAttribute("aria-checked", item.dataset[key] === name);
  for (const item of group.children) item.tabIndex = item.dataset[key] === name ? 0 : -1;
}

async function chooseLanguage(name, remember = true) {
  setLanguage(name);
  check(document.querySelector(".settings .segments"), "language", language);
  if (remember) settings.set("language", name);
  dispatchEvent(new Event("language"));
  if (lab.connection.state === "open") await lab.ask("hello", { lang: language });
}

function navigation() {
  const tabs = h("div", { class: "tabs", role: "tablist", label: "tabs" });
  for (const name of Object.keys(VIEWS)) {
    tabs.append(h("button", {
      type: "button", role: "tab", id: `tab-${name}`, "aria-controls": `panel-${name}`, "aria-selected": "false",
      text: `tab.${name}`, on: { click: () => show(name) },
    }));
  }
  roving(tabs, '[role="tab"]', (item) => item.click());
  return h("nav", { label: "tabs" }, tabs);
}

function show(name) {
  if (!(name in VIEWS)) name = "look";
  current = name;
  for (const other of Object.keys(VIEWS)) {
    const tab = document.getElementById(`tab-${other}`);
    tab.setAttribute("aria-selected", other === name);
    tab.tabIndex = other === name ? 0 : -1;
    document.getElementById(`panel-${other}`).hidden = other !== name;
  }
  history.replaceState(null, "", `#${name}`);
  panels[name] ??= create(name);
  document.getElementById(`tab-${name}`).scrollIntoView({ block: "nearest", inline: "nearest" });
  open(name);
}

async function open(name) {
  if (lab.connection.state !== "open") return;
  const panel = document.getElementById(`panel-${name}`);
  panel.dataset.state = "loading";
  await panels[name].open();
  panel.dataset.state = "ready";
}

function create(name) {
  const panel = VIEWS[name](lab);
  document.getElementById(`panel-${name}`).append(
    h("header", {}, h("h2", { text: `tab.${name}` }), h("p", { text: `intro.${name}` })), panel.element);
  return panel;
}

function notice() {
  const sentence = h("p", { class: "sentence" });
  const retry = h("button", { type: "button", text: "connection.retry", hidden: true, on: { click: () => lab.connection.retry() } });
  const line = h("div", { class: "notice", role: "status", "aria-live": "polite" }, sentence, retry);
  let problem = null;
  const update = () => {
    const { state } = lab.connection;
    document.body.dataset.connection = state;
    line.dataset.kind = problem || ["lost", "gone", "replaced"].includes(state) ? "problem" : "fine";
    retry.hidden = state !== "gone";
    if (state !== "open") say(sentence, `connection.${state}`);
    else if (problem) {
      sentence.removeAttribute("data-text");
      sentence.textContent = inEveryLanguage(problem)[language]; // an error of the diagnosis is English
    } else if (lab.hello) {
      const { layers, data } = lab.hello;
      const widths = [layers[0].input.join("×"), ...layers.filter(({ params }) => params.W).map(({ params }) => params.W[1])];
      say(sentence, lab.isRecorded ? "connection.recorded" : "connection.open", { widths: widths.join("–"), data: data.source });
      sentence.classList.toggle("soft", true);
    }
  };
  lab.connection.addEventListener("state", () => {
    problem = null;
    update();
  });
  lab.addEventListener("problem", ({ detail }) => {
    problem = detail;
    update();
  });
  update();
  return line;
}

function start() {
  setLanguage(settings.get("language") ?? new URLSearchParams(location.search).get("lang") ?? navigator.language.slice(0, 2));
  if (lab.isRecorded) document.body.dataset.recorded = "";
  const main = h("main", { id: "main" }, ...Object.keys(VIEWS).map((name) => h("section", {
    class: "panel", role: "tabpanel", id: `panel-${name}`, "aria-labelledby": `tab-${name}`, hidden: true,
  })));
  document.body.append(h("a", { class: "skip", href: "#main", text: "skip" }), header(), navigation(), notice(), main);
  chooseLanguage(language, false);
  lab.connection.addEventListener("state", () => {
    if (lab.connection.state !== "open") return;
    lab.hello = lab.connection.hello;
    lab.digit = null; // a server that was started again has none
    lab.problem(null);
    lab.setTraining(lab.hello.training);
    open(current);
  });
  lab.connection.addEventListener("status", ({ detail }) => lab.setTraining(detail));
  addEventListener("theme", () => document.querySelectorAll("canvas.cells").forEach((canvas) => canvas.redraw?.()));
  addEventListener("hashchange", () => show(location.hash.slice(1)));
  show(location.hash.slice(1) || "look");
  lab.connection.connect();
}

start();
