import { InputError } from '../bundle/errors.ts'
import { checkOptions, flag, oneOf, type Rule } from '../bundle/options.ts'
import { isNamed, say } from '../bundle/plain.ts'
import type { InferenceOptions } from './inference-net.ts'

/** The rule for parameters that are handed in beside a bundle. */
export const tensors: Rule = [(given) => given instanceof Map, 'a Map of { shape, data } by the names of parameters']

/** The rules for the options of a net as it infers, which several formats share. */
export const INFERENCE_RULES: Readonly<Record<keyof InferenceOptions, Rule>> = {
  parameters: tensors,
  style: oneOf('merged', 'split'),
  fold: flag,
}

/**
 * Checks what is to be exported and how, each option by its rule. `of`: the function that was called. Throws InputError for what is no bundle,
 * for options that there are not and for values that mean nothing.
 */
export function checkExport<T extends object>(of: string, source: unknown, options: T, rules: Readonly<Record<keyof T, Rule>>): void {
  const manifest = isNamed(source) ? source['manifest'] : undefined
  const text = isNamed(manifest) ? manifest['source'] : undefined
  if (!isNamed(source) || !isNamed(text) || !Array.isArray(text['files']))
    throw new InputError(`${of} takes a bundle, as compile, readBundle and net.save() give it; here is ${say(source)}`)
  const { weights } = source
  if (weights !== undefined && !tensors[0](weights)) throw new InputError(`${of}: weights ${say(weights)}: ${tensors[1]} is wanted`)
  checkOptions(of, options, rules)
}
