import { elementCount } from '../../../bundle/sizes.ts'
import { type Made, type NetBuilder, showShape } from '../net-builder.ts'
import type { Options } from '../options.ts'

/** What a detector's last section says of the map in front of it, for `import.json`. */
export interface Detection {
  readonly kind: string
  /** The section's number. */
  readonly section: number
  /** The output of the net that is its map. */
  readonly output: string
  readonly shape: readonly number[]
  readonly classes: number
  /** Boxes a cell. */
  readonly boxes: number
  /** Width and height of each box: `[yolo]` in pixels of the input, `[region]` in cells. */
  readonly anchors?: readonly (readonly number[])[]
  /** How the channels follow each other, and what Darknet computes of them. */
  readonly layout: string
  /** All lines of the section. */
  readonly options: Readonly<Record<string, string>>
}

const KINDS: Readonly<
  Record<
    string,
    (net: NetBuilder, options: Options, x: Made) => Omit<Detection, 'kind' | 'section' | 'output' | 'options' | 'shape'> | undefined
  >
> = {
  yolo: (_, options, x) => {
    const classes = options.count('classes', 20)
    const total = options.count('num', 1)
    const mask = options.list('mask') ?? Array.from({ length: Math.min(total, 1000) }, (_, i) => i)
    const anchors = pairs(options.list('anchors'))
    const chosen = mask.map((i) => anchors?.[i])
    if (anchors && chosen.some((pair) => pair === undefined))
      options.problem(`mask=${options.text('mask') ?? ''}: there are ${anchors.length} anchors`)
    if (!fits(options, x, mask.length * (classes + 5))) return undefined
    return {
      classes,
      boxes: mask.length,
      ...(anchors && { anchors: chosen.filter((pair) => pair !== undefined) }),
      layout: yoloLayout(options),
    }
  },
  region: (_, options, x) => {
    const coords = options.count('coords', 4)
    const classes = options.count('classes', 20)
    const boxes = options.count('num', 1)
    const softmax = options.int('softmax', 0) !== 0
    if (!fits(options, x, boxes * (classes + coords + 1))) return undefined
    const anchors = pairs(options.list('anchors'))
    if (options.text('tree') !== undefined)
      options.leaveOut('tree=: classes are raw scores; Darknet takes a softmax of each group of the tree')
    return {
      classes,
      boxes,
      ...(anchors && { anchors: anchors.slice(0, boxes) }),
      layout:
        `for each box x, y, w, h${
          coords > 4 ? `, ${coords - 4} coefficients` : ''
        }, objectness, classes; box: (column + logistic(x)) / columns, `
        + `(row + logistic(y)) / rows, exp(w) anchor width / columns, exp(h) anchor height / rows; objectness: logistic; classes: ${
          softmax ? 'softmax' : 'logistic'
        }`,
    }
  },
  detection: (_, options, x) => {
    const coords = options.count('coords', 1)
    const classes = options.count('classes', 1)
    const boxes = options.count('num', 1)
    const side = options.count('side', 7)
    const want = side * side * ((1 + coords) * boxes + classes)
    if (elementCount(x.shape) !== want) {
      options.problem(
        `reads ${
          elementCount(x.shape)
        } numbers; side, classes, num and coords ask for ${side} x ${side} x ((1 + ${coords}) x ${boxes} + ${classes}) = ${want}`,
      )
      return undefined
    }
    return {
      classes,
      boxes,
      layout:
        `numbers, ${side} x ${side} cells row by row: ${side * side} x ${classes} classes, then ${side * side} x ${boxes} objectness, then `
        + `${side * side} x ${boxes} x ${coords}: x, y within the cell, ${
          options.int('sqrt', 0) !== 0 ? 'square roots of w, h' : 'w, h'
        } of the picture`,
    }
  },
  iseg: (_, options, x) => {
    const classes = options.count('classes', 20)
    const ids = options.count('ids', 32)
    if (!fits(options, x, classes + ids)) return undefined
    return { classes, boxes: 0, layout: `${classes} classes, then ${ids} coefficients of instances` }
  },
}

/** Keys that say how a detector is trained: its loss is not in the language, and all lines go to `import.json`. */
const TRAINING = (
  'max jitter ignore_thresh truth_thresh random map log sqrt softmax background rescore thresh classfix absolute coord_scale object_scale noobject_scale '
  + 'mask_scale class_scale bias_match tree forced reorg num coords anchors mask side scale_x_y new_coords iou_thresh iou_loss iou_normalizer cls_normalizer '
  + 'obj_normalizer nms_kind beta_nms max_delta label_smooth_eps focal_loss resize counters_per_class objectness_smooth ema_alpha'
).split(' ')

/** `[yolo]`, `[region]`, `[detection]`, `[iseg]`: an output, the raw map in front of the section, with its numbers. */
export function detection(net: NetBuilder, options: Options, x: Made): { made: Made; facts: Detection | undefined } {
  const { kind } = options.section
  options.take(...TRAINING)
  const read = KINDS[kind]!(net, options, x)
  const output = `${kind}${net.index}`
  net.results.push({ kind: 'output', name: output, value: x.value })
  const made = { ...x, closed: `Darknet's own numbers of [${kind}] are no layer here; read the section in front of it` }
  return { made, facts: read && { kind, section: net.index, output, shape: x.shape, ...read, options: options.all() } }
}

/** Whether the map in front has the channels that a section wants. */
function fits(options: Options, x: Made, channels: number): boolean {
  if (x.map?.[0] === channels) return true
  options.problem(
    `wants a map of ${channels} channels, ${x.map ? `and ${showShape(x.map)} comes` : 'and numbers without height and width come'}`,
    `filters=${channels} in the section in front of it`,
  )
  return false
}

/** The formulas of boxes, those of later Darknets too. */
function yoloLayout(options: Options): string {
  const scale = options.float('scale_x_y', 1)
  const isNew = options.int('new_coords', 0) !== 0
  const place = (v: string): string => {
    const within = isNew ? v : `logistic(${v})`
    return scale === 1 ? within : `${scale} ${within} - ${Number(((scale - 1) / 2).toPrecision(6))}`
  }
  const size = (v: string): string => (isNew ? `4 ${v}^2` : `exp(${v})`)
  return `for each box x, y, w, h, objectness, classes; box: (column + ${place('x')}) / columns, (row + ${place('y')}) / rows, `
    + `${size('w')} anchor width / net width, ${size('h')} anchor height / net height; objectness and classes: ${
      isNew ? 'as they are' : 'logistic'
    }`
}

const pairs = (numbers: readonly number[] | undefined): number[][] | undefined =>
  numbers && Array.from({ length: Math.floor(numbers.length / 2) }, (_, i) => [numbers[2 * i]!, numbers[2 * i + 1]!])
