import { FORMAT, FORMAT_VERSION } from '../format.ts'
import { SCHEDULES } from '../schedule.ts'
import { elementCount } from '../sizes.ts'
import { MOST_ELEMENTS } from './limits.ts'
import { type Report, say } from './report.ts'

/** The form of a manifest: every field has its type, so that nothing behind it can trip over a missing one. */

type Check = (value: unknown, path: string, report: Report) => void

const when = (test: (value: unknown) => boolean, wanted: string): Check => (value, path, report) => {
  if (!test(value)) report(path, `${wanted} is wanted, here is ${say(value)}`)
}
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MOST_ELEMENTS
const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

const text = when((v) => typeof v === 'string', 'a text')
const name = when((v) => typeof v === 'string' && v !== '' && v !== '__metadata__' && v !== '__proto__', 'a name')
const hash = when((v) => typeof v === 'string' && /^[0-9a-f]{64}$/.test(v), 'a SHA-256 in hex')
const number = when((v) => Number.isFinite(v), 'a number')
const amount = when((v) => Number.isFinite(v) && (v as number) >= 0, 'an amount')
const count = when(isCount, 'a count')
const positive = when((v) => isCount(v) && v > 0, 'a positive integer')
const integer = when((v) => Number.isSafeInteger(v), 'an integer')
const flag = when((v) => typeof v === 'boolean', 'true or false')
const oneOf = (...words: unknown[]): Check => when((v) => words.includes(v), words.map(say).join(' or '))
const anything: Check = () => {}

const list = (each: Check): Check => (value, path, report) => {
  if (!Array.isArray(value)) return report(path, `a list is wanted, here is ${say(value)}`)
  value.forEach((item, i) => each(item, `${path}[${i}]`, report))
}
const table = (each: Check): Check => (value, path, report) => {
  if (!isObject(value)) return report(path, `an object is wanted, here is ${say(value)}`)
  for (const [key, item] of Object.entries(value)) {
    name(key, `${path} key`, report)
    each(item, `${path}.${key}`, report)
  }
}
/** Fields by name; a name that ends in `?` may be absent. */
const record = (fields: Record<string, Check>): Check => (value, path, report) => {
  if (!isObject(value)) return report(path, `an object is wanted, here is ${say(value)}`)
  for (const [key, check] of Object.entries(fields)) {
    const field = key.replace('?', '')
    if (Object.hasOwn(value, field)) check(value[field], path ? `${path}.${field}` : field, report)
    else if (field === key) report(path ? `${path}.${field}` : field, 'is missing')
  }
}

const dims: Check = (value, path, report) => {
  list(positive)(value, path, report)
  if (Array.isArray(value) && value.every(isCount) && elementCount(value) > MOST_ELEMENTS) report(path, 'is absurdly large')
}
const shape: Check = (value, path, report) =>
  dims(Array.isArray(value) && value[0] === 'n' ? [1, ...value.slice(1)] : value, path, report)
const type = oneOf('f32', 'i32')
const elementType = oneOf('f32', 'i32', 'f16')
const size = record({ fixed: count, perSample: count })
const tally = record({ fixed: amount, perSample: amount })
const call = record({ call: name, args: table(anything) })
const positiveNumber = when((v) => Number.isFinite(v) && (v as number) > 0, 'a positive number')
/** Steps are whole; half an epoch is a duration. */
const duration: Check = (value, path, report) =>
  record({ count: isObject(value) && value.unit === 'epochs' ? positiveNumber : positive, unit: oneOf('steps', 'epochs') })(value, path, report)
const schedule: Check = (value, path, report) => {
  call(value, path, report)
  if (isObject(value) && typeof value.call === 'string' && !SCHEDULES.includes(value.call)) report(`${path}.call`, `is no schedule: ${say(value.call)}`)
}
const initializer: Check = (value, path, report) => {
  const kind = isObject(value) ? value.kind : undefined
  const fields = kind === 'constant' ? ['value'] : kind === 'uniform' ? ['low', 'high'] : kind === 'gaussian' ? ['mean', 'deviation'] : []
  record({ kind: oneOf('constant', 'uniform', 'gaussian', 'bilinear'), ...Object.fromEntries(fields.map((f) => [f, number])) })(value, path, report)
}
/** Read as a path below the bundle's folder, so it must stay there: `kernels/conv1+bn1.wgsl`. */
const file = when((v) => typeof v === 'string' && v.length < 500 && v.split('/').every((part) => /^[\w+@~,=-][\w+@~,=.-]*$/.test(part)),
  'a file name below the folder of the bundle')

const plan = record({
  target: name,
  buffers: list(record({
    name,
    role: oneOf('parameters', 'gradients', 'history', 'states', 'constants', 'input', 'prepared', 'scratch'),
    elements: size, 'data?': list(record({ times: count, values: list(number) })),
  })),
  tensors: list(record({ name, shape, type: elementType, buffer: count, offset: count, 'behind?': list(count) })),
  kernels: list(record({
    name, file, 'sha256?': hash, 'subgroups?': file, 'subgroupsSha256?': hash, layers: list(text),
    bindings: list(record({ name, access: oneOf('read', 'read_write'), type: elementType })), workgroup: positive,
  })),
  programs: table(record({
    dispatches: list(record({
      kernel: count, tensors: list(count), invocations: size, name, layers: list(text),
      flops: tally, bytesRead: tally, bytesWritten: tally, why: list(text), 'how?': text, 'again?': oneOf(true),
    })),
    results: table(count), peakBytes: tally, lowerBoundBytes: tally, needsPrepare: flag,
  })),
  'module?': record({ file, relaxed: file, 'sha256?': hash, 'relaxedSha256?': hash, threadBytes: count }),
})

export const structure = record({
  format: oneOf(FORMAT), version: oneOf(FORMAT_VERSION), name, style: oneOf('merged', 'split'), 'memory?': oneOf('fast', 'small'),
  source: record({ files: list(record({ name: text, text })), sha256: text }),
  inputs: list(record({ name, type, shape, 'classes?': positive, 'classNames?': list(text), 'ignore?': list(integer) })),
  outputs: list(record({ name, role: oneOf('output', 'loss', 'metric'), shape, 'weight?': number, 'scores?': name })),
  parameters: list(record({ name, shape: dims, offset: count, trainable: flag, initializer, layer: text })),
  'train?': record({
    'data?': call, augment: list(call), solver: call, schedule: list(schedule), batch: positive,
    'epochs?': positive, 'steps?': positive, seed: integer, accumulate: positive, 'snapshot?': duration, 'test?': duration,
  }),
  plans: table(plan), 'sha256?': hash,
})
