// Numbers as text: a float32 with as many digits as identify it, and short forms for labels.

// Return the shortest decimal that reads back as the same number, of float32 or of float64.
export function exact(value, isDouble = false) {
  if (!Number.isFinite(value) || value === 0) return Object.is(value, -0) ? "-0" : String(value);
  if (isDouble) return tidy(String(value));
  for (let digits = 1; digits <= 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return tidy(text);
  }
  return String(value);
}

function tidy(text) {
  const number = Number(text);
  const size = Math.abs(number);
  return size >= 1e-4 && size < 1e9 ? String(number) : number.toExponential().replace("e+", "e");
}

export function short(value, digits = 3) {
  if (value == null) return "–";
  if (!Number.isFinite(value) || value === 0) return String(value);
  const size = Math.abs(value);
  return size >= 1e-3 && size < 1e6 ? String(Number(value.toPrecision(digits))) : value.toExponential(digits - 1).replace("e+", "e");
}

export function percent(value, digits = 1) {
  return `${(100 * value).toFixed(digits)}\u00a0%`;
}

// Return rows × columns in which n values are shown: square where possible, one row for up to 12.
export function grid(n) {
  if (n <= 12) return [1, n];
  let rows = Math.floor(Math.sqrt(n));
  while (n % rows && rows > Math.sqrt(n) / 2) rows--;
  if (n % rows) rows = Math.ceil(Math.sqrt(n));
  return [rows, Math.ceil(n / rows)];
}
