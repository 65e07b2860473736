import type { ImportProblem } from '../import-error.ts'
import type { ModelInput } from '../model-net.ts'
import type { ReadOptions } from '../read-options.ts'
import { ELEMENT_TYPES } from './element-type.ts'
import type { GraphProto, ValueInfoProto } from './proto.ts'
import { MOST_AXES } from './tensor-data.ts'
import { UNKNOWN, type Value } from './value.ts'
import { quoted } from '../../bundle/quoted.ts'

interface Inputs {
  readonly inputs: readonly ModelInput[]
  /** The batch that all inputs have, where it is a number. */
  readonly declaredBatch: number | undefined
}

/** The inputs that are no initializers. Their first axis is the batch; sizes that are open are told by `--shape`. */
export function readInputs(
  graph: GraphProto,
  options: ReadOptions,
  isUsed: (name: string) => boolean,
  values: Map<string, Value>,
  problems: ImportProblem[],
  file: string,
  bare: boolean,
): Inputs {
  const inputs: ModelInput[] = []
  const stored = new Set(graph.initializers.map(({ name }) => name))
  const real = graph.inputs.filter(({ name }) => !stored.has(name))
  for (const name of options.shapes?.keys() ?? []) {
    if (!real.some((input) => input.name === name))
      problems.push({
        where: `--shape ${name}`,
        what: `${file} has no input of this name`,
        mend: `its inputs are ${real.map((input) => input.name).join(', ')}`,
      })
  }
  const batches = new Set<number>()
  for (const input of real) {
    if (!isUsed(input.name)) continue
    const told = options.shapes?.get(input.name)
    const isBare = bare || (told !== undefined && told.length === input.shape?.length)
    const dims = sampleShape(isBare ? { ...input, shape: ['', ...input.shape!] } : input, told, problems)
    if (!dims) {
      values.set(input.name, UNKNOWN)
      continue
    }
    const batch = input.shape?.[0]
    if (!isBare && typeof batch === 'number' && batch > 0) batches.add(batch)
    inputs.push({ value: input.name, shape: dims })
    const kind = ELEMENT_TYPES.get(input.elementType)?.kind ?? 'float'
    values.set(input.name, { kind: 'tensor', name: input.name, dims, type: kind, ...(isBare && { bare: true }) })
  }
  if (batches.size > 1) {
    problems.push({
      where: `inputs ${inputs.map(({ value }) => value).join(', ')}`,
      what: `their first axes are ${[...batches].join(' and ')}: it is not the same batch`,
      mend: 'the first axis of every input is the batch; export it with one that has a name',
    })
  }
  return { inputs, declaredBatch: batches.size === 1 ? [...batches][0] : undefined }
}

function sampleShape(input: ValueInfoProto, told: readonly number[] | undefined, problems: ImportProblem[]): readonly number[] | undefined {
  const where = `input ${input.name}`
  const refuse = (what: string, mend: string): undefined => {
    problems.push({ where, what, mend })
    return undefined
  }
  if (input.elementType === 0) return refuse('it is no tensor', 'cut the model with --outputs so that it is not needed')
  if (!ELEMENT_TYPES.has(input.elementType)) return refuse('it holds no numbers', 'cut the model with --outputs so that it is not needed')
  if ((input.shape?.length ?? 0) > MOST_AXES) return refuse(`it has ${input.shape!.length} axes`, 'no net has so many: the file is damaged')
  const open = (dim: number | string): boolean => typeof dim === 'string' || dim <= 0
  const asked = (input.shape ?? ['n', 'C', 'H', 'W']).slice(1).map((dim) => (open(dim) ? 224 : dim)).join('x')
  const mend = `say it without the batch: --shape ${quoted(input.name)}=${asked || 10}`
  if (told) {
    if (input.shape && input.shape.length !== told.length + 1)
      return refuse(`--shape gives it ${told.length} axes beside the batch, and it has ${input.shape.length - 1}`, mend)
    const bad = input.shape?.slice(1).findIndex((dim, d) => !open(dim) && dim !== told[d]) ?? -1
    if (bad >= 0)
      return refuse(
        `--shape gives ${told[bad]} for axis ${bad + 1}, and the model fixes ${input.shape![bad + 1]}`,
        'export the model for another size, or with dynamic axes; sizes that it fixes need no --shape',
      )
    return told
  }
  if (!input.shape) return refuse('its shape is not told', mend)
  if (input.shape.length === 0) return refuse('it is a single number, the same for the whole batch', 'make it a constant of the model')
  const rest = input.shape.slice(1)
  const unknown = rest.findIndex(open)
  // A first axis with a number, and one other that has a name: PyTorch's [L, N, E] of batch_first=False.
  if (unknown >= 0 && !open(input.shape[0]!) && rest.filter(open).length === 1)
    return refuse(
      `its axis ${unknown + 1}, ${rest[unknown] || 'without a name'}, has no size: [${input.shape.map((dim) => dim || '?').join(', ')}]`,
      `if that is the batch, one sample is said with all axes: --shape ${quoted(input.name)}=${
        input.shape.map((dim) => (open(dim) ? 1 : dim)).join('x')
      }; if ${input.shape[0]} is the batch, ${mend}`,
    )
  if (unknown >= 0)
    return refuse(
      `its axis ${unknown + 1}, ${rest[unknown] || 'without a name'}, has no size: [${input.shape.map((dim) => dim || '?').join(', ')}]`,
      mend,
    )
  return rest as number[]
}
