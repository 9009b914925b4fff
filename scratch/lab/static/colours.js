// Colour maps that people with colour vision deficiency can read: cividis for values from 0, blue to orange around 0.

// matplotlib's cividis at 16 equal steps; the colours between them are interpolated.
const CIVIDIS = ("00224e 002e6c 1e3a6f 35456c 47516c 575d6d 666970 757575 " +
  "848279 948e77 a59c74 b7a96e c8b866 dbc75a eed649 fee838").split(" ").map(rgb);
const DIVERGING = {
  light: ["08306b", "2e6fb0", "8fbbe0", "fafafa", "f5b27a", "c7600f", "6e2c00"].map(rgb),
  dark: ["cfe6ff", "6fb1f0", "2b639b", "15181d", "94500f", "ee9740", "ffe4c4"].map(rgb),
};
export const NOT_A_NUMBER = rgb("d6249f");
const STEPS = 256;

function rgb(hex) {
  return [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

function table(stops) {
  const colours = new Uint8ClampedArray(3 * STEPS);
  for (let i = 0; i < STEPS; i++) {
    const place = (i / (STEPS - 1)) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    for (let c = 0; c < 3; c++) colours[3 * i + c] = stops[low][c] + (place - low) * (stops[low + 1][c] - stops[low][c]);
  }
  return colours;
}

const TABLES = { cividis: table(CIVIDIS), light: table(DIVERGING.light), dark: table(DIVERGING.dark) };

// The scale of an array: {low, high, diverging}. Values on both sides of 0 are centred on it.
export function scaleOf(values, diverging = null) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low && value > -Infinity) low = value;
    if (value > high && value < Infinity) high = value;
  }
  if (low > high) low = high = 0;
  if (diverging ?? low < 0) {
    const limit = Math.max(-low, high) || 1;
    return { low: -limit, high: limit, diverging: true };
  }
  return { low: Math.min(low, 0), high: high > 0 ? high : 1, diverging: false };
}

// Whether a tensor of this kind is shown around 0, also if it happens to have no negative value.
export function isSigned(kind, values) {
  return ["parameter", "backward", "gradient", "update"].includes(kind) || values.some((value) => value < 0);
}

function colourTable(scale) {
  return scale.diverging ? TABLES[document.documentElement.dataset.theme ?? "light"] : TABLES.cividis;
}

// Write the colours of `values` into RGBA pixels, one for each value.
export function paint(values, scale, pixels) {
  const colours = colourTable(scale);
  const factor = (STEPS - 1) / (scale.high - scale.low || 1);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (Number.isNaN(value)) pixels.set(NOT_A_NUMBER, 4 * i);
    else {
      const step = 3 * Math.max(0, Math.min(STEPS - 1, Math.round((value - scale.low) * factor)));
      pixels[4 * i] = colours[step];
      pixels[4 * i + 1] = colours[step + 1];
      pixels[4 * i + 2] = colours[step + 2];
    }
    pixels[4 * i + 3] = 255;
  }
}

// Draw an array of rows × columns values on a canvas, one pixel each; CSS enlarges it.
export function drawCells(canvas, values, rows, columns, scale = scaleOf(values)) {
  if (canvas.width !== columns) canvas.width = columns;
  if (canvas.height !== rows) canvas.height = rows;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  if (values.length === rows * columns) paint(values, scale, image.data);
  else {
    const padded = new Uint8ClampedArray(4 * values.length);
    paint(values, scale, padded);
    image.data.set(padded);
  }
  context.putImageData(image, 0, 0);
  return scale;
}

// The scale as a picture, from low to high.
export function drawScale(canvas, scale) {
  const values = Float64Array.from({ length: STEPS }, (_, i) => scale.low + ((scale.high - scale.low) * i) / (STEPS - 1));
  drawCells(canvas, values, 1, STEPS, scale);
}
