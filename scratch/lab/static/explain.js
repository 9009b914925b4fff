// One tensor with a cursor, and where the value under the cursor comes from: formula, products, sorted terms, sum.

import { isSigned, scaleOf } from "./colours.js";
import { formulaOf, parameterOf, substituted } from "./formulas.js";
import { h } from "./dom.js";
import { say, words } from "./i18n.js";
import { exact, short } from "./numbers.js";
import { ask, latest } from "./state.js";
import { indexOf, TensorView } from "./tensor_view.js";
import { sumOf, unitPicture } from "./terms.js";

const PAUSE = 40; // milliseconds that the cursor rests before the server is asked

export function explainCard(lab) {
  const newest = latest();
  const predict = h("input", { type: "checkbox", "data-field": "predict" });
  const formulas = h("div", { class: "formulas" });
  const meaning = h("p", { class: "meaning", "aria-live": "polite" });
  const rounding = h("p", { class: "soft small" });
  const source = h("div", { class: "source" });
  let tensor = null;
  let values = null;
  let found = null;
  let hidden = false;

  const guess = guessForm(() => values[view.at], () => setHidden(false));
  const view = new TensorView({ onMove: () => moved() });
  const element = h("div", { class: "card explain", "data-state": "empty" },
    h("h3", { text: "explain.title" }), view.element,
    h("label", { class: "field check" }, predict, h("span", { text: "explain.predict" })),
    guess.element, formulas, meaning, rounding, source);
  predict.addEventListener("change", () => setHidden(predict.checked));

  function setHidden(value) {
    hidden = value;
    view.visible = !hidden;
    guess.element.hidden = !predict.checked;
    if (found) render();
  }

  const show = (next) => newest(async (isCurrent) => {
    tensor = next;
    const answer = await ask("tensor", { name: tensor.name, ...lab.studied });
    if (!answer || !isCurrent()) return;
    values = answer.arrays.value;
    hidden = predict.checked;
    view.show(tensor.name, values, tensor.shape, {
      scale: scaleOf(values, isSigned(tensor.kind, values)), visible: !hidden, start: startIn(tensor.shape, lab.brightest),
    });
    await explain(isCurrent);
  });

  const moved = () => newest(async (isCurrent) => {
    element.dataset.state = "loading";
    if (predict.checked) {
      hidden = true;
      view.visible = false;
      guess.clear();
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    if (isCurrent()) await explain(isCurrent);
  });

  async function explain(isCurrent) {
    element.dataset.state = "loading";
    const index = indexOf(tensor.shape, view.at);
    const answer = await ask("explain", { name: tensor.name, index, ...lab.studied });
    if (!answer || !isCurrent()) return;
    found = answer;
    render();
    element.dataset.state = "ready";
    element.dataset.explained = `${tensor.name}[${index}]`;
  }

  function render() {
    const { result, arrays } = found;
    const general = formulaOf(result);
    formulas.replaceChildren(...(general ? [general] : []));
    if (hidden) say(meaning, "explain.waiting");
    else {
      if (general) formulas.append(substituted(result, arrays));
      say(meaning, meaningOf(result, arrays), factsOf(result));
    }
    rounding.hidden = hidden || result.float64_sum === null;
    const same = Number(result.ulp) === 0;
    if (!rounding.hidden) say(rounding, same ? "explain.same_in_float64" : "explain.float64", { sum: exact(Number(result.float64_sum), true), ulp: short(Number(result.ulp), 2) });
    const unit = unitPicture(lab, tensor, values, view.at);
    source.replaceChildren(...(hidden || !arrays.products.length ? [] : sumOf(lab, result, arrays)), ...(hidden || !unit ? [] : [unit]));
  }

  return { element, show };
}

// Return where the cursor begins: in the row of a pixel that is not 0, if the rows are pixels, since others have the gradient 0.
function startIn(shape, { pixel, count }) {
  return shape.length === 2 && shape[0] === count ? pixel * shape[1] : 0;
}

// Return the key of the sentence that explains this value best; a special one where a learner would wonder.
function meaningOf({ formula: name, operands, kept }, { left, right }) {
  if (name === "dW" && left.every((entry) => entry === 0)) return "meaning.dW_no_input";
  if (name === "dW" && right.every((entry) => entry === 0)) return "meaning.dW_no_gradient";
  if (name === "dense_dx" && left.every((entry) => entry === 0)) return "meaning.dx_no_gradient";
  if (name === "relu_forward") return operands[0].value > 0 ? "meaning.relu_passes" : "meaning.relu_stops";
  if (name === "relu_backward") return operands[1].value > 0 ? "meaning.relu_gradient_passes" : "meaning.relu_gradient_stops";
  if (name === "update" && operands[1].value === 0) return "meaning.update_none";
  if (name === "loss_gradient") return operands[1].value > 0 ? "meaning.loss_gradient_target" : "meaning.loss_gradient_other";
  if (name === "dropout") return kept ? "meaning.dropout_kept" : "meaning.dropout_dropped";
  return `meaning.${name}`;
}

const PARAMETERS = { W: "meaning.weight", b: "meaning.bias" };

// The numbers that the sentence names, and what an updated parameter is.
function factsOf({ name, value, operands, learning_rate: rate, rate: dropped, optimizer }) {
  const [first, second] = operands.map((operand) => Number(operand.value));
  const step = rate !== undefined && second !== undefined ? short(Math.abs(rate * second)) : "";
  const what = () => words(PARAMETERS[parameterOf(name)] ?? "meaning.other_parameter");
  return { what, value: short(Number(value), 4), first: short(first, 4), second: short(second, 4), rate: rate ?? dropped, optimizer, step };
}

// Where a learner types the value before it is shown.
function guessForm(value, reveal) {
  const input = h("input", { type: "text", inputmode: "decimal", autocomplete: "off", "data-field": "guess", label: "explain.guess" });
  const result = h("output", { "aria-live": "polite" });
  const element = h("form", { class: "guess", hidden: true }, h("span", { class: "soft small", text: "explain.guess" }), input,
    h("button", { type: "submit", text: "explain.check" }), result);
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    const typed = Number(input.value.replace(",", ".").replace("−", "-"));
    if (!input.value.trim() || Number.isNaN(typed)) return say(result, "explain.not_number");
    const difference = Math.abs(typed - value());
    const near = difference <= 0.01 * Math.abs(value());
    result.className = near ? "good" : "bad";
    say(result, near ? "explain.close" : "explain.off", { guess: short(typed, 5), difference: short(difference) });
    return reveal();
  });
  return {
    element,
    clear() {
      input.value = "";
      result.textContent = "";
      result.removeAttribute("data-text");
    },
  };
}
