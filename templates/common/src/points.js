import { arrays } from 'fusenet'

/**
 * Points of two spirals that wind around each other, within -1 and 1, and which of the two each belongs to: what the net learns.
 * Yours come from elsewhere: `arrays` takes any numbers, and `loadDataset` of `fusenet/runtime/node` reads pictures, CSV and more.
 */
export function points(count = 400, seed = 1) {
  const random = randomOf(seed)
  const point = new Float32Array(2 * count)
  const label = new Int32Array(count)
  for (let i = 0; i < count; i++) {
    label[i] = i % 2
    const radius = Math.sqrt(random())
    const angle = 5 * radius + Math.PI * label[i]
    point[2 * i] = radius * Math.cos(angle) + 0.03 * (random() - 0.5)
    point[2 * i + 1] = radius * Math.sin(angle) + 0.03 * (random() - 0.5)
  }
  return arrays({
    point: { shape: [2], type: 'f32', data: point },
    label: { shape: [], type: 'i32', classes: 2, classNames: ['blue', 'orange'], data: label },
  })
}

/** The same numbers from 0 to 1 for the same seed (Marsaglia's xorshift). */
function randomOf(seed) {
  let state = seed * 2654435761 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 2 ** 32
  }
}
