// The formulas of the network in MathML, written as short texts: "out_j = ∑_i x_i · W_ij + b_j".

import { math } from "./dom.js";
import { exact, short } from "./numbers.js";

// By the name that `explain` returns. ∑_i is a sum over i, a_ij has indices, {a|b} is a fraction, e^z a power.
export const FORMULAS = {
  dense_forward: "z_j = ∑_i x_i · W_ij + b_j",
  relu_forward: "out_j = max ( 0 , z_j )",
  sigmoid_forward: "out_j = {1|1 + e^-z}",
  tanh_forward: "out_j = tanh ( z_j )",
  softmax: "p_j = {e^z_j|∑_k e^z_k}",
  loss: "L = − ∑_k t_k · ln p_k",
  loss_gradient: "{∂L|∂z_j} = {p_j − t_j|N}",
  dense_dx: "dx_i = ∑_j dout_j · W_ij",
  dW: "dW_ij = ∑_n x_ni · dout_nj",
  db: "db_j = ∑_n dout_nj",
  relu_backward: "dz_j = dout_j · ( out_j > 0 )",
  sigmoid_backward: "dz_j = dout_j · out_j · ( 1 − out_j )",
  tanh_backward: "dz_j = dout_j · ( 1 − out_j^2 )",
  dropout: "out_j = {x_j|1 − rate} · kept_j",
  passed: "dx_j = dout_j",
  update: "W_new = W − η · dW",
};

// Of which not every number has all its digits: "≈" joins them to the value. The others can be checked to the last digit.
const SHORTENED = ["dense_forward", "dense_dx", "loss", "softmax", "sigmoid_forward", "tanh_forward", "sigmoid_backward", "tanh_backward"];

// Return the formula of an explanation, or null if it has none; an update names its parameter: b_new = b − η · db.
export function formulaOf({ formula: name, name: tensor }) {
  const text = FORMULAS[name];
  return text ? formula(name === "update" ? text.replaceAll("W", parameterOf(tensor)) : text) : null;
}

// Return the parameter that an update belongs to: "b" of "dense/b_new".
export function parameterOf(tensor) {
  return tensor.split("/").at(-1).replace("_new", "");
}

function formula(text) {
  return math("math", { display: "block" }, ...parse(text));
}

// The same formula with this value's numbers in it.
export function substituted(result, { left, right, products }) {
  const isShort = SHORTENED.includes(result.formula);
  const number = isShort ? plain : full;
  const [first, second] = result.operands.map(({ value }) => number(value));
  const value = exact(Math.fround(Number(result.value)));
  const texts = {
    dense_forward: () => `${terms(left, right, products)} ${first === undefined ? "" : signed(first)}`,
    dense_dx: () => terms(left, right, products),
    dW: () => terms(left, right, products, number),
    db: () => terms(left, null, products, number),
    loss: () => `− ln ${short(Math.exp(-Number(result.value)), 6)}`,
    relu_forward: () => `max ( 0 , ${first} )`,
    sigmoid_forward: () => `{1|1 + e^${plain(-Number(result.operands[0].value))}}`,
    tanh_forward: () => `tanh ( ${first} )`,
    softmax: () => `{${short(Math.exp(Number(result.operands[0].value) - result.maximum), 6)}|${short(products.reduce((a, b) => a + b, 0), 6)}}`,
    loss_gradient: () => `${first} − ${second}`,
    relu_backward: () => `${first} · ${Number(result.operands[1].value) > 0 ? 1 : 0}`,
    sigmoid_backward: () => `${first} · ${second} · ( 1 − ${second} )`,
    tanh_backward: () => `${first} · ( 1 − ${second}^2 )`,
    dropout: () => `{${first}|1 − ${result.rate}} · ${result.kept ? 1 : 0}`,
    passed: () => null,
    update: () => `${first} − ${exact(Number(result.learning_rate), true)} · ${bracketed(second)}`,
  };
  const text = texts[result.formula]?.();
  return formula(text ? `${value} ${isShort && text !== value ? "≈" : "="} ${text}` : `= ${value}`);
}

function full(value) {
  return exact(Math.fround(Number(value)));
}

function plain(value) {
  return short(Number(value));
}

function bracketed(text) {
  return String(text).startsWith("-") ? `( ${text} )` : text;
}

function signed(text) {
  return text.startsWith("-") ? `− ${text.slice(1)}` : `+ ${text}`;
}

// The largest two terms, and how many others there are.
function terms(left, right, products, write = plain) {
  const order = Array.from(products.keys()).filter((i) => products[i] !== 0).sort((a, b) => Math.abs(products[b]) - Math.abs(products[a]));
  if (!order.length) return products.length === 1 && right ? `${write(left[0])} · ${bracketed(write(right[0]))}` : "0";
  const texts = order.slice(0, 2).map((i) => (right ? `${bracketed(write(left[i]))} · ${bracketed(write(right[i]))}` : bracketed(write(left[i]))));
  return texts.join(" + ") + (order.length > 2 ? " + …" : "");
}

function parse(text) {
  return (text.match(/\{[^}]*\}|\S+/g) ?? []).map((part) => {
    if (!part.startsWith("{")) return token(part);
    const [above, below] = part.slice(1, -1).split("|");
    return math("mfrac", {}, group(above), group(below));
  });
}

function group(text) {
  return math("mrow", {}, ...parse(text));
}

function token(text) {
  if (/^-?[\d.]+(e-?\d+)?$/.test(text)) return number(text);
  const power = text.match(/^(.+?)\^(.+)$/);
  if (power) return math("msup", {}, token(power[1]), token(power[2]));
  if (text.startsWith("-") && text.length > 1) return math("mrow", {}, math("mo", {}, "−"), token(text.slice(1)));
  const indexed = text.match(/^(.+?)_(.+)$/);
  if (indexed?.[1] === "∑") return math("munder", {}, math("mo", {}, "∑"), math("mi", {}, indexed[2]));
  if (indexed) return math("msub", {}, token(indexed[1]), math("mi", {}, indexed[2]));
  return math(/^[=≈+−·()[\],>]$/.test(text) ? "mo" : "mi", {}, text);
}

function number(text) {
  const [mantissa, exponent] = text.replace("-", (sign, at) => (at === 0 ? "−" : sign)).split("e");
  if (exponent === undefined) return math("mn", {}, mantissa);
  return math("mrow", {}, math("mn", {}, mantissa), math("mo", {}, "·"),
    math("msup", {}, math("mn", {}, "10"), math("mn", {}, exponent.replace("-", "−"))));
}
