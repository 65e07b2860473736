import type { ByteSource } from '../byte-source.ts'
import { WireReader, type ByteRange } from '../protobuf/wire-reader.ts'

/** What the reader needs of onnx.proto3 (onnx.ai, IR version 13), under the names there. Arrays of numbers of tensors stay in the file. */

export interface TensorProto {
  readonly name: string
  readonly dims: readonly number[]
  readonly dataType: number
  /** Where `raw_data` lies. */
  readonly raw?: ByteRange
  /** Where entries of `float_data`, `int32_data`, `int64_data`, `double_data` or `uint64_data` lie, packed or one by one. */
  readonly typed: readonly TypedEntries[]
  /** `data_location: EXTERNAL`: keys `location`, `offset`, `length`. */
  readonly external?: ReadonlyMap<string, string>
  /** Byte of the file where it stands. */
  readonly at: number
}

export interface TypedEntries extends ByteRange {
  readonly field: 'float' | 'int' | 'double'
  /** False where it is one number without a length in front. */
  readonly packed: boolean
}

export interface AttributeProto {
  readonly name: string
  readonly type: number
  readonly f: number
  readonly i: number
  readonly s: string
  readonly t?: TensorProto
  readonly g?: GraphProto
  readonly floats: readonly number[]
  readonly ints: readonly number[]
  readonly strings: readonly string[]
  /** The attribute of the call that it stands for, within a function. */
  readonly reference: string
}

export interface NodeProto {
  readonly name: string
  readonly opType: string
  readonly domain: string
  readonly overload: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes: readonly AttributeProto[]
}

export interface ValueInfoProto {
  readonly name: string
  /** 0 where it is no tensor. */
  readonly elementType: number
  /** Absent: not told. A dimension is a number, a name, or '' where nothing is known. */
  readonly shape?: readonly (number | string)[]
}

export interface GraphProto {
  readonly name: string
  readonly nodes: readonly NodeProto[]
  readonly initializers: readonly TensorProto[]
  readonly sparse: number
  readonly inputs: readonly ValueInfoProto[]
  readonly outputs: readonly ValueInfoProto[]
  readonly values: readonly ValueInfoProto[]
}

export interface FunctionProto {
  readonly name: string
  readonly domain: string
  readonly overload: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** Attributes with a default. */
  readonly defaults: readonly AttributeProto[]
  readonly nodes: readonly NodeProto[]
  readonly opsets: ReadonlyMap<string, number>
}

export interface ModelProto {
  readonly irVersion: number
  readonly producer: string
  readonly opsets: ReadonlyMap<string, number>
  readonly graph: GraphProto
  readonly functions: readonly FunctionProto[]
  readonly trainingInfo: number
  /** `metadata_props`: what the exporter has to say. */
  readonly metadata: ReadonlyMap<string, string>
}

/** Messages (nodes, tensors, attributes, values) that a model may have: each costs a few hundred bytes, and may take two in the file. */
const MOST_MESSAGES = 1 << 20
/** Graphs within attributes within graphs. */
const MOST_DEPTH = 32

interface Budget {
  messages: number
}

type Fields = Readonly<Record<number, (reader: WireReader) => void>>

/** Hands each field that has a row to it, and passes over all others. */
function eachField(reader: WireReader, budget: Budget, fields: Fields): void {
  if (--budget.messages < 0)
    reader.fail(`more than ${MOST_MESSAGES} nodes, tensors and attributes`, 'no net is so large: the file is not what it should be')
  while (reader.next()) fields[reader.field]?.(reader)
}

/** Reads all but arrays of numbers. Throws ImportError with the place where the file is damaged. */
export function readModelProto(source: ByteSource): ModelProto {
  const budget: Budget = { messages: MOST_MESSAGES }
  const reader = new WireReader(source)
  let irVersion = 0
  let producer = ['', '']
  let graph: GraphProto | undefined
  let trainingInfo = 0
  const opsets = new Map<string, number>()
  const functions: FunctionProto[] = []
  const metadata = new Map<string, string>()
  eachField(reader, budget, {
    1: (r) => (irVersion = r.int()),
    2: (r) => (producer[0] = r.text()),
    3: (r) => (producer[1] = r.text()),
    7: (r) => (graph = graphOf(r.message(), budget, 0)),
    8: (r) => opset(r.message(), budget, opsets),
    14: (r) => metadataPair(r.message(), budget, metadata),
    20: () => trainingInfo++,
    25: (r) => functions.push(functionOf(r.message(), budget)),
  })
  if (!graph) reader.fail('no graph in it', 'it is not an ONNX model, or an empty one')
  return { irVersion, producer: producer.filter(Boolean).join(' '), opsets, graph: graph!, functions, trainingInfo, metadata }
}

function opset(reader: WireReader, budget: Budget, opsets: Map<string, number>): void {
  let domain = ''
  let version = 0
  eachField(reader, budget, { 1: (r) => (domain = r.text()), 2: (r) => (version = r.int()) })
  opsets.set(plainDomain(domain), version)
}

function metadataPair(reader: WireReader, budget: Budget, pairs: Map<string, string>): void {
  let [key, value] = ['', '']
  eachField(reader, budget, { 1: (r) => (key = r.text()), 2: (r) => (value = r.text()) })
  pairs.set(key, value)
}

/** The domain of ONNX's own operators has two spellings. */
const plainDomain = (domain: string): string => (domain === 'ai.onnx' ? '' : domain)

