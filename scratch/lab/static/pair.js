// Several tensors of one shape side by side, with one cursor: moving it in one picture moves it in all.

import { scaleOf } from "./colours.js";
import { h } from "./dom.js";
import { TensorView } from "./tensor_view.js";

// titles: keys of the texts above the pictures, one for each view.
export function linkedViews(titles) {
  const views = titles.map(() => new TensorView({ onMove: (at) => views.forEach((view) => view.at !== at && view.move(at, false)) }));
  const boxes = titles.map((title, i) => h("div", { class: "linked" }, h("h4", { text: title }), views[i].element));
  return {
    element: h("div", { class: "linked-views" }, ...boxes),
    // arrays: one for each view, or null to leave it out; the scale of the first two is the same.
    show(name, arrays, scales = []) {
      const [first, second] = arrays;
      const both = scaleOf(second ? [...extremes(first), ...extremes(second)] : extremes(first));
      arrays.forEach((array, i) => {
        boxes[i].hidden = !array;
        if (array) views[i].show(name, array, array.shape.length ? array.shape : [1], { scale: scales[i] ?? both });
      });
    },
  };
}

function extremes(values) {
  const finite = values.filter((value) => Number.isFinite(value));
  return finite.length ? [finite.reduce((a, b) => Math.min(a, b)), finite.reduce((a, b) => Math.max(a, b))] : [0];
}
