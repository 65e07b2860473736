import { resolve } from 'node:path'
import type { Numbers } from '../bundle/device.ts'
import { InputError } from '../bundle/errors.ts'
import type { Shape, TensorData } from '../bundle/format.ts'
import { replaceFile } from '../runtime/loading/node/files.ts'
import { encodeNpy } from '../runtime/loading/npy.ts'
import { writeSafetensors } from '../runtime/loading/safetensors.ts'
import { UsageError } from './exit.ts'
import { checkOutput, type OutputKind } from './outputs.ts'
import { didYouMean } from '../bundle/nearest.ts'

/** Numbers of a result as they go into a file. */
export const tensorOf = (data: Numbers, shape: Shape, samples: number): TensorData => ({
  shape: shape.map((dim) => (dim === 'n' ? samples : dim)),
  type: data instanceof Float64Array ? 'f64' : data instanceof Int32Array ? 'i32' : 'f32',
  data,
})

/** Marks a file of results: other .safetensors are weights, snapshots or data, and are not replaced. */
const FORMAT = 'fusenet-results'
const isOurs = (head: string): boolean => head.slice(8).startsWith(`{"__metadata__":{"format":"${FORMAT}"`)
const kindOf = (file: string, csv: boolean): OutputKind => ({
  ending: csv ? /\.(safetensors|npy|csv)$/ : /\.(safetensors|npy)$/,
  says: `results are written to ${csv ? '.csv, ' : ''}.safetensors or .npy`,
  ...(file.endsWith('.safetensors') && { isOurs }),
})

/** `prob=y.npy` */
const NAMED = /^([\w./]+)=(.+)$/
export const fileOf = (text: string): string => NAMED.exec(text)?.[2] ?? text

/** Gives results as a table, or undefined where they are none. */
export type ToCsv = (tensors: ReadonlyMap<string, TensorData>) => string | undefined

/** `-o y.safetensors` takes all, as `-o y.csv` does, `-o y.npy` the only one, `-o prob=y.npy` the one of that name. */
export async function writeTensors(outputs: readonly string[], tensors: ReadonlyMap<string, TensorData>, toCsv?: ToCsv): Promise<void> {
  const names = [...tensors.keys()]
  const writes: (() => Promise<void>)[] = []
  for (const text of outputs) {
    const match = NAMED.exec(text)
    const file = match ? match[2]! : text
    if (match && !tensors.has(match[1]!))
      throw new InputError(`there is no result ${match[1]}${didYouMean(match[1]!, names)} (there are ${names.join(', ')})`)
    const chosen = match ? new Map([[match[1]!, tensors.get(match[1]!)!]]) : tensors
    if (file.endsWith('.safetensors')) writes.push(() => replaceFile(file, writeSafetensors(chosen, { format: FORMAT })))
    else if (file.endsWith('.npy')) {
      if (chosen.size !== 1)
        throw new UsageError(`${file} holds one result, there are ${names.join(', ')}: write -o NAME=${file}, or -o to a .safetensors`)
      writes.push(() => replaceFile(file, encodeNpy([...chosen.values()][0]!)))
    } else if (toCsv && file.endsWith('.csv')) {
      const text = toCsv(chosen)
      if (text === undefined)
        throw new UsageError(
          `${file}: a table has a row a sample, and ${
            [...chosen].map(([name, { shape }]) => `${name} is [${shape.join(', ')}]`).join(', ')
          }: write .npy or .safetensors`,
        )
      writes.push(() => replaceFile(file, text))
    } else throw new UsageError(`${file}: results are written to ${toCsv ? '.csv, ' : ''}.safetensors or .npy`)
  }
  for (const write of writes) await write()
}

/** Refuses names and places before any work is done. `inputs`: what the command reads. Throws UsageError and InputError. */
export async function checkOutputs(outputs: readonly string[] | undefined, inputs: readonly string[], csv = false): Promise<void> {
  const files = (outputs ?? []).map(fileOf)
  for (const [i, file] of files.entries()) {
    await checkOutput(file, kindOf(file, csv), inputs)
    if (files.some((other, k) => k < i && resolve(other) === resolve(file)))
      throw new UsageError(`-o ${file}: two results cannot go to one file; a .safetensors takes all`)
  }
}

/** What was read to be computed with: the net, its weights, its inputs. */
export const readFrom = (net: string, options: Readonly<Record<string, unknown>>, inputs: readonly string[]): readonly string[] => [
  net,
  ...inputs.flatMap((text) => [text, fileOf(text)]),
  ...['weights', 'cache'].flatMap((name) => (options[name] === undefined ? [] : [options[name] as string])),
]
