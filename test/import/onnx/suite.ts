import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesSource } from '../../../import/byte-source.ts'
import { ImportError } from '../../../import/import-error.ts'
import { onnxOperators } from '../../../import/onnx/operators/table.ts'
import { readModelProto } from '../../../import/onnx/proto.ts'
import { type GivenTensor, givenTensor, runModel } from './run-case.ts'

/** Where Debian's package libonnx-testdata puts the cases that ONNX checks its own backends with (1.12). */
export const SUITE = '/usr/share/libonnx-testdata/data'
export const ROOMS = ['node', 'pytorch-converted', 'pytorch-operator', 'simple'] as const

/** Of a largest expected value: rounding of float32, in which the expected values were computed. */
const TOLERANCE = 2e-5
/** Cases whose expected values are rounded to 16 bits, or drawn by chance. */
const ROUNDED = /_to_B?FLOAT16/

export interface CaseResult {
  readonly room: string
  readonly name: string
  /** Whether layers can be made of all its operators. */
  readonly listed: boolean
  readonly outcome: 'passes' | 'refused' | 'differs'
  /** Why it is refused, or how it differs. */
  readonly reason: string
}

/** Runs every case of a room; another error than a refusal is thrown, with the case's name. */
export async function runRoom(room: string): Promise<CaseResult[]> {
  const results: CaseResult[] = []
  for (const name of readdirSync(join(SUITE, room)).sort()) results.push(await runCase(room, name))
  return results
}

async function runCase(room: string, name: string): Promise<CaseResult> {
  const folder = join(SUITE, room, name)
  const bytes = new Uint8Array(readFileSync(join(folder, 'model.onnx')))
  const { graph } = readModelProto(bytesSource('m.onnx', bytes))
  const listed = graph.nodes.every((node) => node.domain === '' && onnxOperators.get(node.opType)?.some((row) => row.map))
  const files = (kind: string): (GivenTensor | undefined)[] =>
    graph[kind === 'input' ? 'inputs' : 'outputs'].map(({ elementType }, i) => {
      const file = join(folder, 'test_data_set_0', `${kind}_${i}.pb`)
      return existsSync(file) ? tensorOrNothing(new Uint8Array(readFileSync(file)), elementType) : undefined
    })
  const inputs = new Map(files('input').flatMap((tensor, i) => (tensor ? [[graph.inputs[i]!.name, tensor] as const] : [])))
  const result = (outcome: CaseResult['outcome'], reason: string): CaseResult => ({ room, name, listed, outcome, reason })
  try {
    const { outputs } = await runModel(bytes, inputs)
    const wanted = files('output')
    const worst = Math.max(...graph.outputs.map((output, i) => distance(outputs[output.name]!.data, wanted[i]!.data)))
    const tolerance = ROUNDED.test(name) ? 4e-3 : TOLERANCE
    return worst <= tolerance ? result('passes', '') : result('differs', `by ${worst.toPrecision(2)} of the largest value`)
  } catch (error) {
    if (!(error instanceof ImportError)) throw new Error(`${room}/${name}`, { cause: error })
    return result('refused', error.problems.map(({ where, what }) => `${where.replace(/ node .*| that makes .*/, '')}: ${what}`)[0]!)
  }
}

/** A tensor of numbers; texts and lists of tensors are none. */
function tensorOrNothing(bytes: Uint8Array, declared: number): GivenTensor | undefined {
  try {
    return givenTensor(bytes, declared)
  } catch (error) {
    if (error instanceof ImportError) return undefined
    throw error
  }
}

/** The largest difference, of the largest expected value. */
function distance(got: ArrayLike<number>, want: Float64Array): number {
  if (got.length !== want.length) return Infinity
  const scale = want.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 1e-30)
  return want.reduce((worst, v, i) => {
    const have = got[i]!
    if (v === have || (Number.isNaN(v) && Number.isNaN(have))) return worst
    const d = Math.abs(v - have) / scale
    return Number.isNaN(d) ? Infinity : Math.max(worst, d)
  }, 0)
}
