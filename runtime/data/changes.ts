import { InputError } from '../../bundle/errors.ts'
import type { CallEntry } from '../../bundle/format.ts'

type Numbers = Float32Array | Int32Array
/** Two random numbers of 32 bits; absent in evaluation. */
export type Words = readonly [number, number]

/** One change of maps: it takes `planes` maps of height x width and gives as many of its own size. */
export interface Change {
  readonly call: string
  readonly height: number
  readonly width: number
  /** Whether a change may leave places that the map does not reach: they get `fill`. */
  readonly pads: boolean
  /** Whether evaluation leaves maps as they are. */
  readonly restsInEvaluation: boolean
  apply(from: Numbers, to: Numbers, planes: number, fill: number, words: Words | undefined): void
}

/**
 * The changes that augment calls make to maps of one size, in their order. Throws InputError for a change that the size does not allow.
 */
export function changesOf(calls: readonly CallEntry[], height: number, width: number): Change[] {
  return calls.map(({ call, args }) => {
    const change = call === 'mirror' ? mirror(height, width) : call === 'crop' ? crop(height, width, args) : undefined
    if (!change) throw new InputError(`there is no augmentation ${call}: mirror, crop`)
    ;({ height, width } = change)
    return change
  })
}

/** Left and right exchanged, every second time. */
function mirror(height: number, width: number): Change {
  return {
    call: 'mirror',
    height,
    width,
    pads: false,
    restsInEvaluation: true,
    apply(from, to, _planes, _fill, words) {
      if (!words || words[0] >>> 31) return to.set(from)
      for (let i = 0; i < from.length; i++) to[i] = from[i - (i % width) + width - 1 - (i % width)]!
    },
  }
}

/** `crop(28, pad: 4)`: a window of that size somewhere in the map with `fill` around it, in evaluation the middle. */
function crop(height: number, width: number, args: Readonly<Record<string, unknown>>): Change {
  const size = args['size'] ?? args['window'] ?? Object.values(args)[0]
  const [h, w] = (Array.isArray(size) ? size : [size, size]) as [number, number]
  const padding = args['pad'] ?? 0
  const [padY, padX] = (Array.isArray(padding) ? padding : [padding, padding]) as [number, number]
  const roomY = height + 2 * padY - h
  const roomX = width + 2 * padX - w
  if (!(h > 0 && w > 0 && roomY >= 0 && roomX >= 0))
    throw new InputError(`crop of ${h} x ${w} does not fit into ${height} x ${width} with pad ${padY}`)
  return {
    call: 'crop',
    height: h,
    width: w,
    pads: padY > 0 || padX > 0,
    restsInEvaluation: h === height && w === width,
    apply(from, to, planes, fill, words) {
      const top = (words ? Math.floor((words[0] / 2 ** 32) * (roomY + 1)) : roomY >> 1) - padY
      const left = (words ? Math.floor((words[1] / 2 ** 32) * (roomX + 1)) : roomX >> 1) - padX
      for (let c = 0, at = 0; c < planes; c++) {
        for (let y = top; y < top + h; y++) {
          for (let x = left; x < left + w; x++, at++) {
            to[at] = y >= 0 && y < height && x >= 0 && x < width ? from[(c * height + y) * width + x]! : fill
          }
        }
      }
    },
  }
}
