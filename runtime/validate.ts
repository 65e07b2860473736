import { BundleError, type Problem } from './errors.ts'
import type { Bundle, Plan } from './format.ts'
import { sealedText, sha256 } from './seal.ts'
import { sizeAt, tensorEnd } from './sizes.ts'
import { problemsOf } from './validate/problems.ts'

/**
 * Refuses a bundle whose parts do not agree. First its form (`validate/form.ts`), so that nothing behind it can trip over a missing
 * field; then its relations: sizes, offsets, indices and names; then hashes.
 */

<<<<<<< HEAD
export { problemsOf } from './validate/problems.ts'
=======
type Report = (path: string, message: string) => void
type Check = (value: unknown, path: string, report: Report) => void

/** More elements in a buffer than any device holds; far below where sums of offsets lose integers. */
const MOST_ELEMENTS = 2 ** 36
const MOST_THREAD_BYTES = 2 ** 30

const say = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 40 ? `${text.slice(0, 40)}...` : text
}
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
const duration = record({ count: positive, unit: oneOf('steps', 'epochs') })
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

const structure = record({
  format: oneOf(FORMAT), version: oneOf(FORMAT_VERSION), name, style: oneOf('merged', 'split'), 'memory?': oneOf('fast', 'small'),
  source: record({ files: list(record({ name: text, text })), sha256: text }),
  inputs: list(record({ name, type, shape, 'classes?': positive, 'ignore?': list(integer) })),
  outputs: list(record({ name, role: oneOf('output', 'loss', 'metric'), shape, 'weight?': number })),
  parameters: list(record({ name, shape: dims, offset: count, trainable: flag, initializer, layer: text })),
  'normalizations?': list(record({ layer: text, stats: oneOf('moving', 'cumulative', 'caffe', 'batch', 'global'), values: size })),
  'train?': record({
    'data?': call, augment: list(call), solver: call, schedule: list(schedule), batch: positive,
    'epochs?': positive, 'steps?': positive, seed: integer, accumulate: positive, 'snapshot?': duration, 'test?': duration,
  }),
  plans: table(plan), 'sha256?': hash,
})

function distinct(names: readonly string[], path: string, report: Report): void {
  const seen = new Set<string>()
  names.forEach((n, i) => {
    if (seen.has(n)) report(`${path}[${i}].name`, `${say(n)} is there twice`)
    seen.add(n)
  })
}

function checkParameters(parameters: readonly ParameterEntry[], report: Report): void {
  for (const trainable of [true, false]) {
    const sorted = parameters.map((p, i) => ({ p, i })).filter(({ p }) => p.trainable === trainable).sort((a, b) => a.p.offset - b.p.offset)
    sorted.forEach(({ p, i }, k) => {
      const before = sorted[k - 1]?.p
      if (before && before.offset + elementCount(before.shape) > p.offset) report(`parameters[${i}].offset`, `${p.name} overlaps ${before.name}`)
    })
  }
  parameters.forEach(({ initializer: { kind }, shape: s }, i) => {
    if (kind === 'bilinear' && (s.length !== 4 || s[2] !== s[3])) report(`parameters[${i}].initializer`, `bilinear wants [o, i, k, k], the shape is ${showShape(s)}`)
  })
}

const isWgsl = ({ target }: Plan): boolean => target === 'webgpu' || target === HALF_PLAN || target === SOFTWARE_PLAN