function graphOf(reader: WireReader, budget: Budget, depth: number): GraphProto {
  if (depth > MOST_DEPTH)
    reader.fail(`graphs within graphs, more than ${MOST_DEPTH} deep`, 'no net is so deep: the file is not what it should be')
  const nodes: NodeProto[] = []
  const initializers: TensorProto[] = []
  const inputs: ValueInfoProto[] = []
  const outputs: ValueInfoProto[] = []
  const values: ValueInfoProto[] = []
  let name = ''
  let sparse = 0
  eachField(reader, budget, {
    1: (r) => nodes.push(nodeOf(r.message(), budget, depth)),
    2: (r) => (name = r.text()),
    5: (r) => initializers.push(tensorProtoOf(r.message(), budget)),
    11: (r) => inputs.push(valueInfoOf(r.message(), budget)),
    12: (r) => outputs.push(valueInfoOf(r.message(), budget)),
    13: (r) => values.push(valueInfoOf(r.message(), budget)),
    15: () => sparse++,
  })
  return { name, nodes, initializers, sparse, inputs, outputs, values }
}

function nodeOf(reader: WireReader, budget: Budget, depth: number): NodeProto {
  const inputs: string[] = []
  const outputs: string[] = []
  const attributes: AttributeProto[] = []
  let [name, opType, domain, overload] = ['', '', '', '']
  eachField(reader, budget, {
    1: (r) => inputs.push(r.text()),
    2: (r) => outputs.push(r.text()),
    3: (r) => (name = r.text()),
    4: (r) => (opType = r.text()),
    5: (r) => attributes.push(attributeOf(r.message(), budget, depth)),
    7: (r) => (domain = plainDomain(r.text())),
    8: (r) => (overload = r.text()),
  })
  return { name, opType, domain, overload, inputs, outputs, attributes }
}

function attributeOf(reader: WireReader, budget: Budget, depth: number): AttributeProto {
  const floats: number[] = []
  const ints: number[] = []
  const strings: string[] = []
  let [name, s, reference] = ['', '', '']
  let [type, f, i] = [0, 0, 0]
  let t: TensorProto | undefined
  let g: GraphProto | undefined
  eachField(reader, budget, {
    1: (r) => (name = r.text()),
    2: (r) => (f = r.float()),
    3: (r) => (i = r.int()),
    4: (r) => (s = r.text(1 << 24)),
    5: (r) => (t = tensorProtoOf(r.message(), budget)),
    6: (r) => (g = graphOf(r.message(), budget, depth + 1)),
    7: (r) => r.floats(floats),
    8: (r) => r.ints(ints),
    9: (r) => strings.push(r.text()),
    20: (r) => (type = r.int()),
    21: (r) => (reference = r.text()),
  })
  return { name, type, f, i, s, t, g, floats, ints, strings, reference }
}

/** A TensorProto; also of a file that holds nothing else. */
export function tensorProtoOf(reader: WireReader, budget: Budget = { messages: MOST_MESSAGES }): TensorProto {
  const at = reader.from
  const dims: number[] = []
  const typed: TypedEntries[] = []
  let name = ''
  let dataType = 0
  let raw: ByteRange | undefined
  let location = 0
  const external = new Map<string, string>()
  const entries = (field: TypedEntries['field']) => (r: WireReader): void => {
    typed.push({ field, packed: r.wire === 2, ...r.value })
    if (typed.length > MOST_MESSAGES)
      r.fail(`more than ${MOST_MESSAGES} numbers that are not packed`, 'export it with packed numbers or raw_data')
  }
  eachField(reader, budget, {
    1: (r) => r.ints(dims),
    2: (r) => (dataType = r.int()),
    4: entries('float'),
    5: entries('int'),
    7: entries('int'),
    8: (r) => (name = r.text()),
    9: (r) => (raw = r.bytesRange()),
    10: entries('double'),
    11: entries('int'),
    13: (r) => pair(r.message(), budget, external),
    14: (r) => (location = r.int()),
  })
  return { name, dims, dataType, raw, typed, ...(location === 1 && { external }), at }
}

function pair(reader: WireReader, budget: Budget, into: Map<string, string>): void {
  let [key, value] = ['', '']
  eachField(reader, budget, { 1: (r) => (key = r.text()), 2: (r) => (value = r.text()) })
  into.set(key, value)
}

function valueInfoOf(reader: WireReader, budget: Budget): ValueInfoProto {
  let name = ''
  let elementType = 0
  let shape: (number | string)[] | undefined
  const dimension = (r: WireReader): void => {
    let dim: number | string = ''
    eachField(r, budget, { 1: (d) => (dim = d.int()), 2: (d) => (dim = d.text()) })
    shape!.push(dim)
  }
  eachField(reader, budget, {
    1: (r) => (name = r.text()),
    2: (type) =>
      eachField(type.message(), budget, {
        1: (tensor) =>
          eachField(tensor.message(), budget, {
            1: (r) => (elementType = r.int()),
            2: (r) => {
              shape = []
              eachField(r.message(), budget, { 1: (d) => dimension(d.message()) })
            },
          }),
      }),
  })
  return { name, elementType, shape }
}

function functionOf(reader: WireReader, budget: Budget): FunctionProto {
  const inputs: string[] = []
  const outputs: string[] = []
  const defaults: AttributeProto[] = []
  const nodes: NodeProto[] = []
  const opsets = new Map<string, number>()
  let [name, domain, overload] = ['', '', '']
  eachField(reader, budget, {
    1: (r) => (name = r.text()),
    4: (r) => inputs.push(r.text()),
    5: (r) => outputs.push(r.text()),
    7: (r) => nodes.push(nodeOf(r.message(), budget, 0)),
    9: (r) => opset(r.message(), budget, opsets),
    10: (r) => (domain = plainDomain(r.text())),
    11: (r) => defaults.push(attributeOf(r.message(), budget, 0)),
    13: (r) => (overload = r.text()),
  })
  return { name, domain, overload, inputs, outputs, defaults, nodes, opsets }
}
