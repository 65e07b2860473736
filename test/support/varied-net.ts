import { AXIS_STEPS, type Size, type Step } from './axis-steps.ts'
import { generator } from './random-net.ts'

const same = (size: Size, ...lines: readonly string[]) => ({ lines, size })

/** Layers that `randomNet` has not, each in a neighbourhood where it is fused with something. Smooth where rounding could turn a gradient on or off. */
const STEPS: readonly Step[] = [
  (size, pick) => same(size, `x = x -> conv(${size.c}, 1) -> ${pick('add(0.5)', 'sub(0.25)', 'mul(-1.5)', 'div(1.25)', 'neg')} -> tanh`),
  (size, pick) =>
    same(size, 'g = x -> conv(1, 1) -> sigmoid', `x = ${pick('mul(sub(1, g), x)', 'div(x, add(g, 1))', 'sub(x, g)', 'mean(x, g, 0.5)')}`),
  (size) => same(size, `x = min(x -> conv(${size.c}, 1), x -> batch_norm, 1.5)`),
  (size, pick) =>
    same(
      size,
      `x = x -> batch_norm -> ${pick('pow(2)', 'pow(3)', 'abs -> add(0.5) -> log', 'abs -> add(0.5) -> sqrt', 'mul(0.5) -> exp')}`,
    ),
  (size, pick) => same(size, `x = x -> abs -> add(1) -> ${pick('reciprocal', 'pow(-0.5)', 'pow(1.5)', 'pow(0.3)')}`),
  (size, pick) =>
    same(
      size,
      `x = x -> conv(${size.c}, 3, pad: 1) -> batch_norm -> ${pick('mish', 'selu', 'celu(alpha: 0.7)', 'softsign', 'erf', 'softplus')}`,
    ),
  (size, pick) =>
    same(size, `x = x -> conv(${size.c}, 3, pad: 1) -> ${pick('thresholded_relu(0.1)', 'hard_sigmoid(alpha: 0.2)', 'mish', 'selu')}`),
  (size, pick) =>
    same(
      size,
      `x = x -> conv(${size.c}, ${
        pick('3, pad: [2, 0, 1, 1]', '[2, 3], pad: [0, 1, 2, 0]', '4, pad: [1, 2, 2, 1]')
      }) -> batch_norm -> silu`,
    ),
  (size) => ({
    lines: [`x = x -> conv(${size.c}, 3, stride: 2, pad: [0, 1, 1, 0]) -> tanh`],
    size: { ...size, h: (size.h - 2 >> 1) + 1, w: (size.w - 2 >> 1) + 1 },
  }),
  (size) =>
    size.h > 4 ? undefined
      : {
        lines: [`x = x -> deconv(${size.c}, 3, stride: 2, pad: [0, 1, 1, 0]) -> sigmoid`],
        size: { ...size, h: 2 * size.h, w: 2 * size.w },
      },
  (size, pick) =>
    same(
      size,
      `x = x -> ${
        pick(
          'max_pool(2, stride: 1, dilation: 2, pad: 1)',
          'avg_pool(2, stride: 1, pad: [1, 0, 0, 1], count: valid)',
          'avg_pool(3, stride: 1, dilation: 2, pad: 2, count: valid)',
        )
      }`,
    ),
  (size, pick) => same(size, `x = x -> conv(${size.c}, 1) -> add(0.2) -> lp_pool(${pick('3', '3, 1', '3, 3')}, stride: 1, pad: 1)`),
  (size, pick) =>
    same(
      size,
      `x = add(x -> conv(${size.c}, 1), parameter([${
        pick(`${size.c}, 1, 1`, `${size.c}, ${size.h}, ${size.w}`, `${size.w}`)
      }], init: gaussian(0.5))) -> tanh`,
    ),
  (size) => same(size, `p = parameter([${size.c}, 1, 1], init: uniform(0.5, 1.5), lr_mult: 0)`, 'x = mul(x, p -> exp) -> softsign'),
  (size, pick) => {
    const [h, w] = [pick(4, 5, 7), pick(3, 6, 8)]
    const how = pick(
      'mode: linear',
      'mode: cubic',
      'mode: linear, coordinates: align_corners',
      'mode: cubic, exclude_outside: true',
      'coordinates: asymmetric, rounding: floor',
      'rounding: ceil',
    )
    return { lines: [`x = x -> conv(${size.c}, 1) -> silu -> resize([${h}, ${w}], ${how})`], size: { ...size, h, w } }
  },
  (size, pick) => ({
    lines: [`x = x -> resize(scale: 2${pick('', ', mode: linear', ', mode: cubic')}) -> conv(2, 3, pad: 1) -> batch_norm`],
    size: { c: 2, h: 2 * size.h, w: 2 * size.w },
  }),
  (size, pick) =>
    same(
      { ...size, h: size.h + 3, w: size.w + 1 },
      `x = x -> conv(${size.c}, 1) -> tanh -> pad([1, 2, 0, 1], mode: ${pick('reflect', 'edge')})`,
    ),
  (size, pick) => same({ c: 2, h: 2 * size.h, w: 2 * size.w }, `x = x -> conv(8, 1) -> depth_to_space(2${pick('', ', crd')}) -> softsign`),
  (size, pick) =>
    size.h % 2 + size.w % 2 > 0 ? undefined
      : same({ c: 3, h: size.h / 2, w: size.w / 2 }, `x = x -> sigmoid -> space_to_depth(2${pick('', ', crd')}) -> conv(3, 3, pad: 1)`),
  ...AXIS_STEPS,
]

/** A random net of the layers of `STEPS`, which are dealt out to so many nets. */
export function variedNet(seed: number, nets: number): string {
  const r = generator(seed)
  const pick = <T>(...from: readonly T[]): T => from[Math.floor(r() * from.length)]!
  let size: Size = { c: pick(3, 4, 8), h: pick(4, 6), w: pick(4, 6) }
  const lines = [`input image: f32[${size.c}, ${size.h}, ${size.w}]`, 'input label: class[4]', `x = image -> conv(${size.c}, 1)`]
  for (const [i, step] of STEPS.entries()) {
    if (i % nets !== seed % nets) continue
    const made = step(size, pick)
    if (!made || made.size.h * made.size.w > 200) continue
    lines.push(...made.lines)
    size = made.size
  }
  lines.push('logits = x -> fc(4)', 'output prob = softmax(logits)', 'loss = softmax_loss(logits, label)')
  return `net varied_${seed} {\n  ${lines.join('\n  ')}\n}\n\ntrain {\n  solver sgd(lr: 0.05, momentum: 0.9)\n}\n`
}
