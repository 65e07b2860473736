/** A map [channels, height, width]. */
export interface Size {
  readonly c: number
  readonly h: number
  readonly w: number
}

/** One step of a net: lines that rebind `x`, and the size of x after them. Undefined where it does not fit a map of this size. */
export type Step = (
  size: Size,
  pick: <T>(...from: readonly T[]) => T,
) => { readonly lines: readonly string[]; readonly size: Size } | undefined

const same = (size: Size, ...lines: readonly string[]) => ({ lines, size })

/** Layers that normalize samples, reduce or move axes, each where something is fused with it. */
export const AXIS_STEPS: readonly Step[] = [
  (size, pick) =>
    same(
      size,
      `x = x -> conv(4, 3, pad: 1) -> group_norm(${pick(1, 2, 4)}) -> silu -> conv(${size.c}, 1)`,
      `x = add(x, x -> conv(${size.c}, 3, pad: 1) -> instance_norm(affine: ${pick('true', 'false')}) -> tanh)`,
    ),
  (size, pick) =>
    same(size, `x = x -> conv(${size.c}, 1) -> layer_norm${pick('(axis: 1, end: 1)', '', '(axis: 2)', '(axis: -1)')} -> gelu`),
  (size, pick) =>
    same(
      size,
      `x = x -> transpose([0, 2, 3, 1]) -> fc(6, axis: -1) -> ${
        pick('layer_norm(axis: -1)', 'tanh')
      } -> fc(${size.c}, axis: 3) -> transpose([0, 3, 1, 2])`,
    ),
  (size, pick) =>
    same(
      size,
      `m = x -> ${pick('reduce_mean([2, 3])', 'reduce_l2([1])', 'reduce_sum([3]) -> tanh', 'reduce_mean([1, 2, 3])')}`,
      `x = mul(x, m) -> tanh`,
    ),
  (size, pick) =>
    same(size, `x = add(x, x -> conv(${size.c}, 1) -> ${pick('reduce_max([-1])', 'reduce_min([2])', 'reduce_l1([2, 3]) -> tanh')})`),
  (size, pick) =>
    same(size, `x = add(x, x -> ${pick('softmax(axis: -1)', 'softmax(axis: 1, end: -1)', 'log_softmax(axis: 2) -> tanh', 'softmax')})`),
  ({ c, h, w }, pick) =>
    pick(true, false)
      ? { lines: ['x = x -> transpose([0, 1, 3, 2]) -> sigmoid'], size: { c, h: w, w: h } }
      // What is normalized is read under another shape alone.
      : { lines: [`x = x -> conv(${c}, 1) -> batch_norm -> relu -> reshape([${c}, ${w}, ${h}])`], size: { c, h: w, w: h } },
]
