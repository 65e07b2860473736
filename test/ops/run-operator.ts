import { expect } from 'vitest'
import type { Diagnostic } from '../../dsl/diagnostic.ts'
import type { Attributes } from '../../dsl/signature.ts'
import { nowhere } from '../../dsl/source.ts'
import { type Node, value, type Value } from '../../compiler/graph/graph.ts'
import type { GradientBuilder, ShapeAnswer } from '../../compiler/ops/operator.ts'
import { operators } from '../../compiler/ops/registry.ts'
import { compileEquation, evaluateEquation, type Numbers, type Scalars } from '../../compiler/targets/interpreter/evaluate.ts'
import { type Shape, type Tensor } from '../../compiler/ir/tensor.ts'

/** What a test feeds: real sizes, the batch among them. */
export interface Fed {
  readonly shape: readonly number[]
  readonly data: readonly number[] | Float64Array
  readonly labels?: boolean
  /** Declared `whole`: axis 0 is not the batch. */
  readonly whole?: boolean
  readonly classes?: number
}

export interface Call {
  readonly op: string
  readonly inputs: readonly Fed[]
  readonly attributes?: Attributes
  /** Values of parameters by role; what is not given starts as the layer says (constants only). */
  readonly parameters?: Readonly<Record<string, readonly number[]>>
  readonly scalars?: Partial<Scalars>
}

export interface Built {
  readonly node: Node
  readonly storage: Map<Tensor, Numbers>
  readonly scalars: Scalars
}

/** Arguments as the evaluator hands them on: defaults filled in. */
const withDefaults = (op: string, given: Attributes): Attributes => {
  const parameters = operators.get(op)?.signature?.parameters ?? []
  return { ...Object.fromEntries(parameters.flatMap((p) => (p.default !== undefined ? [[p.name, p.default]] : []))), ...given }
}

const valueOf = (fed: Fed, i: number): Value =>
  value(`x${i}`, fed.whole ? fed.shape : ['n', ...fed.shape.slice(1)], nowhere, { type: fed.labels ? 'i32' : 'f32' })

/** Asks the shape rule. */
export function ask(call: Call): ShapeAnswer | readonly Diagnostic[] {
  const inputs = call.inputs.map(valueOf)
  return operators.get(call.op)!.shape!({
    name: call.op,
    op: call.op,
    inputs,
    inputSpans: inputs.map(() => nowhere),
    attributes: withDefaults(call.op, call.attributes ?? {}),
    attributeSpans: {},
    span: nowhere,
    classesOf: (v) => call.inputs[inputs.indexOf(v)]?.classes,
  })
}

/** The codes of what is wrong with a call. */
export const codes = (call: Call): string[] => {
  const answer = ask(call)
  return 'shape' in answer ? [] : answer.map((d) => d.code)
}

export function build(call: Call): Built {
  const inputs = call.inputs.map(valueOf)
  const attributes = withDefaults(call.op, call.attributes ?? {})
  const answer = operators.get(call.op)!.shape!({
    name: call.op,
    op: call.op,
    inputs,
    inputSpans: inputs.map(() => nowhere),
    attributes,
    attributeSpans: {},
    span: nowhere,
    classesOf: () => undefined,
  })
  if (!('shape' in answer)) throw new Error(answer.map((d) => d.message).join('; '))
  const storage = new Map<Tensor, Numbers>(inputs.map((v, i) => [v, Float64Array.from(call.inputs[i]!.data)]))
  const parameters: Record<string, Value> = {}
  for (const spec of answer.parameters ?? []) {
    const p = value(spec.role, spec.shape, nowhere)
    parameters[spec.role] = p
    const count = spec.shape.reduce((a, b) => a * b, 1)
    storage.set(p, Float64Array.from(call.parameters?.[spec.role] ?? new Array<number>(count).fill(spec.filler.value ?? 0)))
  }
  for (const { role, shape, values } of answer.constants ?? []) {
    const constant = value(role, shape, nowhere)
    parameters[role] = constant
    storage.set(constant, Float64Array.from(values))
  }
  const node: Node = {
    name: 'layer',
    op: call.op,
    layer: 'layer',
    inputs,
    parameters,
    outputs: [value('y', answer.shape, nowhere)],
    attributes,
    span: nowhere,
  }
  const batched = call.inputs.find((fed) => !fed.whole)
  return { node, storage, scalars: { batch: batched?.shape[0] ?? 1, step: 3, seed: 7, ...call.scalars } }
}

/** Runs a node. However sums are cut, they are the same. */
export function runNode({ storage, scalars }: Omit<Built, 'node'>, node: Node): void {
  const { equations, equationsInTasks } = operators.get(node.op)!
  const inTasks = new Map(storage)
  for (const e of equations(node)) evaluateEquation(e, storage, scalars)
  if (!equationsInTasks) return
  for (const e of equationsInTasks(node)) evaluateEquation(e, inTasks, scalars)
  for (const out of node.outputs)
    expectClose(inTasks.get(out) as Float64Array, storage.get(out) as Float64Array, 1e-9, `${out.name} in tasks`)
}

