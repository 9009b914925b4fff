// A recorded run in place of the server: the answers to the requests of the page, for one digit and some snapshots.

import { decode } from "./connection.js";
import { explained } from "./explained.js";
import { words } from "./i18n.js";

export class Recording extends EventTarget {
  #answers = new Map(); // "method|snapshot|tensor" → {result, arrays}
  #present = null; // the id of the last snapshot, which stands for the weights of the training
  #frame = null; // the event of a frame, sent once

  // element: contains the message of recording.py, compressed, in base64.
  constructor(element) {
    super();
    this.element = element;
    this.state = "connecting"; // then "open"
  }

  async connect() {
    const bytes = Uint8Array.from(atob(this.element.textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const { header, arrays } = decode(await new Response(stream).arrayBuffer());
    for (const [key, result] of Object.entries(header.results)) this.#answers.set(key, { result, arrays: {} });
    for (const [name, array] of Object.entries(arrays)) {
      const end = name.lastIndexOf("|");
      this.#answers.get(name.slice(0, end)).arrays[name.slice(end + 1)] = array;
    }
    this.#present = header.present;
    const frame = await this.request("frame.of");
    this.#frame = { ...frame.result, arrays: frame.arrays, curves: header.curves, epochs: header.epochs };
    const hello = this.#answers.get("hello||");
    this.hello = { ...hello.result, arrays: hello.arrays };
    this.state = "open";
    this.dispatchEvent(new Event("state"));
  }

  async request(method, { name = "", snapshot = this.#present, index } = {}) {
    const answer = this.#answers.get(`${method}|${snapshot}|${name}`) ?? this.#answers.get(`${method}||${name}`);
    if (!answer) throw new Error(words("connection.unrecorded"));
    if (method !== "explain") return answer;
    const values = (tensor) => this.#answers.get(`tensor|${snapshot}|${tensor}`).arrays.value;
    return explained(answer, index, values);
  }

  acknowledge() {
    if (!this.#frame) return;
    this.dispatchEvent(new CustomEvent("frame", { detail: this.#frame }));
    this.#frame = null;
  }
}
