/**
 * A net with layers as wide as real ones have them, written by a seed: convolutions of 1 to 7 with strides and groups, residual sums,
 * pooling. Its activations are smooth, so that no rounding turns a gradient on or off. At most so many multiplications an image.
 */
export function wideNet(seed: number, most: number): string {
  let state = seed * 7919 + 1
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32
  const pick = <T>(...from: readonly T[]): T => from[Math.floor(random() * from.length)]!
  let height = pick(6, 7, 8, 12, 14, 16, 20, 28, 30)
  let width = pick(height, height, height, pick(5, 9, 16, 24))
  let channels = pick(3, 4, 8, 16)
  let left = most
  let value = 'x'
  const lines = [`input x: f32[${channels}, ${height}, ${width}]`]
  const define = (name: string, text: string): void => {
    lines.push(`${name} = ${text}`)
    value = name
  }
  for (let layer = 0; layer < 3; layer++) {
    const [outputs, window] = [pick(8, 12, 16, 32, 48, 64, 96, 128, 160, 256), pick(1, 1, 3, 3, 5, 7)]
    const stride = Math.min(height, width) > 4 ? pick(1, 1, 1, 2) : 1
    const groups = pick(1, 1, 1, 1, 1, 2, 4)
    const pad = window >> 1
    const after = (size: number): number => Math.floor((size + 2 * pad - window) / stride) + 1
    const products = (outputs * channels * window ** 2 * after(height) * after(width)) / groups
    if (channels % groups !== 0 || outputs % groups !== 0 || products > left) continue
    left -= products
    define(
      `v${layer}`,
      `${value} -> conv(${outputs}, ${window}, stride: ${stride}, pad: ${pad}, groups: ${groups})${
        pick(' -> batch_norm', ' -> batch_norm', ' -> batch_norm', '')
      }${pick(' -> sigmoid', ' -> silu', '')}`,
    )
    ;[channels, height, width] = [outputs, after(height), after(width)]
    const block = pick<'1' | '3, pad: 1' | undefined>(undefined, undefined, '1', '3, pad: 1')
    const more = channels ** 2 * height * width * (block === '1' ? 1 : 9)
    if (block && more <= left) {
      left -= more
      define(`w${layer}`, `add(${value}, ${value} -> conv(${channels}, ${block}) -> batch_norm) -> tanh`)
    }
    if (Math.min(height, width) > 5 && random() < 0.2) {
      define(`p${layer}`, `${value} -> avg_pool(2, stride: 2)${pick('', ' -> batch_norm')}`)
      ;[height, width] = [Math.floor((height - 2) / 2) + 1, Math.floor((width - 2) / 2) + 1]
    }
  }
  return `net wide {\n  ${
    lines.join('\n  ')
  }\n  input t: f32[${channels}, ${height}, ${width}]\n  loss = sum(mul(${value}, t))\n  output out = tanh(${value})\n}`
}
