/**
 * Nets that nobody tuned anything for, drawn from a seed: each is of one family, with widths, kernels and map sizes by chance, odd ones
 * among them. One training step has about `STEP_FLOPS` in its convolutions and inner products.
 */

import { uniform } from '../random.mjs'

const STEP_FLOPS = 1.5e9

/** Writes the lines of a net and follows the shape of its one value, and what it costs. */
class Writer {
  lines = []
  names = 0
  flops = 0

  constructor(seed, shape) {
    this.random = uniform('net', seed)
    this.shape = shape
  }

  pick = (...from) => from[Math.floor(this.random() * from.length)]
  chance = (p) => this.random() < p

  /** A new value made of `text`. */
  add(text) {
    const name = `v${this.names++}`
    this.lines.push(`${name} = ${text}`)
    return name
  }

  normalized = (bias = false) => (this.chance(0.9) ? ` -> batch_norm(eps: 1e-5)${this.activation()}` : bias ? this.activation() : '')
  activation = () => ` -> ${this.pick('relu', 'relu', 'relu', 'clip(0, 6)', 'sigmoid', 'silu', 'leaky_relu(slope: 0.1)')}`

  /** A convolution; the shape becomes its own. */
  conv(x, out, kernel, { stride = 1, groups = 1, behind = this.normalized() } = {}) {
    const [c, h, w] = this.shape
    const pad = kernel >> 1
    const extent = (size) => Math.floor((size + 2 * pad - kernel) / stride) + 1
    this.shape = [out, extent(h), extent(w)]
    this.flops += (6 * out * c * kernel * kernel * this.shape[1] * this.shape[2]) / groups
    const more = [pad && `pad: ${pad}`, stride > 1 && `stride: ${stride}`, groups > 1 && `groups: ${groups}`].filter(Boolean).map((s) =>
      `, ${s}`
    )
    return this.add(`${x} -> conv(${out}, ${kernel}${more.join('')}, bias: false)${behind}`)
  }

  /** Half the map, where it is large enough to be halved. */
  smaller(x) {
    const [c, h, w] = this.shape
    if (Math.min(h, w) < 6) return x
    const kernel = this.pick(2, 2, 3)
    const op = this.pick('max_pool', 'max_pool', 'avg_pool')
    const extent = (size) => Math.floor((size - kernel) / 2) + 1
    this.shape = [c, extent(h), extent(w)]
    return this.add(`${x} -> ${op}(${kernel}, stride: 2)`)
  }

  fc(x, out, behind) {
    this.flops += 6 * out * this.shape.reduce((a, b) => a * b)
    this.shape = [out]
    return this.add(`${x} -> fc(${out})${behind}`)
  }
}

