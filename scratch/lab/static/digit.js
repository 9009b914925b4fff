// The digit that is studied: drawn, from a photo, or one of the data set's; before and after its preparation.

import { drawCells } from "./colours.js";
import { button, field, h, numberField } from "./dom.js";
import { Sheet } from "./draw.js";
import { say, words } from "./i18n.js";
import { percent } from "./numbers.js";
import { ask, latest } from "./state.js";

const MISTAKES = 12;
const GREY = { low: 0, high: 255, diverging: false };

export function digitCard(lab) {
  const before = greyPicture("digit.before", (value) => value);
  const after = greyPicture("digit.after", (value) => 255 - value); // ink is 255 for the network, black on paper here
  const says = h("p", { class: "says", "aria-live": "polite" });
  const bars = h("div", { class: "bars" });
  const target = h("select", { "data-field": "label", on: { change: () => setLabel(Number(target.value)) } });
  const targetHelp = h("p", { class: "soft small", text: "digit.target_help" });
  const newest = latest();
  let last = ["digit.pick", { set: "test", index: 0 }]; // the request that a restarted server gets again
  let shownFor = null;

  // Send a request that changes the digit, and show what the server made of it. Returns the answer, or null for an error.
  const change = (method, parameters) => newest(async (isCurrent) => {
    const answer = await ask(method, parameters);
    if (!answer || !isCurrent()) return answer;
    if (method !== "digit.label") last = [method, parameters];
    showDigit(answer);
    lab.digitChanged(answer.result);
    return answer;
  });
  const setLabel = (label) => change("digit.label", { label });

  function showDigit({ result, arrays }) {
    if (arrays.before) before.show(arrays.before);
    if (arrays.after) {
      after.show(arrays.after);
      lab.brightest = { pixel: arrays.after.indexOf(Math.max(...arrays.after)), count: arrays.after.length };
    }
    target.value = result.label ?? "";
    target.dataset.source = result.source;
    targetHelp.hidden = result.label != null;
  }

  const sheet = new Sheet(() => change("digit.prepare", sheet.grey()));
  const sheetCard = h("div", { class: "card draw live" },
    h("h3", { text: "draw.title" }),
    sheet.element,
    h("p", { class: "soft small", id: "draw-help", text: "draw.help" }),
    h("div", { class: "row" }, button("draw.clear", () => sheet.clear(), { "data-action": "clear" }), photoField(change)),
  );

  lab.addEventListener("probabilities", ({ detail }) => showProbabilities(bars, says, detail));
  const element = h("div", { class: "stack digit" },
    sheetCard,
    h("div", { class: "card" }, h("h3", { text: "digit.network_sees" }),
      h("div", { class: "pair" }, before.element, after.element),
      says, bars,
      h("div", { class: "row live" }, field("digit.target", target)), targetHelp),
    pickCard(lab, change),
  );
  dropped(element, change);

  return {
    element,
    async open() {
      if (shownFor === lab.hello) return;
      shownFor = lab.hello;
      const classes = lab.hello.data.classes;
      target.replaceChildren(h("option", { value: "" }, "–"), ...numbers(classes).map((i) => h("option", { value: i }, String(i))));
      if (lab.hello.digit) showDigit({ result: lab.hello.digit, arrays: lab.hello.arrays });
      else await change(...last);
    },
  };
}

function numbers(n) {
  return Array.from({ length: n }, (_, i) => i);
}

function greyPicture(key, grey) {
  const canvas = h("canvas", { width: 28, height: 28, role: "img", label: key });
  return {
    element: h("figure", {}, h("div", { class: "paper" }, canvas), h("figcaption", { text: key })),
    show(image) {
      const [height, width] = image.shape;
      canvas.width = width;
      canvas.height = height;
      canvas.classList.toggle("large", width > 64);
      const context = canvas.getContext("2d");
      const pixels = context.createImageData(width, height);
      for (let i = 0; i < image.length; i++) pixels.data.fill(grey(image[i]), 4 * i, 4 * i + 3), (pixels.data[4 * i + 3] = 255);
      context.putImageData(pixels, 0, 0);
    },
  };
}

