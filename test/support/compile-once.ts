import { compile } from '../../compiler/index.ts'
import type { CompileOptions } from '../../compiler/compile-options.ts'
import type { Bundle } from '../../runtime/index.ts'

/** The bundles that were asked for last: of a net's styles, not of all nets of a file. */
const MOST = 4
const kept = new Map<string, Bundle>()

/** Compiles a net; where the same was asked for a moment ago, for another device, gives that bundle. */
export function compileOnce(text: string, options: CompileOptions): Bundle {
  const key = JSON.stringify([text, options])
  const bundle = kept.get(key) ?? compile(text, options)
  kept.set(key, bundle)
  for (const oldest of [...kept.keys()].slice(0, -MOST)) kept.delete(oldest)
  return bundle
}
