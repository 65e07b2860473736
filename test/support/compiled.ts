import { compile } from '../../compiler/index.ts'
import type { CompileOptions } from '../../compiler/compile-options.ts'
import type { Bundle } from '../../bundle/format.ts'

/** Nets that a test goes back to: both styles, for two devices. */
const KEPT = 4
const kept = new Map<string, Bundle>()

/** `compile`, for texts that several devices run: one thread and two are given the same bundle. That compiling twice gives the same is asked by `bundle-hashes.test.ts`. */
export function compiled(text: string, options: CompileOptions): Bundle {
  const key = JSON.stringify([text, options])
  const bundle = kept.get(key) ?? compile(text, options)
  kept.delete(key)
  kept.set(key, bundle)
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT) break
    kept.delete(oldest)
  }
  return bundle
}
