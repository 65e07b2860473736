import { fileURLToPath } from 'node:url'

/**
 * Nets that no benchmark names, drawn from a seed: wide and narrow, grouped, depthwise, pre-activation, deconvolution, inner products
 * alone, odd sizes. `node test/bench/random-nets.mjs SEED > r.net` writes one, for `fusenet bench r.net --against split,no-bn`.
 */

/** `{ name, text, batch }` of one net. */
export function randomNet(seed) {
  const next = uniformOf(seed)
  const pick = (list) => list[Math.floor(next() * list.length)]
  const family = FAMILIES[seed % FAMILIES.length]
  const size = pick([14, 16, 21, 28, 32])
  const batch = pick([8, 16, 32])
  const classes = pick([10, 37])
  const { input, body } = family.draw({ pick, size })
  const text = `net ${family.name}${seed} {
  input x0: f32[${input}]
  input label: class[${classes}]
  ${body.join('\n  ')}
  loss = softmax_loss(x -> fc(${classes}), label)
}
train { solver sgd(lr: 0.01, momentum: 0.9) batch ${batch} }
`
  return { name: `${family.name}${seed}`, text, batch }
}

const ACTIVATIONS = ['relu', 'leaky_relu(slope: 0.1)', 'clip(0, 6)', 'sigmoid']

const FAMILIES = [
  {
    name: 'plain',
    draw: ({ pick, size }) => {
      const [width, kernel, act] = [pick([12, 16, 32, 64]), pick([3, 5]), pick(ACTIVATIONS)]
      const conv = (w, stride = 1) =>
        `-> conv(${w}, ${kernel}, pad: ${(kernel - 1) / 2}, stride: ${stride}, bias: false) -> batch_norm -> ${act}`
      return {
        input: `${pick([1, 3])}, ${size}, ${size}`,
        body: [`x = x0 ${conv(width)} ${conv(width)} -> max_pool(2) ${conv(2 * width)} ${conv(2 * width, 2)} -> global_avg_pool`],
      }
    },
  },
  {
    name: 'mobile',
    draw: ({ pick, size }) => {
      const [width, expand, kernel] = [pick([8, 16, 24]), pick([3, 6]), pick([3, 5])]
      const block = (from, to, stride) =>
        `-> conv(${from * expand}, 1, bias: false) -> batch_norm -> clip(0, 6) -> conv(${from * expand}, ${kernel}, pad: ${
          (kernel - 1) / 2
        }, stride: ${stride}, groups: ${
          from * expand
        }, bias: false) -> batch_norm -> clip(0, 6) -> conv(${to}, 1, bias: false) -> batch_norm`
      return {
        input: `3, ${size}, ${size}`,
        body: [
          `a = x0 -> conv(${width}, 3, pad: 1, stride: ${pick([1, 2])}, bias: false) -> batch_norm -> relu`,
          `b = add(a, a ${block(width, width, 1)})`,
          `x = b ${block(width, 2 * width, 2)} -> global_avg_pool`,
        ],
      }
    },
  },
  {
    name: 'residual',
    draw: ({ pick, size }) => {
      const [width, grow] = [pick([12, 16, 32, 48]), pick([1, 2])]
      const conv = (w, stride, kernel = 3) =>
        `conv(${w}, ${kernel}, pad: ${(kernel - 1) / 2}, stride: ${stride}, bias: false) -> batch_norm`
      return {
        input: `3, ${size}, ${size}`,
        body: [
          `a = x0 -> ${conv(width, 1)} -> relu`,
          `b = add(a -> ${conv(width, 1)} -> relu -> ${conv(width, 1)}, a) -> relu`,
          `x = add(b -> ${conv(grow * width, 2)} -> relu -> ${conv(grow * width, 1)}, b -> ${
            conv(grow * width, 2, 1)
          }) -> relu -> global_avg_pool`,
        ],
      }
    },
  },
  {
    name: 'preact',
    draw: ({ pick, size }) => {
      const width = pick([16, 24, 40])
      const block = (w, kernel = 3) => `-> batch_norm -> relu -> conv(${w}, ${kernel}, pad: ${(kernel - 1) / 2}, bias: false)`
      return {
        input: `3, ${size}, ${size}`,
        body: [
          `a = x0 -> conv(${width}, 3, pad: 1, bias: false)`,
          `b = concat(a, a ${block(12)})`,
          `c = concat(b, b ${block(4 * 12, 1)} ${block(12)})`,
          `x = c ${block(width, 1)} -> avg_pool(2) ${block(width)} -> batch_norm -> relu -> global_avg_pool`,
        ],
      }
    },
  },
  {
    name: 'deconv',
    draw: ({ pick, size }) => {
      const width = pick([8, 16, 24])
      return {
        input: `3, ${size - size % 4}, ${size - size % 4}`,
        body: [
          `a = x0 -> conv(${width}, 3, pad: 1, bias: false) -> batch_norm -> relu`,
          `b = a -> conv(${
            2 * width
          }, 3, pad: 1, stride: 2, bias: false) -> batch_norm -> relu -> deconv(${width}, 2, stride: 2, bias: false) -> batch_norm -> relu`,
          `x = concat(a, b) -> conv(${width}, 3, pad: 1, bias: false) -> batch_norm -> relu -> global_avg_pool`,
        ],
      }
    },
  },
  {
    name: 'grouped',
    draw: ({ pick, size }) => {
      const [width, groups] = [pick([16, 32, 64]), pick([2, 4])]
      const conv = (w, k, g, s = 1) =>
        `-> conv(${w}, ${k}, pad: ${(k - 1) / 2}, stride: ${s}, groups: ${g}, bias: false) -> batch_norm -> relu`
      return {
        input: `3, ${size}, ${size}`,
        body: [
          `x = x0 ${conv(width, 3, 1, 2)} ${conv(width, 3, groups)} ${conv(2 * width, 1, 1)} ${
            conv(2 * width, 3, groups, 2)
          } -> global_avg_pool`,
        ],
      }
    },
  },
  {
    name: 'inner',
    draw: ({ pick }) => {
      const [width, act] = [pick([64, 200, 512]), pick(ACTIVATIONS)]
      const layer = `-> fc(${width}) -> batch_norm -> ${act}`
      return { input: `${pick([100, 784])}`, body: [`x = x0 ${layer} ${layer} ${layer}`] }
    },
  },
  {
    name: 'wide',
    draw: ({ pick }) => {
      const [width, size] = [pick([128, 256]), pick([4, 7, 8])]
      const conv = (w, k) => `-> conv(${w}, ${k}, pad: ${(k - 1) / 2}, bias: false) -> batch_norm -> relu`
      return {
        input: `32, ${size}, ${size}`,
        body: [`x = x0 ${conv(width, 3)} ${conv(width / 2, 1)} ${conv(width, 3)} -> global_avg_pool`],
      }
    },
  },
]

/** Uniform in [0, 1): mulberry32. */
function uniformOf(seed) {
  let state = (seed * 0x9e3779b1) | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(randomNet(Number(process.argv[2] ?? 0)).text)