/** What a layer gives. */
export function forward(call: Call): Float64Array {
  const built = build(call)
  runNode(built, built.node)
  return built.storage.get(built.node.outputs[0]!) as Float64Array
}

export interface Backward {
  readonly y: Float64Array
  readonly inputs: readonly (Float64Array | undefined)[]
  readonly parameters: Readonly<Record<string, Float64Array | undefined>>
}

/** What a layer hands back for a gradient of its output. */
export function backward(
  call: Call,
  dy: readonly number[] | Float64Array,
  needs: (v: Value) => boolean = (v) => v.type === 'f32',
): Backward {
  const built = build(call)
  runNode(built, built.node)
  const { node, storage } = built
  const dOut = value('dy', node.outputs[0]!.shape, nowhere)
  storage.set(dOut, Float64Array.from(dy))
  const builder: GradientBuilder = {
    needs,
    node: (spec) => {
      const outputs = spec.outputs.map((o) => value(o.name, o.shape, nowhere))
      const made: Node = {
        name: `layer.${spec.suffix}`,
        op: spec.op,
        layer: 'layer',
        inputs: spec.inputs,
        parameters: spec.parameters ?? {},
        attributes: spec.attributes ?? {},
        outputs,
        span: nowhere,
      }
      runNode(built, made)
      return outputs
    },
  }
  const given = operators.get(node.op)!.gradient!(node, dOut, builder)
  const read = (v: Value | undefined): Float64Array | undefined => v && (storage.get(v) as Float64Array)
  const shapeOf = (v: Value): Shape => v.shape
  node.inputs.forEach((x, i) => {
    const d = given.inputs?.[i]
    if (d) expect(shapeOf(d), `shape of the gradient of input ${i}`).toEqual(shapeOf(x))
  })
  return {
    y: storage.get(node.outputs[0]!) as Float64Array,
    inputs: node.inputs.map((_, i) => read(given.inputs?.[i])),
    parameters: Object.fromEntries(Object.keys(node.parameters).map((role) => [role, read(given.parameters?.[role])])),
  }
}

/** Numbers in -2..2 that repeat from run to run. */
export function noise(count: number, seed = 1): Float64Array {
  let state = (seed * 2654435761) >>> 0
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state / 2 ** 32) * 4 - 2
  })
}

export const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)
export const fed = (shape: readonly number[], seed = 1, more: Partial<Fed> = {}): Fed => ({
  shape,
  data: noise(size(shape), seed),
  ...more,
})

export function expectClose(got: ArrayLike<number> | undefined, want: ArrayLike<number>, tolerance = 1e-10, what = 'values'): void {
  expect(got, what).toBeDefined()
  expect(got!.length, `${what}: how many`).toBe(want.length)
  for (let i = 0; i < want.length; i++) {
    const error = Math.abs(got![i]! - want[i]!)
    if (!(error <= tolerance * Math.max(1, Math.abs(want[i]!)))) expect.fail(`${what}[${i}] is ${got![i]}, not ${want[i]}`)
  }
}

/** Compares every gradient with central differences of sum(y dy). Inputs that get no gradient are passed over. */
export function expectGradients(call: Call, seed = 99): void {
  const { node, storage, scalars } = build(call)
  const equations = operators.get(node.op)!.equations(node).map((equation) => ({ equation, compiled: compileEquation(equation) }))
  const output = node.outputs[0]!
  /** What the layer gives where one of its values is another. */
  const forwardWith = (changed?: Value, data?: Float64Array): Float64Array => {
    const fresh = new Map([...storage].map(([t, values]) => [t, t === changed ? data! : values.slice()]))
    for (const { equation, compiled } of equations) evaluateEquation(equation, fresh, scalars, compiled)
    return fresh.get(output) as Float64Array
  }
  const dy = noise(forwardWith().length, seed)
  const given = backward(call, dy)
  const step = 1e-5
  const differences = (v: Value): number[] => {
    const start = Float64Array.from(storage.get(v)!)
    const objective = (i: number, by: number): number =>
      forwardWith(v, start.with(i, start[i]! + by)).reduce((sum, y, j) => sum + y * dy[j]!, 0)
    return Array.from(start, (_, i) => (objective(i, step) - objective(i, -step)) / (2 * step))
  }
  node.inputs.forEach((x, k) => {
    if (given.inputs[k]) expectClose(given.inputs[k], differences(x), 1e-6, `gradient of input ${k}`)
  })
  for (const [role, got] of Object.entries(given.parameters))
    if (got) expectClose(got, differences(node.parameters[role]!), 1e-6, `gradient of ${role}`)
}
