import { vocabulary } from '../../../compiler/front-end/vocabulary.ts'
import { loadProgram } from '../../../dsl/index.ts'
import type { Program, ValueRef } from '../../../dsl/program.ts'
import type { Attribute, AttributeCall } from '../../../dsl/signature.ts'
import type { Argument, ArgumentCall, ModelNet } from '../../../import/model-net.ts'

/** The program of a text without mistakes. */
export function programOf(text: string): Program {
  const { program, diagnostics } = loadProgram({ file: 'test.net', text }, { vocabulary })
  if (!program) throw new Error(`${diagnostics.map(({ message }) => message).join('\n')}\n${text}`)
  return program
}

/** A program as a reader of some format would hand it to the writer. Undefined: it says what no foreign model says (inputs without a batch). */
export function programNet(program: Program): ModelNet | undefined {
  if (program.inputs.some(({ batched }) => !batched)) return undefined
  const value = (ref: ValueRef): string => (ref.kind === 'input' ? ref.name : `/${program.layers[ref.index]!.name}/out`)
  const byName = new Map(program.layers.map((layer, index) => [layer.name, value({ kind: 'layer', index })]))
  return {
    name: program.name,
    ...(program.style && { style: program.style }),
    inputs: program.inputs.map(({ name, shape, classes, classNames }) => ({
      value: name,
      shape,
      ...(classes !== undefined && { classes: classNames ?? classes }),
    })),
    layers: program.layers.map(({ name, op, inputs, attributes }, index) => {
      const { weights, ...others } = attributes
      return {
        op,
        name,
        inputs: inputs.map(value),
        arguments: Object.fromEntries(Object.entries(others).map(([key, one]) => [key, argument(one)])),
        ...(typeof weights === 'string' && { sharesWith: byName.get(weights)! }),
        output: value({ kind: 'layer', index }),
        from: [name],
      }
    }),
    results: [
      ...program.outputs.map((one) => ({ kind: 'output' as const, name: one.name, value: value(one.value) })),
      ...program.losses.map((one) => ({ kind: 'loss' as const, name: one.name, value: value(one.value) })),
      ...program.metrics.map((one) => ({ kind: 'metric' as const, name: one.name, value: value(one.value) })),
    ],
    notes: [],
  }
}

function argument(value: Attribute): Argument {
  if (typeof value !== 'object') return value
  if ('call' in value) return callArgument(value)
  if ('count' in value) throw new Error('no layer takes durations')
  return value as readonly number[]
}

const callArgument = ({ call, args }: AttributeCall): ArgumentCall => ({
  call,
  arguments: Object.fromEntries(Object.entries(args).map(([name, one]) => [name, argument(one)])),
})

/** A program whose pools say their stride only where it is not their window: the writer leaves it out. */
export const withoutOwnStrides = (program: Program): Program => ({
  ...program,
  layers: program.layers.map((layer) => {
    const { stride, ...others } = layer.attributes
    return layer.op.endsWith('_pool') && JSON.stringify(stride) === JSON.stringify(others['kernel']) ? { ...layer, attributes: others }
      : layer
  }),
})
