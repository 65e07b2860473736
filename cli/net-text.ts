import type { Source } from '../dsl/source.ts'
import { carriedSources, readBundleFolder } from './bundles.ts'
import { readImport, readSource } from './source.ts'
import { FRESH } from './options.ts'

/** The text of a .net file, or that which a bundle carries. */
export async function netText(path: string): Promise<{ main: Source; readImport: (path: string, from: Source) => Source | undefined }> {
  if (path.endsWith('.net')) return { main: await readSource(path), readImport }
  // Its weights are not looked at, and may be missing.
  return carriedSources(await readBundleFolder(path, FRESH))
}