function showProbabilities(bars, says, probabilities) {
  const best = probabilities.indexOf(Math.max(...probabilities));
  say(says, "digit.says", { digit: best, probability: percent(probabilities[best]) });
  says.dataset.prediction = best;
  if (bars.children.length !== probabilities.length) {
    bars.replaceChildren(...probabilities.map((_, i) => h("div", {}, h("span", {}, String(i)), h("i"), h("b"))));
  }
  probabilities.forEach((probability, i) => {
    const [, bar, number] = bars.children[i].children;
    bar.style.setProperty("--share", probability);
    number.textContent = percent(probability, probability > 0.9995 || probability < 0.0005 ? 2 : 1);
    bars.children[i].classList.toggle("best", i === best);
  });
}

async function send(file, change) {
  if (!file) return;
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  change("digit.prepare", { file: btoa(text) });
}

function photoField(change) {
  const input = h("input", { type: "file", accept: "image/png,image/jpeg" });
  input.addEventListener("change", () => send(input.files[0], change).then(() => (input.value = "")));
  return h("label", { class: "file" }, h("span", { text: "draw.photo" }), input);
}

function dropped(element, change) {
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    send(event.dataTransfer.files[0], change);
  });
}

// Choose one of the data set's digits, also one that the network is wrong about.
function pickCard(lab, change) {
  const set = h("select", { "data-field": "set" }, h("option", { value: "test", text: "pick.test" }), h("option", { value: "train", text: "pick.train" }));
  const index = numberField({ value: 0, "data-field": "index" }, (number) => pick(number));
  const count = () => lab.hello?.data[set.value] ?? 1;
  const choose = (to) => pick(((to % count()) + count()) % count()); // after the last digit comes the first
  const pick = async (number) => {
    index.value = number;
    const answer = await change("digit.pick", { set: set.value, index: number });
    if (answer) index.inForce = answer.result.index;
    else index.value = index.inForce;
  };
  set.addEventListener("change", () => choose(Number(index.value)));
  const list = h("ul", { class: "mistakes", "aria-live": "polite" });
  const none = h("p", { class: "soft small", text: "pick.mistakes_help" });
  return h("div", { class: "card pick live" },
    h("h3", { text: "pick.title" }),
    h("div", { class: "row" }, field("pick.set", set), field("pick.index", index)),
    h("div", { class: "row" }, button("pick.previous", () => choose(Number(index.value) - 1)),
      button("pick.next", () => choose(Number(index.value) + 1)),
      button("pick.random", () => choose(Math.floor(Math.random() * count())))),
    h("h4", { text: "pick.mistakes" }), none, list,
    button("pick.show_mistakes", async () => {
      const answer = await ask("digit.mistakes", { count: MISTAKES, ...lab.studied });
      if (!answer) return;
      const size = answer.arrays.images.length / Math.max(1, answer.result.mistakes.length);
      list.replaceChildren(...answer.result.mistakes.map((mistake, i) => h("li", {}, mistakeButton(mistake, answer.arrays.images.subarray(i * size, (i + 1) * size), answer.arrays.images.shape, () => {
        set.value = "test";
        choose(mistake.index);
      }))));
      say(none, answer.result.mistakes.length ? "pick.mistakes_help" : "pick.no_mistakes");
    }),
  );
}

function mistakeButton({ index, label, predicted, probability }, image, [, height, width], click) {
  const canvas = h("canvas", { class: "cells", "aria-hidden": "true" });
  drawCells(canvas, image, height, width, GREY);
  canvas.redraw = () => drawCells(canvas, image, height, width, GREY);
  const text = h("span", {});
  say(text, "pick.mistake", { label, predicted, probability: percent(probability, 0) });
  return h("button", { type: "button", "data-index": index, on: { click } }, canvas, text);
}