function checkPlan(manifest: Manifest, p: Plan, at: string, files: Bundle['files'] | undefined, report: Report): void {
  p.buffers.forEach((b, i) => {
    const path = `${at}.buffers[${i}]`
    if (b.role !== 'scratch' && sizeAt(b.elements, 1) < 1) report(`${path}.elements`, 'a buffer without elements')
    const given = b.data?.reduce((sum, run) => sum + run.times * run.values.length, 0) ?? 0
    if (given > b.elements.fixed) report(`${path}.data`, `${given} numbers do not fit into ${b.elements.fixed}`)
  })
  p.tensors.forEach((t, i) => {
    const path = `${at}.tensors[${i}]`
    const b = p.buffers[t.buffer]
    if (!b) return report(`${path}.buffer`, `there is no buffer ${t.buffer}`)
    for (const other of t.behind ?? []) {
      if (!(other < i) || p.tensors[other]!.buffer !== t.buffer || b.role !== 'scratch') report(`${path}.behind`, `${t.name} cannot lie behind tensor ${other}: one before it in the same scratch buffer is wanted`)
    }
    if (t.type === 'f16' && (p.target !== HALF_PLAN || (b.role !== 'scratch' && b.role !== 'prepared'))) report(`${path}.type`, `f16 in buffer ${b.name} of ${at}: it can be prepared or scratch of ${HALF_PLAN}`)
    if (b.role === 'scratch') return
    const perSample = t.shape[0] === 'n' ? elementCount(t.shape) * (t.type === 'f16' ? 0.5 : 1) : 0
    if (tensorEnd(t, 1) > sizeAt(b.elements, 1) || perSample > b.elements.perSample) {
      report(`${path}.offset`, `${t.name} ${showShape(t.shape)} from ${t.offset} on does not fit into buffer ${b.name}`)
    }
  })
  for (const role of ['parameters', 'states'] as const) {
    const mine = manifest.parameters.map((q, i) => ({ q, i })).filter(({ q }) => q.trainable === (role === 'parameters'))
    const homes = p.buffers.filter((b) => b.role === role)
    if (homes.length > 1) report(`${at}.buffers`, `${homes.length} buffers of role ${role}; there can be one`)
    for (const { q, i } of mine) {
      const end = q.offset + elementCount(q.shape)
      if (homes[0] && end > homes[0].elements.fixed) report(`parameters[${i}].offset`, `${q.name} ends at ${end}, buffer ${homes[0].name} at ${homes[0].elements.fixed}`)
    }
  }
  manifest.inputs.forEach((input, i) => {
    const buffer = p.buffers.findIndex((b) => b.name === `input.${input.name}`)
    if (buffer < 0) return
    const t = p.tensors[inputTensor(p, input)]
    if (p.buffers[buffer]!.role !== 'input') report(`${at}.buffers[${buffer}].role`, `${input.name} is an input`)
    else if (!t) report(`inputs[${i}].shape`, `no tensor in ${at} is ${showShape(input.shape)}`)
    else if (t.type !== input.type) report(`inputs[${i}].type`, `${input.name} is ${input.type}, its tensor in ${at} ${t.type}`)
  })
  const inputs = new Set(manifest.inputs.map((input) => `input.${input.name}`))
  p.buffers.forEach((b, i) => {
    if (b.role === 'input' && !inputs.has(b.name)) report(`${at}.buffers[${i}].name`, `${b.name} belongs to no input`)
  })
  p.kernels.forEach((k, i) => {
    const path = `${at}.kernels[${i}]`
    for (const key of ['file', 'subgroups'] as const) {
      const name = k[key]
      const text = name === undefined ? undefined : files?.get(name)
      if (files && name !== undefined && text === undefined) report(`${path}.${key}`, `${name} is not there`)
      if (text !== undefined && isWgsl(p) && typeof text !== 'string') report(`${path}.${key}`, `${name} is not a text`)
    }
    if (k.subgroups !== undefined && !isWgsl(p)) report(`${path}.subgroups`, `only WGSL has subgroups`)
    if (k.workgroup > 1024) report(`${path}.workgroup`, `${k.workgroup} is more than any WebGPU runs`)
  })
  if (p.target === 'wasm') checkModule(p, at, files, report)
  for (const [program, entry] of Object.entries(p.programs)) checkProgram(manifest, p, entry, `${at}.programs.${program}`, report)
  for (const { name: n, role } of manifest.outputs) {
    const program = role === 'output' ? 'infer' : 'eval'
    if (!p.programs[program]) report(`${at}.programs.${program}`, 'is missing')
    else if (!Object.hasOwn(p.programs[program].results, n)) report(`${at}.programs.${program}.results`, `${n} is missing`)
  }
}

