import type { Node, Value } from '../../compiler/graph/graph.ts'
import { readsOf } from '../../compiler/graph/query.ts'
import { UniqueNames } from '../../compiler/unique-names.ts'
import type { ExportProblem } from '../export-error.ts'
import type { InferenceNet } from '../inference-net.ts'
import type { Blobs, Layer, Range } from './layer.ts'
import type { CaffeBlob, CaffeLayer, CaffeNet, CaffeParams } from './model.ts'

/** Gathers the layers of a net of Caffe. Names of layers are unique, and so are those of blobs: no layer works in place. */
export class NetBuilder {
  readonly problems: ExportProblem[] = []
  private readonly net: InferenceNet
  private readonly layers: CaffeLayer[] = []
  private readonly layerNames = new UniqueNames()
  private readonly blobNames = new UniqueNames()
  /** Blobs of values. */
  private readonly blobs = new Map<Value, string>()
  /** Names that values have because they are outputs of the net. */
  private readonly outputs = new Map<Value, string>()
  private readonly parameters = new Map<Value, Node>()

  constructor(net: InferenceNet, batch: number) {
    this.net = net
    const { graph, inputs } = net
    for (const input of inputs) {
      const name = this.blobNames.give(input.name)
      this.blobs.set(input, name)
      if (input.type !== 'f32') this.problems.push({ where: input.name, what: 'labels are no numbers that layers of Caffe take' })
      const dim = input.shape.map((size) => (size === 'n' ? batch : size))
      this.push(this.layerNames.give(input.name), 'Input', [], [name], { input_param: { shape: { dim } } })
    }
    for (const node of graph.nodes) if (node.op === 'parameter') this.parameters.set(node.outputs[0]!, node)
    // A net of Caffe gives what no layer reads; what is read too, or twice an output, is split.
    const read = new Set(graph.nodes.flatMap(readsOf))
    for (const { name, value } of graph.outputs) {
      const isOwn = !read.has(value) && !this.outputs.has(value) && !this.blobs.has(value)
      if (isOwn) this.outputs.set(value, this.blobNames.give(name))
    }
  }

  private push(
    name: string,
    type: string,
    bottoms: readonly string[],
    tops: readonly string[],
    params: CaffeParams = {},
    more: Blobs = {},
  ): void {
    this.layers.push({ name, type, bottoms, tops, params, blobs: more.blobs ?? [], constant: more.constant === true })
  }

  /** A layer of the net, whose row adds layers of Caffe. */
  layer(node: Node): Layer {
    const [output] = node.outputs as [Value]
    const hasParameters = Object.keys(node.parameters).length > 0
    // Readers that know layers alone, as OpenCV, find an output where its layer has its name: one that the text leaves without one.
    const isBare = !hasParameters && node.layer.replace(/_\d+$/, '') === node.op
    const name = this.layerNames.give((isBare && this.outputs.get(output)) || node.layer)
    let isNamed = false
    const ownName = (suffix: string): string => {
      if (suffix !== '') return this.layerNames.give(`${name}.${suffix}`)
      isNamed = true
      return name
    }
    const main = (own = name): string => {
      const blob = this.outputs.get(output) ?? this.blobNames.give(own)
      this.blobs.set(output, blob)
      return blob
    }
    const tensor = (role: string) => this.net.tensors.get(node.parameters[role]!)!
    return {
      node,
      attributes: node.attributes,
      shapes: node.inputs.map(({ shape }) => shape),
      shape: output.shape,
      input: (i = 0) => this.blobOf(node, node.inputs[i]!),
      has: (role) => node.parameters[role] !== undefined,
      parameter: (role, shape = tensor(role).shape) => ({ name: '', type: 'f32', shape, values: tensor(role).values }),
      values: (role) => tensor(role).values(),
      learned: (input) => {
        const maker = this.parameters.get(input)
        const given = maker && this.net.tensors.get(maker.parameters['weight']!)
        return given && { name: '', type: 'f32', shape: given.shape, values: given.values }
      },
      numbers: (values, shape = [values.length]) => constantBlob(values, shape),
      add: (suffix, type, bottoms, params, more) => {
        // The name is that of the blob that counts, but where weights are looked for under it.
        const own = ownName(suffix === '' && !hasParameters ? type.toLowerCase() : suffix)
        const top = this.blobNames.give(own)
        this.push(own, type, bottoms, [top], params, more)
        return top
      },
      done: (type, bottoms, params, more) => {
        const own = ownName(isNamed ? type.toLowerCase() : '')
        this.push(own, type, bottoms, [main(own)], params, more)
      },
      cut: (suffix, x, axis, size, range, isLast = false) =>
        this.cut(ownName(isLast && !isNamed ? '' : suffix), x, axis, size, range, isLast ? main : undefined),
      same: (blob) => {
        if (this.outputs.has(output)) this.push(name, 'Split', [blob], [main()])
        else this.blobs.set(output, blob)
      },
      fail: (what, mend) => {
        this.problems.push({ where: node.layer, what, ...(mend !== undefined && { mend }) })
        // Layers behind it are looked at too.
        main()
      },
    }
  }

  /** Elements along an axis: Slice, and Silence for what nobody reads, which would be an output of the net. */
  private cut(name: string, x: string, axis: number, size: number, [from, to]: Range, main: (() => string) | undefined): string {
    const top = main?.() ?? this.blobNames.give(name)
    const left = [...(from > 0 ? ['front'] : []), 'kept', ...(to < size ? ['rest'] : [])]
    const tops = left.map((part) => (part === 'kept' ? top : this.blobNames.give(`${name}.${part}`)))
    const slice_point = [...(from > 0 ? [from] : []), ...(to < size ? [to] : [])]
    if (slice_point.length === 0) this.push(name, 'Split', [x], tops)
    else {
      this.push(name, 'Slice', [x], tops, { slice_param: { axis, slice_point } })
      this.push(this.layerNames.give(`${name}.silence`), 'Silence', tops.filter((each) => each !== top), [])
    }
    return top
  }

  finish(): CaffeNet {
    for (const { name, value } of this.net.graph.outputs) {
      if (this.outputs.get(value) === name) continue
      const own = this.blobNames.give(name)
      this.push(this.layerNames.give(name), 'Split', [this.blobOf(undefined, value)], [own])
    }
    return { name: this.net.graph.name, layers: this.layers }
  }

  private blobOf(node: Node | undefined, value: Value): string {
    const known = this.blobs.get(value)
    if (known !== undefined) return known
    const where = node?.layer ?? value.name
    if (!this.problems.some((problem) => problem.where === where && problem.what === LEARNED))
      this.problems.push({
        where,
        what: LEARNED,
        mend: 'multiply or add it to a value of the axes that it has: those become Scale and Bias',
      })
    return value.name
  }
}

const LEARNED = 'it reads a learned tensor, and blobs of Caffe have a batch'

export const constantBlob = (values: ArrayLike<number> & Iterable<number>, shape: readonly number[]): CaffeBlob => ({
  name: '',
  type: 'f32',
  shape,
  values: () => Float32Array.from(values),
})
