/*
 * npm run docs:language: writes the pages of docs/language that the compiler's tables make. Needs a build.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { languagePages } from '../dist/compiler/manual/markdown.js'
import { entries, signaturesOf } from '../dist/compiler/manual/table.js'

const folder = join(import.meta.dirname, '../docs/language')
await mkdir(folder, { recursive: true })
for (const [file, text] of languagePages()) await writeFile(join(folder, file), text)
console.log(`${languagePages().size} pages in docs/language`)

const told = new Set(entries.map(({ signature }) => signature.name))
const untold = [...signaturesOf.values()].flat().filter(({ name }) => !told.has(name)).map(({ name }) => name)
if (untold.length > 0) {
  console.error(`no entry in a group of compiler/manual/ tells of ${untold.join(', ')}`)
  process.exitCode = 1
}
