// The WebSocket to the lab's server: requests with a time limit, events, and a new connection after a loss.
//
// A request is text: {"id": 7, "method": "trace", …}. Every message from the server is binary: the length of a JSON header
// (uint32, little-endian), the header, and the arrays that the header lists, each at a multiple of 8, with offsets that
// count from the first array.

import { language, words } from "./i18n.js";

const TYPES = {
  float32: Float32Array,
  float64: Float64Array,
  uint8: Uint8Array,
  int8: Int8Array,
  int32: Int32Array,
  uint32: Uint32Array,
};
const TIME_LIMIT = 30; // seconds
const WAITS = [0.25, 0.5, 1, 2, 2, 4, 4, 4, 8, 8, 8, 8]; // seconds between attempts: about a minute together

// Return the header of a message, with its arrays as typed arrays that have a shape: {header, arrays: {name: array}}.
export function decode(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const arrays = {};
  for (const { name, dtype, shape, offset } of header.arrays ?? []) {
    const size = shape.reduce((product, n) => product * n, 1);
    const Type = TYPES[dtype];
    if (!Type) throw new Error(`Array ${name} has the type ${dtype}.`);
    arrays[name] = Object.assign(new Type(buffer, 4 + length + offset, size), { shape });
  }
  return { header, arrays };
}

export class Connection extends EventTarget {
  #socket = null;
  #waiting = new Map();
  #next = 1;
  #attempt = 0;

  constructor(address) {
    super();
    this.address = address;
    this.state = "connecting"; // then "open", "lost", "gone", or "replaced" by a lab with another token
  }

  async connect() {
    if (this.state === "lost" && (await this.#isReplaced())) return this.#become("replaced");
    const socket = new WebSocket(this.address);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = () => this.#lost();
    socket.onopen = async () => {
      try {
        const { result, arrays } = await this.#send("hello", { lang: language });
        this.hello = { ...result, arrays };
        this.#attempt = 0;
        this.#become("open");
      } catch {
        socket.close();
      }
    };
    return undefined;
  }

  async #isReplaced() {
    try {
      return (await fetch(location.pathname + location.search, { method: "HEAD" })).status === 403;
    } catch {
      return false; // no server: the WebSocket fails in the same way, and the next attempt follows
    }
  }

  retry() {
    this.#attempt = 0;
    this.#become("lost");
    this.connect();
  }

  // Return {result, arrays}. Fails with a sentence: the server's, or that the connection is lost or too slow.
  async request(method, parameters = {}, timeLimit = TIME_LIMIT) {
    if (this.state !== "open") throw new Error(words("connection.lost"));
    return this.#send(method, parameters, timeLimit);
  }

  acknowledge() {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ method: "ack" }));
  }

  #send(method, parameters, timeLimit = TIME_LIMIT) {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#settle(id)?.reject(new Error(words("connection.slow"))), 1000 * timeLimit);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#socket.send(JSON.stringify({ id, method, ...parameters }));
    });
  }

  #settle(id) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    return waiting;
  }

  #receive(buffer) {
    const { header, arrays } = decode(buffer);
    if (header.event) this.dispatchEvent(new CustomEvent(header.event, { detail: { ...header, arrays } }));
    else if (header.error) this.#settle(header.id)?.reject(new Error(header.error));
    else this.#settle(header.id)?.resolve({ result: header.result, arrays });
  }

  #lost() {
    for (const id of [...this.#waiting.keys()]) this.#settle(id).reject(new Error(words("connection.lost")));
    const wait = WAITS[this.#attempt++];
    this.#become(wait === undefined ? "gone" : "lost");
    if (wait !== undefined) setTimeout(() => this.connect(), 1000 * wait);
  }

  #become(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}
