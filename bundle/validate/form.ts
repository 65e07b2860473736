import { FORMAT, FORMAT_VERSION, GROUPS } from '../format.ts'
import { say } from '../plain.ts'
import { SCHEDULES } from '../learning-rate.ts'
import { elementCount } from '../sizes.ts'
import { amount, type Check, count, flag, hash, integer, isCount, isObject, list, number, oneOf, positive, record, table,
  when } from './checks.ts'
import { MOST_ELEMENTS, MOST_FILE_BYTES } from './limits.ts'
import { file, label, line, name, path, program, result, target } from './names.ts'

/** The form of a manifest: every field has its type, so that nothing behind it can trip over a missing one. */

const text = when((v) => typeof v === 'string', 'a text')
const dims: Check = (value, path, report) => {
  list(positive)(value, path, report)
  if (Array.isArray(value) && value.every(isCount) && elementCount(value) > MOST_ELEMENTS) report(path, 'is absurdly large')
}
const shape: Check = (value, path, report) => dims(Array.isArray(value) && value[0] === 'n' ? [1, ...value.slice(1)] : value, path, report)
/** Repeated without end, nothing would take forever. */
const filled = (each: Check): Check => (value, path, report) => {
  list(each)(value, path, report)
  if (Array.isArray(value) && value.length === 0) report(path, 'is empty')
}
const type = oneOf('f32', 'i32')
const elementType = oneOf('f32', 'i32', 'f16')
const size = record({ fixed: count, perSample: count })
const tally = record({ fixed: amount, perSample: amount })
const positiveNumber = when((v) => Number.isFinite(v) && (v as number) > 0, 'a positive number')
/** Steps are whole; half an epoch is a duration. */
const duration: Check = (value, path, report) =>
  record({ count: isObject(value) && value.unit === 'epochs' ? positiveNumber : positive, unit: oneOf('steps', 'epochs') })(
    value,
    path,
    report,
  )
/** An argument as the language has them: a number, a word, a duration, or lists of them. */
const argument = (depth: number): Check => (value, at, report) => {
  if (typeof value === 'number') number(value, at, report)
  else if (typeof value === 'string') line(value, at, report)
  else if (isObject(value)) record({ count: amount, unit: oneOf('steps', 'epochs') })(value, at, report)
  else if (typeof value !== 'boolean') (depth > 0 ? list(argument(depth - 1)) : number)(value, at, report)
}
const call = record({ call: name, args: table(name, argument(2)) })
const schedule: Check = (value, path, report) => {
  call(value, path, report)
  if (isObject(value) && typeof value.call === 'string' && !SCHEDULES.includes(value.call))
    report(`${path}.call`, `is no schedule: ${say(value.call)}`)
}
const initializer: Check = (value, path, report) => {
  const kind = isObject(value) ? value.kind : undefined
  const fields = kind === 'constant' ? ['value'] : kind === 'uniform' ? ['low', 'high'] : kind === 'gaussian' ? ['mean', 'deviation'] : []
  record({ kind: oneOf('constant', 'uniform', 'gaussian', 'bilinear'), ...Object.fromEntries(fields.map((f) => [f, number])) })(
    value,
    path,
    report,
  )
}

const module = record({ file, kernels: count, threadBytes: count, 'wide?': file })
const facts = record({
  layers: list(path),
  flops: tally,
  products: tally,
  bytesRead: tally,
  bytesWritten: tally,
  why: list(line),
  'how?': line,
  'again?': oneOf(true),
})

const plan = record({
  target,
  buffers: list(record({
    name: label,
    role: oneOf('parameters', 'gradients', 'history', 'states', 'constants', 'input', 'prepared', 'scratch'),
    elements: size,
    'data?': list(record({ times: positive, values: filled(number) })),
  })),
  tensors: list(record({ name: label, shape, type: elementType, buffer: count, offset: count, 'behind?': list(count) })),
  kernels: list(record({
    name: label,
    'file?': file,
    'section?': label,
    'subgroups?': label,
    bindings: list(record({ name, access: oneOf('read', 'read_write'), type: elementType })),
    workgroup: positive,
  })),
  programs: table(
    program,
    record({
      dispatches: list(record({
        kernel: count,
        tensors: list(count),
        invocations: record({ fixed: count, perSample: amount }),
        name: label,
        'facts?': facts,
      })),
      results: table(result, count),
      peakBytes: tally,
      lowerBoundBytes: tally,
      needsPrepare: flag,
    }),
  ),
  'modules?': record(Object.fromEntries(GROUPS.map((group) => [`${group}?`, module]))),
})

const term = record({ result, over: oneOf('samples', 'sum', 'count'), 'count?': result, 'factor?': number })

/** The form of the facts about a net, in memory and in `bundle.json`. */
const net = {
  format: oneOf(FORMAT),
  version: oneOf(FORMAT_VERSION),
  name,
  style: oneOf('merged', 'split'),
  'memory?': oneOf('fast', 'small'),
  'precise?': flag,
  'freeze?': list(line),
  'programs?': list(line),
  source: record({ files: list(record({ name: line, text })), sha256: line }),
  inputs: list(
    record({ name, type, shape, 'classes?': positive, 'classNames?': list(line), 'columns?': list(line), 'ignore?': list(integer) }),
  ),
  outputs: list(
    record({
      name,
      role: oneOf('output', 'loss', 'metric'),
      shape,
      'weight?': number,
      'scores?': name,
      'better?': oneOf('higher', 'lower'),
      'total?': list(term),
    }),
  ),
  parameters: list(record({ name: path, shape: dims, offset: count, trainable: flag, 'frozen?': oneOf(true), initializer, layer: path })),
  'normalizations?': list(record({ layer: path, stats: oneOf('moving', 'cumulative', 'caffe', 'batch', 'global'), values: size })),
  'best?': record({ metric: name, part: oneOf('validation', 'test'), 'keptBack?': positive, value: number, step: count, epoch: positive }),
  'train?': record({
    'data?': call,
    augment: list(call),
    solver: call,
    schedule: list(schedule),
    batch: positive,
    'epochs?': positive,
    'steps?': positive,
    seed: integer,
    accumulate: positive,
    'snapshot?': duration,
    'test?': duration,
    'divisors?': list(record({ input: name, ignore: number, buffer: label })),
  }),
}

/** A manifest with its plans. */
export const structure = record({ ...net, plans: table(target, plan) })

const fileBytes = when((v) => Number.isSafeInteger(v) && (v as number) >= 0 && (v as number) <= MOST_FILE_BYTES, 'a number of bytes')
const storedPart = record({
  group: oneOf(...GROUPS),
  programs: list(program),
  plan: file,
  'kernels?': list(file),
  'module?': module,
})

/** `bundle.json`. */
export const storedStructure = record({
  ...net,
  plans: table(target, record({ parts: list(storedPart), 'facts?': file })),
  files: table(file, record({ 'at?': file, bytes: fileBytes, sha256: hash })),
  'weights?': list(path),
  sha256: hash,
})
