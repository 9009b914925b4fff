// A sheet of paper on which a digit is drawn with mouse, pen, finger or keyboard.

import { h } from "./dom.js";

const SIZE = 280; // pixels a side
const WIDTH = 22; // of the stroke
const STEP = 10; // pixels that an arrow key moves the pen
const KEYS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

export class Sheet {
  #pen = [SIZE / 2, SIZE / 4];
  #down = false;
  #drawing = false;

  // onStroke() is called when a stroke ends.
  constructor(onStroke) {
    this.onStroke = onStroke;
    this.canvas = h("canvas", { width: SIZE, height: SIZE, "aria-hidden": "true" });
    this.marker = h("div", { class: "pen", hidden: true });
    this.element = h("div", {
      class: "sheet", tabindex: 0, role: "application", label: "draw.sheet", "aria-describedby": "draw-help",
    }, this.canvas, this.marker);
    this.context = this.canvas.getContext("2d");
    this.clear();
    this.#listen();
  }

  clear() {
    this.context.fillStyle = "#fff";
    this.context.fillRect(0, 0, SIZE, SIZE);
    this.#down = false;
    this.#pen = [SIZE / 2, SIZE / 4];
    this.#show();
  }

  // Return {width, height, pixels}: the grey levels, base64.
  grey() {
    const { data } = this.context.getImageData(0, 0, SIZE, SIZE);
    let text = "";
    for (let i = 0; i < data.length; i += 4) text += String.fromCharCode(data[i]);
    return { width: SIZE, height: SIZE, pixels: btoa(text) };
  }

  #line(to) {
    const { context } = this;
    context.lineWidth = WIDTH;
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = "#000";
    context.beginPath();
    context.moveTo(...this.#pen);
    context.lineTo(...to);
    context.stroke();
    this.#pen = to;
  }

  #show() {
    this.marker.style.left = `${(100 * this.#pen[0]) / SIZE}%`;
    this.marker.style.top = `${(100 * this.#pen[1]) / SIZE}%`;
    this.marker.classList.toggle("down", this.#down);
  }

  #place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * SIZE, ((event.clientY - box.top) / box.height) * SIZE];
  }

  #listen() {
    const { element } = this;
    element.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      element.focus({ focusVisible: false });
      element.setPointerCapture(event.pointerId);
      this.#drawing = true;
      this.#pen = this.#place(event);
      this.#line(this.#pen);
    });
    element.addEventListener("pointermove", (event) => this.#drawing && this.#line(this.#place(event)));
    const end = () => {
      if (!this.#drawing) return;
      this.#drawing = false;
      this.#show();
      this.onStroke();
    };
    element.addEventListener("pointerup", end);
    element.addEventListener("pointercancel", end);
    element.addEventListener("keydown", (event) => this.#key(event));
    element.addEventListener("focus", () => (this.marker.hidden = !element.matches(":focus-visible")));
    element.addEventListener("blur", () => {
      this.marker.hidden = true;
      if (this.#down) this.#lift();
    });
  }

  #lift() {
    this.#down = false;
    this.#show();
    this.onStroke();
  }

  #key(event) {
    if (event.key in KEYS) {
      const [x, y] = KEYS[event.key];
      const step = event.shiftKey ? 3 * STEP : STEP;
      const to = [this.#pen[0] + step * x, this.#pen[1] + step * y].map((at) => Math.max(0, Math.min(SIZE, at)));
      if (this.#down) this.#line(to);
      else this.#pen = to;
    } else if (event.key === " ") {
      if (this.#down) return event.preventDefault(), this.#lift();
      this.#down = true;
      this.#line(this.#pen);
    } else if (event.key === "Delete" || event.key === "Backspace") this.clear();
    else return;
    event.preventDefault();
    this.marker.hidden = false;
    this.#show();
  }
}
