import { type ArgumentType, type Attribute, type Parameter, type Signature, tensorNames } from '../../dsl/signature.ts'
import type { Entry } from './table.ts'

/** An argument for people. */
export interface ArgumentText {
  readonly name: string
  /** The values that may be written, with their bounds. */
  readonly takes: string
  /** The default as the language writes it; absent where there is none. */
  readonly default?: string
  /** The meaning where it is not given and has no default. */
  readonly otherwise?: string
  readonly required: boolean
  readonly named: boolean
  readonly aliases: readonly string[]
  readonly doc: string
}

const bounds = ({ min, max, above, below }: { min?: number; max?: number; above?: number; below?: number }): string =>
  [
    ...(min !== undefined ? [`at least ${min}`] : []),
    ...(above !== undefined ? [`above ${above}`] : []),
    ...(max !== undefined ? [`at most ${max}`] : []),
    ...(below !== undefined ? [`below ${below}`] : []),
  ].map((bound) => `, ${bound}`).join('')

const either = (words: readonly string[]): string => words.join(' | ')

/** The values that may be written for an argument. */
export function typeText(type: ArgumentType): string {
  switch (type.kind) {
    case 'integer':
      return `integer${bounds(type)}`
    case 'number':
      return `number${bounds(type)}`
    case 'boolean':
      return 'true | false'
    case 'window':
      return `${either(['number', '[height, width]', ...(type.sides ? ['[top, bottom, left, right]'] : []), ...(type.words ?? [])])}${
        bounds({ ...(type.min !== undefined && { min: type.min }) })
      }`
    case 'word':
      return either(type.words)
    case 'numbers':
      return `${type.integer ? 'integers' : 'numbers'} [a, b, ...], or one${type.length === undefined ? '' : `; ${type.length} of them`}${
        type.min === undefined ? '' : `; from ${type.min} on`
      }`
    case 'string':
      return '"text"'
    case 'call':
      return either(type.calls.map((call) => (call.parameters.length > 0 ? `${call.name}(...)` : call.name)))
    case 'layer':
      return 'name of a layer'
    case 'value':
      return 'a value'
    case 'duration':
      return `updates, or N epochs${bounds(type)}`
    case 'durations':
      return 'list of updates or epochs'
  }
}

/** A default as it would be written. */
export function valueText(value: Attribute, type: ArgumentType): string {
  if (type.kind === 'window' && Array.isArray(value) && value[0] === value[1]) return String(value[0])
  if (Array.isArray(value)) return `[${value.map((v) => (typeof v === 'object' ? `${v.count} ${v.unit}` : String(v))).join(', ')}]`
  if (typeof value === 'object' && 'call' in value) {
    const signature = type.kind === 'call' ? type.calls.find((call) => call.name === value.call) : undefined
    const given = Object.entries(value.args).map(([name, argument]) =>
      `${name}: ${valueText(argument, signature?.parameters.find((p) => p.name === name)?.type ?? { kind: 'number' })}`
    )
    return `${value.call}${given.length > 0 ? `(${given.join(', ')})` : ''}`
  }
  if (typeof value === 'object' && 'count' in value) return `${value.count} ${value.unit}`
  return String(value)
}

export function argumentsOf({ signature, page }: Entry): readonly ArgumentText[] {
  return signature.parameters.map((parameter: Parameter) => {
    const { name, type, named = false, aliases = [], doc = '', optional = false } = parameter
    const otherwise = page.absent?.[name]
    return {
      name,
      takes: typeText(type),
      required: parameter.default === undefined && !optional,
      named,
      aliases,
      doc,
      ...(parameter.default !== undefined && { default: valueText(parameter.default, type) }),
      ...(otherwise !== undefined && { otherwise }),
    }
  })
}

/** `conv(out, kernel, stride: 1, ...)`, with all that it takes. Arguments without a default that may be left out stand in no call. */
export function callText(signature: Signature): string {
  const { name, parameters, values } = signature
  const tensors = (values?.min ?? 0) < 2 ? [] : [...tensorNames(signature), ...(values!.max === Infinity ? ['...'] : [])]
  const given = parameters.flatMap((
    p,
  ) => (p.default !== undefined ? [`${p.name}: ${valueText(p.default, p.type)}`] : p.optional ? [] : [p.named ? `${p.name}: ...` : p.name]))
  const all = [...tensors, ...given]
  return all.length > 0 ? `${name}(${all.join(', ')})` : name
}

/** A call as somebody has it before their eyes: only what must be given. */
export function shortCall(signature: Signature): string {
  const { name, parameters, values } = signature
  const all = [
    ...((values?.min ?? 0) < 2 ? [] : tensorNames(signature)),
    ...parameters.flatMap((p) => (p.default === undefined && !p.optional ? [p.named ? `${p.name}: ...` : p.name] : [])),
  ]
  return all.length > 0 ? `${name}(${all.join(', ')})` : name
}

/** The example as a whole program. */
export function exampleText({ kind, page }: Entry): string {
  const lines = page.example
  if (['solver', 'schedule', 'augmentation', 'dataset'].includes(kind)) {
    return `net example {\n  input image: f32[${
      page.picture ?? '3, 32, 32'
    }]\n  input label: class[10]\n  scores = image -> fc(10)\n  output prob = softmax(scores)\n  loss = softmax_loss(scores, label)\n}\n\ntrain {\n${
      lines.map((line) => `  ${line}`).join('\n')
    }\n}`
  }
  return `net example {\n${lines.map((line) => `  ${line}`).join('\n')}\n}`
}
