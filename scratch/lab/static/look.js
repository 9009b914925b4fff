// "Look inside": the digit, the network as layers of pictures, and where the chosen value comes from.

import { digitCard } from "./digit.js";
import { h } from "./dom.js";
import { explainCard } from "./explain.js";
import { networkCard } from "./network.js";

export function lookPanel(lab) {
  const explain = explainCard(lab);
  const network = networkCard(lab, explain);
  const digit = digitCard(lab);
  const element = h("div", { class: "look" }, digit.element, network.element, explain.element);
  return {
    element,
    async open() {
      await digit.open();
      await network.open();
    },
  };
}
