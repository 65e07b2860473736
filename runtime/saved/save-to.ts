import { InputError } from '../../bundle/errors.ts'
import type { Bundle } from '../../bundle/format.ts'
import { plain, say } from '../../bundle/plain.ts'
import { addressText, SCHEME } from './database.ts'
import { saveNet } from './nets.ts'
import { download } from './one-file.ts'

const DOWNLOAD = 'download:'

/** Whether saving there takes the page itself: a worker cannot hand out a download. */
export const needsPage = (to: unknown): boolean => String(to).startsWith(DOWNLOAD)

/** Throws InputError for what is no place to save to, before anything is read. */
export function checkTarget(to: unknown): asserts to is string | URL {
  const text = String(to)
  if ((typeof to === 'string' || to instanceof URL) && (text.startsWith(SCHEME) || text.startsWith(DOWNLOAD))) return
  const path = typeof to === 'string' && !/^\w+:\/\//.test(to)
  throw new InputError(
    `save takes 'indexeddb://name' (kept in this browser) or 'download://name' (a file for the user), not ${
      typeof to === 'string' ? `'${plain(to, 60)}'` : say(to)
    }`
      + `${path ? ': a folder is written by writeBundle(await net.save(), folder) of fusenet/runtime/node' : ''}`,
  )
}

/** Saves a bundle to `indexeddb://name` or `download://name`. */
export async function saveTo(bundle: Bundle, to: string | URL): Promise<void> {
  const text = addressText(to)
  if (text.startsWith(SCHEME)) return saveNet(bundle, to)
  return download(bundle, text.slice(DOWNLOAD.length).replace(/^\/\//, '') || undefined)
}
