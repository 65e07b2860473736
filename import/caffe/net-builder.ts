import type { ImportProblem } from '../import-error.ts'
import type { ArgumentCall, ModelInput, ModelLayer, ModelResult, Note } from '../model-net.ts'
import type { ReadOptions } from '../read-options.ts'
import type { BlobRef, CaffeLayer } from './dataflow.ts'
import type { FileLayer } from './weights.ts'
import { quoted } from '../../bundle/quoted.ts'

/** A value of the new net. `dims` are those of one sample, [C, H, W]; axis 0 of Caffe is the batch. */
export interface Blob {
  readonly value: string
  readonly dims: readonly number[]
  /** Whether it is a loss or a metric: one number for all samples. */
  readonly scalar?: boolean
  /** Set where the value comes from outside and its shape or whether it holds labels is not known before it is used. */
  readonly source?: Source
}

/** An input of the net. */
export interface Source {
  readonly value: string
  /** Undefined as long as nothing says it. */
  dims: readonly number[] | undefined
  /** The number of classes, where its numbers are labels. */
  classes?: number
  /** Whether a layer reads it as numbers. */
  numbers?: boolean
}

/** A value that a loss compares, and the function that makes a prediction of it. */
export interface Head {
  readonly value: string
  readonly loss: string
  readonly function?: 'softmax' | 'sigmoid'
}

/** Where weights come from and what readers ask for. */
export interface BuilderOptions extends ReadOptions {
  readonly file: string
  readonly fileLayers: ReadonlyMap<string, FileLayer> | undefined
}

/** Which parameter of which layer has a name. */
type Owner = { readonly layer: CaffeLayer; readonly role: number; readonly roles: number }

/** The net as it grows, layer by layer. */
export class NetBuilder {
  readonly options: BuilderOptions
  readonly layers: ModelLayer[] = []
  readonly results: ModelResult[] = []
  readonly notes: Note[] = []
  readonly sources: Source[] = []
  readonly problems: ImportProblem[]
  /** Layers of the weights' file that found theirs. */
  readonly used = new Set<string>()
  /** Layers with parameters that the weights' file does not have. */
  readonly bare: string[] = []
  /** Layers whose weights would start with 0, for want of a filler. */
  readonly fillerless: string[] = []
  readonly owners = new Map<string, Owner>()
  /** The value of the layer that got the parameters of a layer of Caffe. */
  readonly owning = new Map<CaffeLayer, string>()
  /** How the net spells batch normalization. That is kept; how it is lowered is the compiler's affair, which fuses both. */
  readonly styles = new Set<'merged' | 'split'>()
  /** What data layers say of training. */
  batch: number | undefined
  data: ArgumentCall | undefined
  readonly augment: ArgumentCall[] = []
  /** What losses compare with their targets: what the net says, where it has no outputs of its own. */
  readonly heads: Head[] = []
  private readonly blobs = new Map<CaffeLayer, readonly Blob[]>()
  /** Names of values, and how often each was asked for. */
  private readonly taken = new Map<string, number>()
  /** The layer of the language that makes a value. */
  readonly makers = new Map<string, ModelLayer>()
  private readonly shapeless = new Set<string>()

  constructor(options: BuilderOptions, problems: ImportProblem[]) {
    this.options = options
    this.problems = problems
  }

  /** Says which values are the tops of a layer. */
  define(layer: CaffeLayer, blobs: readonly Blob[]): void {
    this.blobs.set(layer, blobs)
  }

  blob({ layer, top }: BlobRef): Blob | undefined {
    return this.blobs.get(layer)?.[top]
  }

  /** A name for a value that no other has. */
  value(wanted: string): string {
    const count = this.taken.get(wanted) ?? 0
    this.taken.set(wanted, count + 1)
    if (count === 0) return wanted
    return this.value(`${wanted}_${count + 1}`)
  }

  note(about: string, kind: Note['kind'], text: string): void {
    this.notes.push({ about, kind, text })
  }

  source(wanted: string, dims: readonly number[] | undefined): Blob {
    const source: Source = { value: this.value(wanted), dims: this.options.shapes?.get(wanted) ?? dims }
    this.sources.push(source)
    return sourceBlob(source)
  }

  /** The inputs that something reads. Problems: shapes that nothing says, labels that are read as numbers too. */
  inputs(): ModelInput[] {
    const read = new Set<string | number>(this.layers.flatMap(({ inputs }) => inputs).concat(this.results.map(({ value }) => value)))
    return this.sources.filter(({ value }) => read.has(value)).map(({ value, dims, classes, numbers }): ModelInput => {
      if (classes !== undefined && numbers) {
        this.problems.push({
          where: `input ${value}`,
          what: 'its labels are read as numbers too',
          mend: 'give the other layer an input of its own',
        })
      }
      if (classes !== undefined) return { value, shape: dims ?? [], classes }
      return { value, shape: dims === undefined || dims.length === 0 ? [1] : dims }
    })
  }

  /** Tells, once an input, that nothing says its shape. */
  wantsShape(value: string): void {
    if (this.shapeless.has(value)) return
    this.shapeless.add(value)
    this.problems.push({
      where: `input ${value}`,
      what: 'its shape lies in the data, not in the file',
      mend: `say it, without the batch: --shape ${quoted(value)}=3x224x224`,
    })
  }
}

/** A value that has the shape of an input: the input itself unless said. */
export const sourceBlob = (source: Source, value = source.value): Blob => ({
  value,
  source,
  get dims() {
    return source.dims ?? []
  },
})
