/**
 * A net of what other random nets seldom have, written by a seed: maps of 3 to 19 points whose sides differ, channels that no vector divides, strides up
 * to 3, padding that differs from side to side, dilation, groups of few channels, depthwise layers with a multiplier, transposed convolutions, pooling
 * that hangs over, and values with several readers. Its activations are smooth, so that no rounding turns a gradient on or off. At most so many
 * multiplications an image.
 */
export function oddNet(seed: number, most: number): string {
  let state = seed * 6151 + 5
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  const pick = <T>(...from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  const sides = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19]
  let size: [number, number] = [pick(...sides), pick(...sides)]
  let channels = pick(1, 2, 3, 5, 6, 12, 20)
  let left = most
  let value = 'x'
  const first = `input x: f32[${channels}, ${size.join(', ')}]`
  const lines: string[] = []
  const define = (text: string): void => {
    lines.push(`v${lines.length} = ${text}`)
    value = `v${lines.length - 1}`
  }
  const activation = (): string => pick(' -> sigmoid', ' -> silu', ' -> tanh', ' -> elu', ' -> gelu', ' -> softplus', '')
  const normalized = (): string => pick(' -> batch_norm(eps: 1e-3)', ' -> batch_norm(eps: 1e-3)', '')

  /** Windows that fit into the map with their padding; undefined where none was found. */
  const windowed = (transposed: boolean): { text: string; after: [number, number]; points: number } | undefined => {
    const kernel = pick([3, 3], [3, 3], [1, 1], [2, 2], [5, 5], [7, 7], [1, 3], [5, 2])
    const stride = pick([1, 1], [1, 1], [2, 2], [3, 3], [2, 1])
    const dilation = pick([1, 1], [1, 1], [1, 1], [2, 2], [1, 3])
    const around = (d: 0 | 1): [number, number] =>
      pick<[number, number]>([0, 0], [kernel[d]! >> 1, kernel[d]! >> 1], [0, kernel[d]! - 1], [1, 0])
    const [rows, columns] = [around(0), around(1)]
    const reach = (d: 0 | 1): number => (kernel[d]! - 1) * dilation[d]! + 1
    const after = ([rows, columns] as const).map((pad, i) => {
      const d = i as 0 | 1
      return transposed ? stride[d]! * (size[d] - 1) + reach(d) - pad[0] - pad[1]
        : Math.floor((size[d] + pad[0] + pad[1] - reach(d)) / stride[d]!) + 1
    }) as [number, number]
    if (after.some((side) => side < 1 || side > 24)) return undefined
    const text = `[${kernel.join(', ')}], stride: [${stride.join(', ')}], pad: [${[...rows, ...columns].join(', ')}], dilation: [${
      dilation.join(', ')
    }]`
    return { text, after, points: kernel[0]! * kernel[1]! * (transposed ? size[0] * size[1] : after[0] * after[1]) }
  }

  for (let tries = 0; tries < 12 && lines.length < 4; tries++) {
    const kind = pick('conv', 'conv', 'conv', 'depthwise', 'depthwise', 'deconv', 'pool', 'join')
    if (kind === 'join') {
      if (value === 'x' || channels * 2 > 80) continue
      define(
        pick(
          `concat(${value} -> tanh, ${value})`,
          `concat(${value}, ${value} -> conv(${channels}, 1) -> batch_norm(eps: 1e-3))`,
          `add(${value}, ${value} -> sigmoid)`,
        ),
      )
      if (lines.at(-1)!.includes('concat')) channels *= 2
    } else if (kind === 'pool') {
      const [kernel, stride] = pick([2, 2], [3, 2], [3, 1], [2, 1])
      if (Math.min(...size) < 4) continue
      const ceil = pick(', round: ceil', '')
      define(`${value} -> ${pick('avg_pool', 'max_pool')}(${kernel}, stride: ${stride}${ceil})${activation()}`)
      const along = (side: number): number => {
        const steps = (side - kernel!) / stride!
        return (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1
      }
      size = [along(size[0]), along(size[1])]
    } else {
      const found = windowed(kind === 'deconv')
      if (!found) continue
      const divisors = [1, 2, 3, 5, 10].filter((groups) => channels % groups === 0)
      const groups = kind === 'depthwise' ? channels : pick(1, 1, 1, ...divisors)
      const outputs = kind === 'depthwise' ? channels * pick(1, 1, 1, 2) : groups * pick(1, 2, 3, 5, 7, 12, 16, 24)
      const products = outputs * (channels / groups) * found.points
      if (outputs > 80 || products > left) continue
      left -= products
      define(
        `${value} -> ${kind === 'deconv' ? 'deconv' : 'conv'}(${outputs}, ${found.text}, groups: ${groups})${normalized()}${activation()}`,
      )
      channels = outputs
      size = found.after
    }
  }
  return `net odd {\n  ${[first, ...lines].join('\n  ')}\n  input t: f32[${channels}, ${
    size.join(', ')
  }]\n  loss = sum(mul(${value}, t))\n  output out = tanh(${value})\n}`
}