function checkModule({ module, kernels }: Plan, at: string, files: Bundle['files'] | undefined, report: Report): void {
  if (!module) return report(`${at}.module`, 'is missing')
  if (module.threadBytes > MOST_THREAD_BYTES) report(`${at}.module.threadBytes`, `${module.threadBytes} bytes a thread are absurd`)
  for (const key of ['file', 'relaxed'] as const) {
    const data = files?.get(module[key])
    if (files && data === undefined) report(`${at}.module.${key}`, `${module[key]} is not there`)
    if (typeof data === 'string') report(`${at}.module.${key}`, `${module[key]} is a text`)
  }
  kernels.forEach((k, i) => {
    if (k.file !== module.file) report(`${at}.kernels[${i}].file`, `all kernels lie in ${module.file}`)
  })
}

function checkProgram(manifest: Manifest, p: Plan, program: ProgramEntry, at: string, report: Report): void {
  if (program.needsPrepare && !p.programs['prepare']) report(`${at}.needsPrepare`, 'there is no program `prepare`')
  program.dispatches.forEach((d, i) => {
    const path = `${at}.dispatches[${i}]`
    const kernel = p.kernels[d.kernel]
    if (!kernel) return report(`${path}.kernel`, `there is no kernel ${d.kernel}`)
    if (d.tensors.length !== kernel.bindings.length) return report(`${path}.tensors`, `${kernel.name} binds ${kernel.bindings.length}, here are ${d.tensors.length}`)
    if (d.invocations.fixed + d.invocations.perSample < 1) report(`${path}.invocations`, 'nothing would run')
    const written = new Map<number, boolean>()
    d.tensors.forEach((index, b) => {
      const t = p.tensors[index]
      const binding = kernel.bindings[b]!
      if (!t) return report(`${path}.tensors[${b}]`, `there is no tensor ${index}`)
      if (t.type !== binding.type) report(`${path}.tensors[${b}]`, `${t.name} is ${t.type}, ${kernel.name} binds ${binding.name} as ${binding.type}`)
      if (!isWgsl(p)) return
      if (t.offset % BINDING_ELEMENTS) report(`${path}.tensors[${b}]`, `${t.name} starts at ${t.offset}: WebGPU binds at multiples of ${BINDING_ELEMENTS}`)
      const write = binding.access === 'read_write'
      if ((written.get(t.buffer) ?? write) !== write) report(`${path}.tensors[${b}]`, `buffer ${p.buffers[t.buffer]?.name} is bound both to read and to write`)
      written.set(t.buffer, write)
    })
  })
  const known = new Map<string, readonly (number | 'n')[]>([
    ...manifest.outputs.map((o) => [o.name, o.shape] as const),
    ...[...manifest.inputs, ...manifest.parameters].map((q) => [`grad/${q.name}`, q.shape] as const),
  ])
  for (const [n, index] of Object.entries(program.results)) {
    const t = p.tensors[index]
    const wanted = known.get(n)
    if (!t) report(`${at}.results.${n}`, `there is no tensor ${index}`)
    else if (t.type === 'f16') report(`${at}.results.${n}`, `${t.name} is f16, which no host reads`)
    else if (wanted && (elementCount(wanted, 2) !== elementCount(t.shape, 2) || elementCount(wanted, 3) !== elementCount(t.shape, 3))) {
      report(`${at}.results.${n}`, `${showShape(wanted)} is promised, tensor ${t.name} is ${showShape(t.shape)}`)
    }
  }
}

/**
 * Everything that does not agree, but for hashes. Takes any JSON. `files` absent: they were not read yet. `targets`: only
 * their kernels were.
 */
