// What all views share: the connection, what the server said of itself, the state of the training, the chosen snapshot.

import { Connection } from "./connection.js";
import { Recording } from "./recording.js";

const recorded = document.getElementById("recording"); // of a page that was exported

class Lab extends EventTarget {
  isRecorded = Boolean(recorded);
  connection = recorded ? new Recording(recorded) : new Connection(address());
  hello = null;
  training = null;
  digit = null; // {source, index, label} of the digit that is studied
  brightest = { pixel: 0, count: 0 }; // the brightest pixel of the digit, and how many pixels there are
  snapshot = null; // the id of the snapshot that is studied; null: the weights as they are now

  // Ask the server. Returns {result, arrays}, or null after the notice has shown the server's sentence.
  async ask(method, parameters = {}, timeLimit = undefined) {
    try {
      const answer = await this.connection.request(method, parameters, timeLimit);
      this.problem(null);
      return answer;
    } catch (error) {
      this.problem(error.message);
      return null;
    }
  }

  problem(sentence) {
    this.dispatchEvent(new CustomEvent("problem", { detail: sentence }));
  }

  setTraining(training) {
    this.training = training;
    this.dispatchEvent(new Event("training"));
  }

  setSnapshot(id) {
    this.snapshot = id;
    this.dispatchEvent(new Event("snapshot"));
  }

  digitChanged(detail) {
    this.digit = detail;
    this.dispatchEvent(new Event("digit"));
  }

  // The parameter that names the studied snapshot, for requests that accept one.
  get studied() {
    return this.snapshot === null ? {} : { snapshot: this.snapshot };
  }
}

function address() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const token = new URLSearchParams(location.search).get("token") ?? "";
  return `${scheme}://${location.host}/ws?token=${encodeURIComponent(token)}`;
}

export const lab = new Lab();
export const ask = (...request) => lab.ask(...request);

// Run an asynchronous task so that only the newest of several calls finishes: task(isCurrent).
export function latest() {
  let newest = 0;
  const run = (task) => {
    const mine = ++newest;
    return task(() => mine === newest);
  };
  run.hasStarted = () => newest > 0;
  return run;
}
