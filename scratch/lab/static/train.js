// "Training": play, pause, step, epoch, speed, learning rate; what the frames show; and a look back at snapshots.

import { button, field, h, numberField } from "./dom.js";
import { FrameViews } from "./frame_views.js";
import { label, say } from "./i18n.js";
import { percent, short } from "./numbers.js";
import { representationCard } from "./representation.js";
import { ask, latest } from "./state.js";

const SPEEDS = [1, 5, 20, 100]; // steps per second; besides full speed
const EXPORT_TIME = 300; // seconds; a network of 5 million parameters, the most that an export takes, needs 12 on two cores

export function trainPanel(lab) {
  const views = new FrameViews(lab);
  const scrubber = scrubberOf(lab, views);
  const controls = controlsOf(lab, () => scrubber.now());
  const representation = representationCard(lab);
  const element = h("div", { class: "stack train", "data-frames": 0 },
    controls, scrubber.element, h("div", { class: "charts" }, ...views.cards, representation.element, views.histograms));
  // A frame is acknowledged, and so the next one asked for, only while this view is seen.
  let owed = false;
  const acknowledge = () => {
    if (!owed || element.offsetParent === null) return;
    owed = false;
    lab.connection.acknowledge();
  };
  lab.connection.addEventListener("frame", ({ detail }) => {
    views.receive(detail);
    element.dataset.frames = Number(element.dataset.frames) + 1;
    owed = true;
    requestAnimationFrame(acknowledge);
  });
  lab.connection.addEventListener("state", () => (owed = lab.connection.state === "open"));
  owed = true;
  let paused = null;
  lab.addEventListener("training", () => {
    element.dataset.state = lab.training.state;
    element.dataset.place = `${lab.training.epoch},${lab.training.step}`;
    const place = lab.training.state === "playing" ? null : element.dataset.place;
    if (place !== null && place !== paused && element.offsetParent !== null) scrubber.refresh();
    paused = place;
  });
  return {
    element,
    async open() {
      lab.setTraining(lab.training);
      acknowledge();
      await scrubber.refresh();
      await representation.open();
    },
  };
}

function controlsOf(lab, toPresent) {
  const play = h("button", { type: "button", class: "main", "data-action": "play", text: "train.play" });
  const speed = h("select", { "data-field": "speed" }, h("option", { value: "", text: "train.full_speed" }),
    ...SPEEDS.map((steps) => say(h("option", { value: steps }), "train.steps_per_second", { steps })));
  const rate = numberField({ step: "any", "data-field": "rate" }, async (value) => {
    const answer = await ask("train.learning_rate", { value });
    rate.inForce = rateOf(answer?.result ?? lab.training);
    rate.value = rate.inForce;
  });
  const seed = numberField({ value: 0, "data-field": "seed" });
  const status = h("p", { class: "status", "aria-live": "off" });
  const message = h("p", { class: "bad", role: "status", "aria-live": "polite" });
  const run = (method, parameters) => {
    toPresent();
    return ask(method, parameters);
  };
  const playing = () => lab.training?.state === "playing";
  const speedOf = () => ({ steps_per_second: speed.value ? Number(speed.value) : null });
  play.addEventListener("click", () => (playing() ? ask("train.pause") : run("train.play", speedOf())));
  speed.addEventListener("change", () => playing() && ask("train.play", speedOf()));
  const step = button("train.step", () => run("train.step"), { "data-action": "step" });
  const epoch = button("train.epoch", () => run("train.epoch"), { "data-action": "epoch" });
  const exported = button("train.export", () => save("export", {}, EXPORT_TIME), { "data-action": "export" });
  const restart = async () => {
    const chosen = Number(seed.value);
    if (await run("train.restart", { seed: chosen })) seed.inForce = chosen;
    else seed.value = seed.inForce;
  };
  const update = () => {
    const { state, epoch: at, step: steps, steps_per_epoch: all, message: why } = lab.training;
    say(play, playing() ? "train.pause" : "train.play");
    for (const control of [step, epoch, exported]) control.disabled = playing();
    play.disabled = state === "stopped";
    rate.inForce = rateOf(lab.training);
    if (document.activeElement !== rate) rate.value = rate.inForce;
    say(status, "train.place", { epoch: at + 1, step: steps, all });
    message.textContent = state === "stopped" ? why : "";
  };
  lab.addEventListener("training", update);
  return h("div", { class: "card controls live" },
    h("div", { class: "row" }, play, step, epoch, field("train.speed", speed), field("train.rate", rate), status),
    h("div", { class: "row" }, field("train.seed", seed),
      button("train.restart", restart, { "data-action": "restart" }),
      button("train.save", () => save("save", lab.studied), { "data-action": "save" }),
      exported, h("span", { class: "soft small", text: "train.help" })),
    message);
}

function rateOf({ learning_rate: rate }) {
  return Number(rate.toPrecision(7));
}

async function save(method, parameters = {}, timeLimit = undefined) {
  const answer = await ask(method, parameters, timeLimit);
  if (!answer) return;
  const link = h("a", { href: URL.createObjectURL(new Blob([answer.arrays.file])), download: answer.result.name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// The snapshots as a slider; its last position is the present.
function scrubberOf(lab, views) {
  const slider = h("input", { type: "range", min: 0, max: 0, value: 0, label: "train.scrub", "data-field": "snapshot" });
  const text = h("output", { class: "small" });
  const present = button("train.now", () => now(), { "data-action": "now" });
  const newest = latest();
  let snapshots = [];
  const element = h("div", { class: "card scrubber row" }, h("b", { text: "train.scrub" }), slider, text, present,
    h("p", { class: "soft small", text: "train.scrub_help" }));

  function describe() {
    const chosen = snapshots[Number(slider.value)];
    present.disabled = !chosen;
    element.dataset.snapshot = lab.snapshot ?? "";
    if (!chosen) return say(text, "train.present");
    const { epoch, step, loss, accuracy } = chosen;
    label(slider, "train.scrub_at", { epoch: epoch + 1, step });
    return say(text, loss == null ? "train.snapshot_start" : "train.snapshot", {
      epoch: epoch + 1, step, loss: short(Number(loss)), accuracy: percent(Number(accuracy)),
    });
  }

  const look = () => newest(async (isCurrent) => {
    const chosen = snapshots[Number(slider.value)];
    lab.setSnapshot(chosen?.id ?? null);
    describe();
    const answer = chosen && await ask("frame.of", { snapshot: chosen.id });
    if (!isCurrent()) return;
    if (answer) views.show({ ...answer.result, arrays: answer.arrays });
    else views.showPresent();
    element.dataset.shown = answer ? chosen.id : "";
  });
  slider.addEventListener("input", look);

  function now() {
    if (lab.snapshot === null) return;
    slider.value = slider.max;
    look();
  }

  async function refresh() {
    const answer = await ask("snapshots");
    if (!answer) return;
    ({ snapshots } = answer.result);
    slider.max = snapshots.length;
    const at = snapshots.findIndex(({ id }) => id === lab.snapshot);
    slider.value = at < 0 ? snapshots.length : at;
    if (at < 0 && lab.snapshot !== null) lab.setSnapshot(null);
    element.dataset.count = snapshots.length;
    describe();
    await views.fillPast(snapshots);
  }
  return { element, refresh, now };
}
