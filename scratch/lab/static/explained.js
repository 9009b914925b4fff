// Where a value of a recorded step comes from: what the server's `explain` returns, computed from the recorded tensors.
//
// A tensor's explanation of its first value is recorded. Its other values have the same formula; only the indices differ,
// and of a Dropout layer whether the value was kept: its mask is recorded as well.

// The rows and columns of the factors of entry [a, b]; null stands for all.
const FACTORS = {
  dense_forward: ([n, j]) => [[n, null], [null, j]],
  dense_dx: ([n, i]) => [[n, null], [i, null]],
  dW: ([i, j]) => [[null, i], [null, j]],
  db: ([j]) => [[null, j]],
  softmax: ([n]) => [[n, null]],
};

// first: the answer for the first value; values(name): the array of a tensor. Without float64_sum, no ULP is shown.
export function explained({ result, arrays }, index, values) {
  const { formula } = result;
  if (index.every((i) => i === 0)) return { result: { ...result, float64_sum: null }, arrays };
  const own = entry(values(result.name), index);
  const operands = result.operands.map(({ name }) => {
    const at = formula === "dense_forward" ? index.slice(1) : index;
    return { name, index: at, value: entry(values(name), at) };
  });
  const facts = { ...result, index, value: own, operands, float64_sum: null };
  if (formula === "dropout") facts.kept = entry(arrays.kept, index) === 1;
  if (!(formula in FACTORS)) return { result: facts, arrays };
  const places = FACTORS[formula](index);
  facts.left = [result.left[0], places[0]];
  if (result.right) facts.right = [result.right[0], places[1]];
  const left = line(values(result.left[0]), places[0]);
  const right = result.right ? line(values(result.right[0]), places[1]) : formula === "db" ? left.map(() => 1) : new Float64Array(0);
  if (formula === "softmax") facts.maximum = left.reduce((a, b) => Math.max(a, b));
  const products = left.map((factor, i) => (formula === "softmax" ? Math.exp(factor - facts.maximum) : factor * right[i]));
  let sum = 0;
  return { result: facts, arrays: { left, right, products, running: products.map((product) => (sum += product)) } };
}

function entry(array, index) {
  return array[index.reduce((flat, i, axis) => flat * array.shape[axis] + i, 0)];
}

// Return a row or a column of a matrix.
function line(matrix, [row, column]) {
  const [rows, columns] = matrix.shape;
  if (column === null) return Float64Array.from(matrix.subarray(row * columns, (row + 1) * columns));
  return Float64Array.from({ length: rows }, (_, i) => matrix[i * columns + column]);
}
