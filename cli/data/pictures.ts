import type { CallEntry } from '../../bundle/format.ts'

/** Pictures that a window is cut from are brought to 8/7 of it: the 256 of 224 that ImageNet's nets are trained with. */
const ROOM = 8 / 7

/**
 * The size, [c, h, w], to which pictures are brought so that `augment` makes of them what the net takes: larger where it
 * cuts out a window without padding.
 */
export function decodedShape(shape: readonly [number, number, number], augment: readonly CallEntry[]): readonly [number, number, number] {
  const cuts = augment.some(({ call, args }) =>
    call === 'crop' && !Object.entries(args).some(([name, value]) => name === 'pad' && [value].flat().some((pad) => pad !== 0))
  )
  return cuts ? [shape[0], Math.round(shape[1] * ROOM), Math.round(shape[2] * ROOM)] : shape
}
