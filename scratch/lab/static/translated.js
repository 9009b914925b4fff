// The sentences of the diagnosis, which the server gives in English, in the language of the page.

import japanese from "./words/diagnosis.ja.js";

// Each matches a text that begins with an English sentence; its last group is what follows the sentence.
const SENTENCES = Object.entries(japanese).map(([english, text]) => ({
  names: Array.from(english.matchAll(/\{(\w+)\}/g), ([, name]) => name),
  pattern: new RegExp(`^${english.split(/\{\w+\}/).map(escaped).join("(.+?)")}(?: (.+))?$`),
  text,
}));

// Return a text of the diagnosis in every language; a sentence that has no translation leaves it in English.
export function inEveryLanguage(text) {
  return { en: text, ja: translated(text) ?? text };
}

function translated(text) {
  for (const sentence of SENTENCES) {
    const found = text.match(sentence.pattern);
    if (!found) continue;
    const rest = found.at(-1) === undefined ? "" : translated(found.at(-1));
    if (rest === null) continue;
    const values = Object.fromEntries(sentence.names.map((name, i) => [name, found[i + 1]]).reverse());
    if (values.scene) values.scene = translated(values.scene) ?? values.scene; // others are names of tensors and methods
    return sentence.text.replace(/\{(\w+)\}/g, (_, name) => values[name]) + rest;
  }
  return null;
}

function escaped(text) {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
