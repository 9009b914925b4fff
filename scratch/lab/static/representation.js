// 500 test digits as points: the activations of a hidden layer, projected on two directions that stay the same.

import { button, h, svg } from "./dom.js";
import { say } from "./i18n.js";
import { percent } from "./numbers.js";
import { ask, latest } from "./state.js";

const SIZE = 320;
// Ten colours that stay apart with colour vision deficiency; the digits themselves are drawn, so colour is not needed.
const COLOURS = ["#0072b2", "#b35900", "#00785a", "#a8326d", "#5b4fc4", "#8a6d00", "#006c8f", "#b3261e", "#556b2f", "#6b4c3b"];

export function representationCard(lab) {
  const chart = svg("svg", { class: "chart representation", viewBox: `0 0 ${SIZE} ${SIZE}`, role: "img", label: "representation.title" });
  const place = h("p", { class: "soft small" });
  const newest = latest();
  // refit: choose the two directions anew, for the moment that is looked at.
  const show = (refit = false) => newest(async (isCurrent) => {
    const answer = await ask("representation", { ...lab.studied, refit });
    if (!answer || !isCurrent()) return;
    draw(chart, answer.arrays);
    chart.dataset.shown = lab.snapshot ?? "now";
    const { tensor, explained, basis } = answer.result;
    say(place, "representation.place", {
      tensor, epoch: basis.epoch + 1, step: basis.step, share: percent(explained.reduce((a, b) => a + Number(b), 0), 0),
    });
  });
  lab.addEventListener("snapshot", () => newest.hasStarted() && show());
  return {
    // Draw the points when the view is first seen; weights that are not finite, which stop a training, have none.
    open: () => chart.dataset.shown || lab.training.state === "stopped" || show(),
    element: h("section", { class: "card" }, h("h3", { text: "representation.title" }), h("p", { class: "soft small", text: "representation.help" }),
      chart, place, h("div", { class: "row" }, button("representation.show", () => show(), { "data-action": "representation" }),
        button("representation.refit", () => show(true), { class: "live" }))),
  };
}

function draw(chart, { points, labels }) {
  const xs = points.filter((_, i) => i % 2 === 0);
  const ys = points.filter((_, i) => i % 2 === 1);
  const limit = (values) => Math.max(...values.map(Math.abs), 1e-12);
  const scale = (0.47 * SIZE) / Math.max(limit(xs), limit(ys));
  chart.replaceChildren(...Array.from(labels, (digit, i) => {
    const text = svg("text", { x: (SIZE / 2 + scale * xs[i]).toFixed(1), y: (SIZE / 2 - scale * ys[i] + 4).toFixed(1), "text-anchor": "middle" }, String(digit));
    text.style.setProperty("--colour", COLOURS[digit % COLOURS.length]);
    return text;
  }));
}
