import { fetchAt, type FetchOptions } from './fetch-files.ts'
import { MANIFEST_FILE, WEIGHTS_FILE } from './files.ts'
import { bytesOf } from './integrity.ts'
import type { Host } from '../host-types.ts'
import type { StoredManifest } from '../../bundle/stored.ts'

/**
 * The files of a bundle that an ES module holds, with the weights that lie beside the module, unless `options` bring others. Throws BundleError
 * where they are not there, or not those that the module was written with.
 */
export async function weightsBeside(
  files: ReadonlyMap<string, string | Uint8Array>,
  url: Host<'URL'>,
  options: FetchOptions & { readonly weights?: unknown } = {},
): Promise<ReadonlyMap<string, string | Uint8Array>> {
  if (options?.weights !== undefined) return files
  const manifest = JSON.parse(files.get(MANIFEST_FILE) as string) as StoredManifest
  const { bytes } = await bytesOf(
    fetchAt(url, options),
    WEIGHTS_FILE,
    manifest.files[WEIGHTS_FILE],
    "; the weights of this net lie beside its module, and are to lie beside what a bundler makes of it. If they are not wanted: open({ weights: 'fresh' })",
  )
  return new Map([...files, [WEIGHTS_FILE, bytes]])
}
