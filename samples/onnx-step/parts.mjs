/** Circles (0) and squares (1) of 8 x 8 pixels. */
export function batch(count) {
  const label = Int32Array.from({ length: count }, () => Math.floor(2 * Math.random()))
  const image = Float32Array.from({ length: 64 * count }, (_, i) => {
    const [x, y] = [i % 8 - 3.5, (i >> 3) % 8 - 3.5]
    const isInside = label[i >> 6] === 1 ? Math.max(Math.abs(x), Math.abs(y)) < 3 : Math.hypot(x, y) < 3.2
    return isInside ? 1 - 0.2 * Math.random() : 0.2 * Math.random()
  })
  return { image, label }
}

/** Weights as a file that `fusenet --weights` takes. Names with a slash are the solver's. */
export function safetensors(state) {
  const weights = Object.entries(state).filter(([name]) => !name.includes('/'))
  let end = 0
  const header = Object.fromEntries(weights.map(([name, { data, dims }]) => {
    const begin = end
    end += data.byteLength
    return [name, { dtype: 'F32', shape: [...dims], data_offsets: [begin, end] }]
  }))
  const text = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text, ...weights.map(([, { data }]) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))])
}
