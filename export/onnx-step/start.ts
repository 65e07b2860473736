import type { TensorData } from '../../bundle/format.ts'
import type { Graph } from '../../compiler/graph/graph.ts'
import { ExportError, type ExportProblem } from '../export-error.ts'
import type { OnnxGraph, OnnxNode, OnnxValue } from '../onnx/model.ts'
import type { StoredTensor } from '../streamed.ts'
import type { SolverMemory } from './update.ts'

/** A model without inputs that gives what a training starts with: parameters and statistics as they are given, zeros for the solver. */
export function startGraph(
  { name, parameters }: Graph,
  memory: SolverMemory,
  given: ReadonlyMap<string, TensorData> | undefined,
  names: readonly string[],
): OnnxGraph {
  const problems: ExportProblem[] = []
  const nodes: OnnxNode[] = []
  const initializers: StoredTensor[] = []
  const all = [
    ...parameters.map(({ name, value }) => ({ name, tensor: value, isGiven: true })),
    ...memory.all.map((state) => ({ ...state, isGiven: false })),
  ]
  const outputs = all.map(({ name, tensor, isGiven }, i): OnnxValue => {
    const shape = tensor.shape as readonly number[]
    const output = names[i]!
    const found = isGiven ? given?.get(name) : undefined
    if (isGiven && !found) problems.push({ where: name, what: given ? 'the weights do not have it' : 'the bundle has no weights' })
    else if (found && found.shape.join() !== shape.join())
      problems.push({ where: name, what: `the weights have it as [${found.shape.join(', ')}], the net as [${shape.join(', ')}]` })
    if (found) {
      initializers.push({ name: `start/${output}`, type: 'f32', shape, values: () => Float32Array.from(found.data as ArrayLike<number>) })
      nodes.push({ name: output, op: 'Identity', inputs: [`start/${output}`], outputs: [output], attributes: {} })
    } else if (!isGiven) nodes.push(...zeros(output, shape))
    return { name: output, type: 'f32', shape }
  })
  if (problems.length > 0) throw new ExportError(problems)
  return { name: `${name}_start`, nodes, initializers, inputs: [], outputs, values: [] }
}

/** Zeros take no room in a file. */
function zeros(name: string, shape: readonly number[]): OnnxNode[] {
  const value = { name: `${name}/zero`, type: 'f32' as const, shape: [1], values: () => new Float32Array(1) }
  const sizes = { name: `${name}/shape`, type: 'i64' as const, shape: [shape.length], values: () => shape }
  return [
    { name: `${name}/shape`, op: 'Constant', inputs: [], outputs: [`${name}/shape`], attributes: { value: { tensor: sizes } } },
    { name, op: 'ConstantOfShape', inputs: [`${name}/shape`], outputs: [name], attributes: { value: { tensor: value } } },
  ]
}
