// Elements in one call, with translated texts: h("button", { text: "train.play", on: { click: play } }).

import { label, language, say } from "./i18n.js";

const NAMESPACES = {
  svg: "http://www.w3.org/2000/svg",
  math: "http://www.w3.org/1998/Math/MathML",
};

// `text` and `label` are keys of the translations; they become the text and the accessible name.
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(NAMESPACES.svg, tag), attributes, children);
}

export function math(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(NAMESPACES.math, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") say(element, value);
    else if (name === "label") label(element, value);
    else if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name.startsWith("aria-")) element.setAttribute(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export function button(key, click, attributes = {}) {
  return h("button", { type: "button", text: key, on: { click }, ...attributes });
}

// A text in every language, {en, ja}: the server gives it so, or the page has translated it.
export function localized(text) {
  const element = h("span", {});
  const write = () => (element.textContent = text[language]);
  write();
  addEventListener("language", write);
  return element;
}

// Scroll to a part that a choice has filled, if it is not seen: in a narrow window it is below the choice.
export function reveal(element) {
  element.scrollIntoView({ block: "nearest", behavior: "auto" });
}

// A labelled form control in one line.
export function field(key, control, attributes = {}) {
  return h("label", { class: "field", ...attributes }, h("span", { text: key }), control);
}

// A field for a number. An empty one shows its number in force again; otherwise change(number) is called.
export function numberField(attributes, change = () => {}) {
  const input = h("input", { type: "number", min: 0, ...attributes });
  input.inForce = input.value;
  input.addEventListener("change", () => {
    if (Number.isNaN(input.valueAsNumber)) input.value = input.inForce;
    else change(input.valueAsNumber);
  });
  return input;
}

// A list of buttons or tabs of which Tab reaches one, and the arrow keys the others.
export function roving(container, selector, choose = () => {}) {
  const items = () => [...container.querySelectorAll(selector)].filter((item) => !item.disabled);
  const focusable = (chosen) => items().forEach((item) => (item.tabIndex = item === chosen ? 0 : -1));
  container.addEventListener("keydown", (event) => {
    const list = items();
    const at = list.indexOf(event.target);
    const next = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    const item = list.at(next % list.length);
    focusable(item);
    item.focus();
    choose(item);
  });
  container.addEventListener("focusin", (event) => items().includes(event.target) && focusable(event.target));
  const reset = () => {
    const list = items();
    if (list.length && !list.some((item) => item.tabIndex === 0)) focusable(list[0]);
  };
  new MutationObserver(() => {
    const list = items();
    const current = list.filter((item) => item.tabIndex === 0);
    if (current.length !== 1) focusable(current[0] ?? list[0]);
  }).observe(container, { childList: true, subtree: true });
  reset();
}