export function problemsOf(manifest: unknown, files?: Bundle['files'], targets?: readonly string[]): Problem[] {
  const problems: Problem[] = []
  const report: Report = (path, message) => problems.push({ path: path || 'bundle.json', message })
  structure(manifest, '', report)
  if (problems.length) return problems
  const m = manifest as Manifest
  distinct(m.inputs.map((i) => i.name), 'inputs', report)
  distinct(m.outputs.map((o) => o.name), 'outputs', report)
  distinct(m.parameters.map((p) => p.name), 'parameters', report)
  checkParameters(m.parameters, report)
  for (const [target, p] of Object.entries(m.plans)) {
    if (p.target !== target) report(`plans.${target}.target`, `is ${say(p.target)}`)
    checkPlan(m, p, `plans.${target}`, targets && !targets.includes(target) ? undefined : files, report)
  }
  return problems
}
>>>>>>> 6395036 (compiler, runtime: train with stored statistics)

/**
 * Refuses with a BundleError that tells every problem. `sealed`: it comes from a file, so the manifest's own hash must be
 * there. Returns notes: what could not be checked.
 */
export async function checkBundle(bundle: Bundle, options: { sealed?: boolean; targets?: readonly string[] } = {}): Promise<string[]> {
  const { manifest, files } = bundle
  const problems = problemsOf(manifest, files, options.targets)
  if (options.sealed && problems.length === 0 && manifest.sha256 === undefined) problems.push({ path: 'sha256', message: 'is missing' })
  if (problems.length) throw new BundleError(problems)
  const wanted: [path: string, hash: string, data: string | Uint8Array, of: string][] = []
  if (manifest.sha256) wanted.push(['sha256', manifest.sha256, sealedText(manifest), 'the manifest'])
  for (const [target, p] of Object.entries(manifest.plans)) {
    const check = (path: string, file: string, hash: string | undefined): void => {
      const data = files.get(file)
      if (options.sealed && hash === undefined) problems.push({ path, message: 'is missing' })
      if (data !== undefined && hash) wanted.push([path, hash, data, file])
    }
    p.kernels.forEach((k, i) => {
      check(`plans.${target}.kernels[${i}].sha256`, k.file, k.sha256)
      if (k.subgroups !== undefined) check(`plans.${target}.kernels[${i}].subgroupsSha256`, k.subgroups, k.subgroupsSha256)
    })
    if (p.module) {
      check(`plans.${target}.module.sha256`, p.module.file, p.module.sha256)
      check(`plans.${target}.module.relaxedSha256`, p.module.relaxed, p.module.relaxedSha256)
    }
  }
  // Kernels may share a file.
  const hashes = new Map<string | Uint8Array, Promise<string | undefined>>()
  const hashOf = (data: string | Uint8Array): Promise<string | undefined> => {
    const known = hashes.get(data) ?? sha256(data)
    hashes.set(data, known)
    return known
  }
  const found = await Promise.all(wanted.map(([, , data]) => hashOf(data)))
  wanted.forEach(([path, hash, , of], i) => {
    if (found[i] !== undefined && found[i] !== hash) problems.push({ path, message: `${of} was changed: its hash is ${found[i]}` })
  })
  if (problems.length) throw new BundleError(problems)
  return found.includes(undefined) ? ['hashes were not checked: WebCrypto is missing (the page is not served securely)'] : []
}

/** At one batch, exactly: every tensor ends within its buffer. What `load` relies on. */
export function checkBatch(plan: Plan, batch: number): void {
  const problems: Problem[] = []
  plan.tensors.forEach((t, i) => {
    const b = plan.buffers[t.buffer]!
    if (b.role !== 'scratch' && tensorEnd(t, batch) > sizeAt(b.elements, batch)) {
      problems.push({ path: `plans.${plan.target}.tensors[${i}]`, message: `${t.name} does not fit into buffer ${b.name} at batch ${batch}` })
    }
  })
  if (problems.length) throw new BundleError(problems)
}
