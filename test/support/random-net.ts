/**
 * A random net as text, for differential tests: branches, residual adds, concatenations, pooling of both roundings, BN after
 * conv, pooling and fc, in both spellings, with every activation. Small enough for a software adapter. The same seed
 * gives the same text; a failing test prints it.
 */
export function randomNet(seed: number): string {
  const r = generator(seed)
  const lines: string[] = []
  const channels = pick(r, [1, 2, 3, 5])
  const size = pick(r, [6, 7, 8, 9])
  const classes = pick(r, [3, 4, 7])
  lines.push(`input image: f32[${channels}, ${size}, ${pick(r, [size, size + 1])}]`, `input label: class[${classes}]`)
  let shape = { c: channels, s: size }
  lines.push('x = image')
  const depth = 2 + Math.floor(r() * 3)
  for (let i = 0; i < depth; i++) {
    const kind = pick(r, ['conv', 'conv', 'residual', 'concat', 'depthwise', 'pool', 'deconv'])
    const out = pick(r, [2, 3, 4, 6, 8])
    if (kind === 'conv') {
      const kernel = pick(r, shape.s >= 5 ? [1, 3, 5] : [1, 3])
      const stride = shape.s >= 5 ? pick(r, [1, 1, 2]) : 1
      const dilation = kernel === 3 && shape.s >= 6 ? pick(r, [1, 1, 2]) : 1
      const pad = Math.floor((kernel - 1) / 2) * dilation
      lines.push(
        `x = x -> conv(${out}, ${kernel}, stride: ${stride}, pad: ${pad}${dilation > 1 ? `, dilation: ${dilation}` : ''}, bias: ${
          pick(r, ['true', 'false'])
        })${norm(r)}${activation(r)}`,
      )
      shape = { c: out, s: Math.floor((shape.s - 1) / stride) + 1 }
    } else if (kind === 'residual') {
      lines.push(`main = x -> conv(${shape.c}, 3, pad: 1, bias: false)${norm(r)}${activation(r)} -> conv(${shape.c}, 3, pad: 1)${norm(r)}`)
      lines.push(`x = ${pick(r, ['add(main, x)', 'add(x, main)', 'add(main, x, coeff: [1, 0.5])', 'max(main, x)'])}${activation(r)}`)
    } else if (kind === 'concat') {
      lines.push(
        `left = x -> conv(${out}, 1)${norm(r)}${activation(r)}`,
        `right = x -> conv(2, 3, pad: 1)${activation(r)}`,
        `x = concat(left, right${r() < 0.5 ? ', x' : ''})${norm(r)}`,
      )
      shape = { ...shape, c: out + 2 + (lines.at(-1)!.includes('right, x') ? shape.c : 0) }
    } else if (kind === 'depthwise') {
      lines.push(
        `x = x -> conv(${shape.c}, 3, pad: 1, groups: ${shape.c}, bias: false)${norm(r)}${activation(r)} -> conv(${out}, 1, bias: false)${
          norm(r)
        }`,
      )
      shape = { ...shape, c: out }
    } else if (kind === 'deconv' && shape.s <= 5) {
      lines.push(`x = x -> deconv(${out}, 2, stride: 2)${norm(r)}${activation(r)}`)
      shape = { c: out, s: shape.s * 2 }
    } else if (shape.s >= 4) {
      const round = pick(r, ['floor', 'ceil'])
      lines.push(
        `x = x -> ${
          pick(r, [
            `max_pool(3, stride: 2, round: ${round})`,
            `avg_pool(3, stride: 2, round: ${round}, count: caffe)`,
            `max_pool(2, round: ${round})`,
            'avg_pool(3, stride: 1, pad: 1, count: caffe)',
          ])
        }${norm(r)}${activation(r)}`,
      )
      shape = { ...shape, s: Math.max(1, Math.floor(shape.s / 2)) }
    }
  }
  if (r() < 0.3) lines.push('x = x -> global_avg_pool')
  if (r() < 0.6) lines.push(`x = x -> fc(${pick(r, [5, 8])})${norm(r)}${activation(r)}`)
  if (r() < 0.3) lines.push('x = x -> dropout(0.4)')
  lines.push(
    `logits = x -> fc(${classes})`,
    'output prob = softmax(logits)',
    'loss = softmax_loss(logits, label)',
    'metric accuracy = accuracy(logits, label)',
  )
  const solver = pick(r, [
    'sgd(lr: 0.05, momentum: 0.9, weight_decay: 5e-4)',
    'nesterov(lr: 0.02, momentum: 0.9)',
    'rmsprop(lr: 0.001, delta: 1e-3)',
    'adam(lr: 0.002, delta: 1e-3)',
    'adadelta(lr: 1, momentum: 0.95, delta: 1e-3)',
  ])
  return `net random_${seed} {\n${lines.map((line) => `  ${line}`).join('\n')}\n}\n\ntrain {\n  solver ${solver}\n}\n`
}

function norm(r: () => number): string {
  return pick(r, [
    '',
    ' -> batch_norm',
    ' -> batch_norm',
    ' -> batch_norm(eps: 1e-5)',
    ' -> batch_norm(affine: false) -> scale(bias: true)',
    ' -> batch_norm(stats: cumulative)',
    ' -> batch_norm(stats: caffe(fraction: 0.9))',
  ])
}

/** Smooth ones mostly: at a kink float32 and float64 may take different sides. */
function activation(r: () => number): string {
  return pick(r, [
    '',
    ' -> relu',
    ' -> leaky_relu(slope: 0.2)',
    ' -> sigmoid',
    ' -> tanh',
    ' -> softplus',
    ' -> silu',
    ' -> elu',
    ' -> gelu',
    ' -> prelu',
    ' -> hard_swish',
  ])
}

const pick = <T>(r: () => number, from: readonly T[]): T => from[Math.floor(r() * from.length)]!

/** mulberry32 (Ettinger, public domain). */
export function generator(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = a
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** Normal numbers (Box & Muller 1958). */
export function normals(count: number, seed: number): Float32Array {
  const r = generator(seed)
  return Float32Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(1 - r())) * Math.cos(2 * Math.PI * r()))
}

export const labels = (count: number, classes: number, seed: number): Int32Array => {
  const r = generator(seed)
  return Int32Array.from({ length: count }, () => Math.floor(r() * classes))
}
