// Texts in English and Japanese. say() keeps the key with the element, so that a change of language rewrites the page.

import en from "./words/en.js";
import ja from "./words/ja.js";

const WORDS = { en, ja };
const texts = new WeakMap();
const labels = new WeakMap();

export let language = "en";

export function words(key, values = {}) {
  const text = WORDS[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export function has(key) {
  return key in WORDS[language];
}

// Set the text of an element; the values of the placeholders are numbers, names or functions that return a text.
export function say(element, key, values = {}) {
  texts.set(element, [key, values]);
  element.setAttribute("data-text", key);
  element.textContent = words(key, evaluated(values));
  return element;
}

export function label(element, key, values = {}) {
  labels.set(element, [key, values]);
  element.setAttribute("data-label", key);
  element.setAttribute("aria-label", words(key, evaluated(values)));
  return element;
}

export function setLanguage(name) {
  language = name in WORDS ? name : "en";
  document.documentElement.lang = language;
  document.title = words("title");
  for (const element of document.querySelectorAll("[data-text]")) {
    const found = texts.get(element);
    if (found) element.textContent = words(found[0], evaluated(found[1]));
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    const found = labels.get(element);
    if (found) element.setAttribute("aria-label", words(found[0], evaluated(found[1])));
  }
}

function evaluated(values) {
  const plain = {};
  for (const [name, value] of Object.entries(values)) plain[name] = typeof value === "function" ? value() : value;
  return plain;
}
