import type { ModelLayer, ModelTensor } from '../model-net.ts'

/** The layers of a net while patterns rewrite them: who makes a value, who reads it, whether somebody outside wants it, its shape. */
export class LayerGraph {
  /** One slot for each layer that there was; a rewritten one holds what took its place, in the order of running. */
  private readonly slots: (readonly ModelLayer[])[]
  private readonly slotOf = new Map<string, number>()
  private readonly makers = new Map<string, ModelLayer>()
  private readonly readersOf = new Map<string, Set<ModelLayer>>()
  private readonly kept: ReadonlySet<string>
  private readonly shapes: Map<string, readonly number[]>

  /**
   * `kept` are the values that results of the net name: they stay. `shapes` are those of one sample, without the batch, by value; one that is
   * absent is not known, and patterns that need it do not apply.
   */
  constructor(layers: readonly ModelLayer[], kept: ReadonlySet<string>, shapes: ReadonlyMap<string, readonly number[]>) {
    this.kept = kept
    this.shapes = new Map(shapes)
    this.slots = layers.map((layer) => [layer])
    layers.forEach((layer, slot) => this.enter(layer, slot))
  }

  /** The layers as they are now, each behind those that it reads. */
  layers(): readonly ModelLayer[] {
    return this.slots.flat()
  }

  maker(value: string | number): ModelLayer | undefined {
    return typeof value === 'string' ? this.makers.get(value) : undefined
  }

  /** The layers that read a value, or use the parameters of the layer that makes it. */
  readers(value: string): ReadonlySet<ModelLayer> {
    return this.readersOf.get(value) ?? NOBODY
  }

  /** Whether other layers use the parameters of the one that makes a value: then they stay as they are. */
  isShared(value: string): boolean {
    return [...this.readers(value)].some((reader) => reader.sharesWith === value)
  }

  isKept(value: string): boolean {
    return this.kept.has(value)
  }

  /** Whether a value is of no interest to anybody but these layers. */
  isInner(value: string, within: ReadonlySet<ModelLayer>): boolean {
    return !this.kept.has(value) && [...this.readers(value)].every((reader) => within.has(reader))
  }

  shape(value: string | number): readonly number[] | undefined {
    return typeof value === 'string' ? this.shapes.get(value) : []
  }

  /** Says the shape of one sample of a value that a pattern made. */
  setShape(value: string, shape: readonly number[]): void {
    this.shapes.set(value, shape)
  }

  /** The tensor of a `parameter`: the same for all samples, its shape has no batch. */
  tensor(value: string | number): ModelTensor | undefined {
    const maker = this.maker(value)
    return maker?.op === 'parameter' ? Object.values(maker.parameters ?? {})[0] : undefined
  }

  /** Puts layers into the place of one; `gone` vanish with it. What they made and others still read must be made by the new ones. */
  replace(layer: ModelLayer, by: readonly ModelLayer[], gone: Iterable<ModelLayer> = []): void {
    for (const one of gone) if (one !== layer) this.remove(one)
    const slot = this.slotOf.get(layer.output)
    if (slot === undefined) throw new Error(`${layer.op} ${layer.output} is no layer of the net`)
    this.leave(layer)
    this.slots[slot] = this.slots[slot]!.flatMap((one) => (one === layer ? by : [one]))
    for (const one of by) this.enter(one, slot)
  }

  remove(layer: ModelLayer): void {
    const slot = this.slotOf.get(layer.output)
    if (slot === undefined) throw new Error(`${layer.op} ${layer.output} is no layer of the net`)
    this.leave(layer)
    this.slots[slot] = this.slots[slot]!.filter((one) => one !== layer)
  }

  /** Lets all who read `from` read `to`, which is made before them. */
  redirect(from: string, to: string): void {
    for (const reader of [...this.readers(from)]) {
      const inputs = reader.inputs.map((input) => (input === from ? to : input))
      const sharesWith = reader.sharesWith === from ? { sharesWith: to } : {}
      this.replace(reader, [{ ...reader, inputs, ...sharesWith }])
    }
  }

  private enter(layer: ModelLayer, slot: number): void {
    this.makers.set(layer.output, layer)
    this.slotOf.set(layer.output, slot)
    for (const value of valuesRead(layer)) {
      const readers = this.readersOf.get(value)
      if (readers) readers.add(layer)
      else this.readersOf.set(value, new Set([layer]))
    }
  }

  private leave(layer: ModelLayer): void {
    this.makers.delete(layer.output)
    this.slotOf.delete(layer.output)
    for (const value of valuesRead(layer)) this.readersOf.get(value)?.delete(layer)
  }
}

const NOBODY: ReadonlySet<ModelLayer> = new Set()

function valuesRead(layer: ModelLayer): string[] {
  const values = layer.inputs.filter((input) => typeof input === 'string')
  return layer.sharesWith === undefined ? values : [...values, layer.sharesWith]
}