/** family -> how its body is written; each gives the name of the last value. */
const FAMILIES = {
  wide: (n) => {
    let x = n.conv('image', n.pick(64, 96, 160), 3)
    for (let i = 0; i < 3; i++) x = n.conv(i === 1 ? n.smaller(x) : x, n.pick(128, 192, 256, 384), n.pick(1, 3, 3))
    return x
  },
  narrow: (n) => {
    let x = n.conv('image', n.pick(8, 12, 16), n.pick(3, 5))
    for (let i = 0; i < 6; i++) x = n.conv(n.chance(0.25) ? n.smaller(x) : x, n.pick(8, 12, 16, 20, 24), n.pick(1, 3, 3, 5))
    return x
  },
  deconvolution: (n) => {
    const skip = n.conv('image', n.pick(8, 16, 24), 3)
    const [c, h, w] = n.shape
    const low = n.conv(n.conv(skip, n.pick(16, 32), n.pick(2, 3) | 1, { stride: 2 }), n.pick(32, 48, 64), 3)
    const [from, lowH, lowW] = n.shape
    // From a map that was halved and rounded up, output_pad brings an even size back.
    const out = n.pick(8, 16, 24)
    const pads = [h - (2 * lowH - 1), w - (2 * lowW - 1)]
    n.flops += 6 * from * out * 9 * lowH * lowW
    const up = n.add(
      `${low} -> deconv(${out}, 3, stride: 2, pad: 1, output_pad: [${pads.join(', ')}], bias: false) -> batch_norm(eps: 1e-5) -> relu`,
    )
    n.shape = [c + out, h, w]
    return n.conv(n.add(`concat(${skip}, ${up})`), n.pick(16, 32), 3)
  },
  grouped: (n) => {
    let x = n.conv('image', n.pick(24, 48), 3)
    for (let i = 0; i < 4; i++) {
      const groups = n.pick(2, 3, 4, 8)
      x = n.conv(n.chance(0.4) ? n.smaller(x) : x, n.pick(24, 48, 72, 96, 144), n.pick(1, 3, 3), {
        groups: n.shape[0] % groups ? 1 : groups,
      })
    }
    return x
  },
  depthwise: (n) => {
    let x = n.conv('image', n.pick(16, 24, 32), 3)
    for (let i = 0; i < 4; i++) {
      const from = n.shape[0]
      const wide = from * n.pick(2, 4, 6)
      const stride = n.chance(0.3) && Math.min(n.shape[1], n.shape[2]) > 6 ? 2 : 1
      const [before, same] = [x, stride === 1 && n.chance(0.7)]
      x = n.conv(n.conv(x, wide, 1), wide, n.pick(3, 3, 5, 7), { stride, groups: wide })
      x = n.conv(x, same ? from : n.pick(16, 24, 32, 40), 1, { behind: ' -> batch_norm(eps: 1e-5)' })
      if (same) x = n.add(`add(${before}, ${x})`)
    }
    return x
  },
  'pre-activation': (n) => {
    let x = n.conv('image', n.pick(16, 32, 48), 3, { behind: '' })
    for (let i = 0; i < 4; i++) {
      const planes = n.shape[0]
      const rest = n.add(`${x} -> batch_norm(eps: 1e-5) -> relu`)
      if (n.chance(0.3)) {
        const grown = n.conv(rest, n.pick(12, 16, 24), 3, { behind: '' })
        x = n.add(`concat(${x}, ${grown})`)
        n.shape = [planes + n.shape[0], ...n.shape.slice(1)]
      } else {
        x = n.add(
          `add(${x}, ${
            n.conv(n.conv(rest, planes, n.pick(1, 3), { behind: ' -> batch_norm(eps: 1e-5) -> relu' }), planes, 3, { behind: '' })
          })`,
        )
      }
      if (n.chance(0.3)) x = n.smaller(x)
    }
    return n.add(`${x} -> batch_norm(eps: 1e-5) -> relu`)
  },
  'inner products': (n) => {
    let x = 'image'
    for (let i = 0; i < 4; i++) x = n.fc(x, n.pick(64, 100, 256, 333, 512, 1024), ` -> batch_norm(eps: 1e-5)${n.activation()}`)
    return x
  },
  mixed: (n) => {
    let x = n.conv('image', n.pick(16, 24, 32), n.pick(3, 5, 7), { stride: n.pick(1, 2) })
    for (let i = 0; i < 3; i++) {
      x = n.conv(x, n.pick(20, 36, 50, 64), n.pick(1, 3, 5), {
        stride: n.pick(1, 1, 2),
        behind: ` -> batch_norm(eps: 1e-5)${n.activation()}`,
      })
      if (n.chance(0.4)) x = n.smaller(x)
    }
    return x
  },
}

const NAMES = Object.keys(FAMILIES)

/** `{ name, text, batch }`: eight seeds in a row are of eight families. */
export function randomNet(seed) {
  const family = NAMES[seed % NAMES.length]
  const sizes = uniform('sizes', seed)
  const of = (...from) => from[Math.floor(sizes() * from.length)]
  const height = family === 'wide' ? of(8, 9, 14, 16) : of(14, 16, 20, 27, 28, 31, 32, 33, 40)
  const input = family === 'inner products' ? [of(1, 3), of(8, 13, 16), of(8, 16)]
    : [of(1, 3, 3, 4), height, sizes() < 0.7 ? height : of(12, 15, 24, 30)]
  const net = new Writer(seed, input)
  const last = FAMILIES[family](net)
  const pooled = net.shape.length === 3 && sizes() < 0.7
  const classes = of(7, 10, 100)
  const text = `net random_${seed} {
  input image: f32[${input.join(', ')}]
  input label: class[${classes}]
  ${net.lines.join('\n  ')}
  logits = ${last}${pooled ? ' -> global_avg_pool' : ''} -> fc(${classes})
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}

train {
  solver sgd(lr: 0.01, momentum: 0.9)
}
`
  const batch = Math.min(128, Math.max(2, Math.round(STEP_FLOPS / net.flops)))
  return { name: `${family.replace(' ', '-')}-${seed}`, text, batch }
}
