/**
 * Whether two ways to compute a net agree. Rounding alone moves some nets far: where a value lies on a bend (relu6), or statistics rest on few values, a last
 * digit decides which way a gradient goes. Rounding does that from some weights and not from others, a fault does it from all: so what differs is computed
 * again from weights with other last digits, and the smallest difference counts. What differs still may differ some times as much as the net does by itself
 * where the last digits of its weights are others. Compared are the losses of the first steps, or the outputs, and how far the first step moves each
 * parameter: a fault in a gradient is large there, however little the losses tell of it.
 */

/** Differences that are rounding in any net: of losses and outputs by the largest of them, of moves by their norm. */
const LEAST = { losses: 1e-3, moves: 1e-2 }
/** Ways differ by at most so many times as much as weights with other last digits do. */
const FACTOR = 10
/** A move that is so far off is another one. Where rounding does that already, nothing is known: a bias in front of batch_norm moves by rounding alone. */
const MOST = 0.5
/**
 * 32 units in the last place of float32: of so much the results of one algorithm differ from those of another, Winograd's with tiles of 4 x 4 from sums of
 * products one after the other, even where both are right.
 */
const NUDGE = 2 ** -18
/** The last place of a float32 number is at most so much of it. */
const ULP = 2 ** -23

/** Weights whose last digits are others. */
export function nudged(weights, seed) {
  let state = seed
  const sign = () => ((state = (Math.imul(state, 1664525) + 1013904223) >>> 0) & 0x10000 ? 1 : -1)
  return new Map([...weights].map(([name, tensor]) => [name, { ...tensor, data: tensor.data.map((v) => v * (1 + sign() * NUDGE)) }]))
}

/**
 * How far losses (or outputs) are apart, by the largest; and the moves of each parameter, by their norm: `{ losses: [...], moves: { name: ... } }`. `weights`: those
 * that moved.
 */
export function differences(subject, reference, weights) {
  const largest = reference.check.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
  const losses = Array.from(reference.check, (v, i) => Math.abs(v - (subject.check[i] ?? NaN)) / largest)
  const moves = Object.fromEntries(
    [...subject.moves ?? []].filter(([name]) => reference.moves?.has(name))
      .map(([name, move]) => [name, distance(move, reference.moves.get(name), weights?.get(name)?.data)]),
  )
  return { losses, moves }
}

/**
 * A move is read off weights of float32, before and after: their last place is no part of it. Where a gradient is 0 but for rounding, as of a beta that the
 * next batch_norm takes off again, a move is nothing but last places, the same from weights with other last digits.
 */
function distance(a, b, weights) {
  let [apart, size] = [0, 0]
  for (let i = 0; i < b.length; i++) {
    const lastPlace = weights ? ULP * (Math.abs(weights[i]) + Math.abs(b[i])) : 0
    apart += Math.max(0, Math.abs(a[i] - b[i]) - lastPlace) ** 2
    size += b[i] ** 2
  }
  return size === 0 ? Math.sqrt(apart) : Math.sqrt(apart / size)
}

/** The smallest of each difference. */
export const smallest = (all) => ({
  losses: all[0].losses.map((_, i) => Math.min(...all.map(({ losses }) => losses[i]))),
  moves: Object.fromEntries(Object.keys(all[0].moves).map((name) => [name, Math.min(...all.map(({ moves }) => moves[name]))])),
})

/** Whether differences are rounding in any net. */
export const isSmall = ({ losses, moves }) => losses.every((d) => d <= LEAST.losses) && Object.values(moves).every((d) => d <= LEAST.moves)

/** What is wrong with these differences, where those of `rounding` are the net's own: the worst as a text, undefined where nothing is. NaN is wrong. */
export function judge({ losses, moves }, rounding) {
  const parts = [
    ...losses.map((d, i) => [`number ${i + 1}`, d, Math.max(LEAST.losses, FACTOR * rounding.losses[i])]),
    ...Object.entries(moves).filter(([name]) => FACTOR * rounding.moves[name] < MOST)
      .map(([name, d]) => [`the move of ${name}`, d, Math.max(LEAST.moves, FACTOR * rounding.moves[name])]),
  ].filter(([, d, most]) => !(d <= most))
  if (parts.length === 0) return undefined
  const [what, d, most] = parts.reduce((a, b) => (a[1] / a[2] >= b[1] / b[2] ? a : b))
  return `${what} differs by ${d.toExponential(1)}, where rounding explains ${most.toExponential(1)}`
}
