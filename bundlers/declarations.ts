import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { declareBundle, headOf } from '../runtime/declare-bundle.ts'
import { replaceFile } from '../runtime/loading/node/files.ts'
import type { NetFile } from './net-file.ts'

/** Names that the file has for something else. */
const RESERVED = new Set(['NetModule'])

/** The declarations of `import digits from './digits.net'`: the file `digits.d.net.ts`, for `allowArbitraryExtensions`. */
export function declarationsOf({ bundle }: Pick<NetFile, 'bundle'>): string {
  const { name, code } = declareBundle(bundle, RESERVED)
  return `${headOf(bundle)}
// Written anew when the net changes: it may be kept under version control, so that types can be checked before a build.
import type { NetModule } from 'fusenet'

${code}
declare const net: NetModule<${name}>
export default net
`
}

/** Writes it beside the net, if it is another one; not for nets of installed packages. */
export async function writeDeclarations(net: NetFile): Promise<void> {
  if (/[\\/]node_modules[\\/]/.test(net.file)) return
  const path = join(dirname(net.file), `${basename(net.file, '.net')}.d.net.ts`)
  const text = declarationsOf(net)
  if (await readFile(path, 'utf8').catch(() => undefined) !== text) await replaceFile(path, text)
}
