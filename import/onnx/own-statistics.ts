import type { GraphProto, NodeProto, TensorProto } from './proto.ts'
import { storedTensor, type TensorFiles } from './tensor-data.ts'

/** Marks a BatchNormalization that computes with the statistics of its own batch: its mean and variance are no inputs of it. */
export const OWN_STATISTICS = 'own_statistics'

/**
 * BatchNormalization whose mean and variance are those of its input, as PyTorch writes a layer of track_running_stats=False:
 *   t = Transpose(Reshape(x, [batch, channels, -1]), [0, 2, 1]);   mean = ReduceMean(t, [0, 1])
 *   d = t - ReduceMean(t, [0, 1]);                                 variance = ReduceMean(d * d, [0, 1])
 * The nodes with such ones marked, and read of x alone, so that nobody needs the others.
 */
export function withOwnStatistics(graph: GraphProto, files: TensorFiles): GraphProto {
  if (!graph.nodes.some(({ opType, domain }) => opType === 'BatchNormalization' && domain === '')) return graph
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)))
  const stored = new Map<string, TensorProto>(graph.initializers.map((tensor) => [tensor.name, tensor]))
  const maker = (name: string | undefined, opType: string): NodeProto | undefined => {
    const node = name ? makers.get(name) : undefined
    return node?.opType === opType && node.domain === '' ? node : undefined
  }
  const ints = (node: NodeProto, attribute: string, input: number): readonly number[] | undefined => {
    const given = node.attributes.find(({ name }) => name === attribute)?.ints
    if (given || !node.inputs[input]) return given
    const tensor = stored.get(node.inputs[input]) ??
      maker(node.inputs[input], 'Constant')?.attributes.find(({ name }) => name === 'value')?.t
    return tensor && tensor.dims.length === 1 && tensor.dims[0]! <= 8 ? [...storedTensor(tensor, files).values()] : undefined
  }
  /** What the mean over the first two axes is taken of. */
  const averaged = (name: string | undefined): string | undefined => {
    const mean = maker(name, 'ReduceMean')
    return mean && ints(mean, 'axes', 1)?.join() === '0,1' ? mean.inputs[0] : undefined
  }
  const isOwn = ({ inputs: [x, scale, , mean, variance] }: NodeProto): boolean => {
    const positions = averaged(mean)
    const transposed = maker(positions, 'Transpose')
    const reshaped = maker(transposed?.inputs[0], 'Reshape')
    if (!transposed || !reshaped || reshaped.inputs[0] !== x || ints(transposed, 'perm', 1)?.join() !== '0,2,1') return false
    const shape = ints(reshaped, 'shape', 1)
    const channels = stored.get(scale ?? '')?.dims[0] ?? shape?.[1]
    if (shape?.length !== 3 || shape[1] !== channels || shape[2] !== -1) return false
    const square = maker(averaged(variance), 'Mul')
    const away = square && square.inputs[0] === square.inputs[1] ? maker(square.inputs[0], 'Sub') : undefined
    return away?.inputs[0] === positions && averaged(away?.inputs[1]) === positions
  }
  const mark = { name: OWN_STATISTICS, type: 2, f: 0, i: 1, s: '', floats: [], ints: [], strings: [], reference: '' }
  const nodes = graph.nodes.map((node) =>
    node.opType === 'BatchNormalization' && node.domain === '' && isOwn(node)
      ? { ...node, inputs: node.inputs.slice(0, 3), attributes: [...node.attributes, mark] }
      : node
  )
  return { ...graph, nodes }
}
