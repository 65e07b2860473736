/** What all pages have in common: made-up pictures and labels, the weights in one file, and how a page tells what it found. */

/** Of the training step. */
export const BATCH = 32

/** Numbers in [0, 1), the same in every page. */
function made(length, state) {
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  })
}

/** Digits of 28 x 28 with one channel, in which CHW and HWC are the same. */
export const image = made(784, 1)
export const images = made(BATCH * 784, 2)
export const labels = Int32Array.from({ length: BATCH }, (_, i) => (7 * i) % 10)

/** Name -> `{ shape, values }`, of a file that `weightsOf` of build.mjs wrote: how long the list is, the list, the numbers. */
export async function fetchWeights() {
  const buffer = await (await fetch('weights.bin')).arrayBuffer()
  const start = 4 + new DataView(buffer).getUint32(0, true)
  let at = start
  return Object.fromEntries(
    JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, start - 4))).map(([name, shape]) => {
      const values = new Float32Array(buffer, at, shape.reduce((a, b) => a * b, 1))
      at += values.byteLength
      return [name, { shape, values }]
    }),
  )
}

/** A page's first result, its first step and a second one, by which is seen what the first has changed. Times are from the navigation on. */
export async function work({ infer, step }) {
  const prob = Array.from(await infer())
  const result = performance.now()
  const losses = [await step()]
  const trained = performance.now()
  losses.push(await step())
  return { prob, losses, result, trained }
}

/** What run.mjs waits for. */
export function tell(found) {
  globalThis.found = found.catch((error) => ({ failed: error.stack ?? String(error) }))
}
