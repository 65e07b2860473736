import { check } from '../../../compiler/index.ts'
import { bytesSource, ImportError, importModel, safetensorsParts, writeNet } from '../../../import/index.ts'
import { pick } from '../../ops/random.ts'
import { generator } from '../../support/random-net.ts'
import { mutate } from './mutate.ts'
import type { Seed } from './seeds.ts'

/** A changed model, as files. */
export interface Mutant {
  readonly kind: Seed['kind']
  readonly model: Uint8Array
  readonly beside?: Uint8Array
  readonly weights?: { readonly name: string; readonly bytes: Uint8Array }
}

const ENDS = { onnx: 'net.onnx', caffe: 'net.prototxt', darknet: 'net.cfg' }

/** The mutant of a number: the same for the same seeds. */
export function mutantOf(seeds: readonly Seed[], number: number): Mutant {
  const r = generator(number * 7919 + 1)
  const seed = pick(r, seeds)
  const other = pick(r, seeds)
  const { kind, weights } = seed
  const given = weights && r() < 0.7 ? weights : undefined
  const changed = { model: seed.model, beside: seed.beside, weights: given?.bytes }
  const parts = (['model', 'beside', 'weights'] as const).filter((part) => changed[part])
  for (const part of r() < 0.2 ? parts : [pick(r, parts)]) {
    const written = part === 'weights' ? given!.written : seed.written
    changed[part] = mutate(changed[part]!, (part === 'weights' ? other.weights?.bytes : other.beside) ?? other.model, written, r)
  }
  return {
    kind,
    model: changed.model,
    ...(changed.beside && { beside: changed.beside }),
    ...(given && { weights: { name: given.name, bytes: changed.weights! } }),
  }
}

/**
 * Imports a mutant to the end: text, weights, report of the compiler. Gives whether it was refused. Throws for whatever is neither a refusal with reasons
 * nor a text that compiles; for a model that is whole for a refusal, too.
 */
export async function importMutant({ kind, model, beside, weights }: Mutant, isWhole = false): Promise<'refused' | 'imported'> {
  try {
    const net = await importModel(bytesSource(ENDS[kind], model), {
      ...(weights && { weights: bytesSource(weights.name, weights.bytes) }),
      beside: (path) => {
        if (beside) return bytesSource(path, beside)
        throw new ImportError([{ where: path, what: 'there is no such file' }])
      },
    })
    const written = writeNet(net)
    const errors = check(written.text).filter(({ severity }) => severity === 'error')
    if (errors.length > 0) throw new Error(`the text does not compile: ${errors[0]!.message}\n${written.text.slice(0, 2000)}`)
    for (const part of safetensorsParts(written.tensors)) if (part.length < 0) break
    return 'imported'
  } catch (error) {
    if (isWhole || !(error instanceof ImportError)) throw error
    if (error.problems.length === 0 || error.problems.some(({ what }) => typeof what !== 'string' || what === ''))
      throw new Error('a refusal without a reason', { cause: error })
    return 'refused'
  }
}
