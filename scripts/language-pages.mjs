/*
 * npm run docs:language: writes the pages of docs/language that the compiler's tables make. Needs a build.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { languagePages } from '../dist/compiler/manual/markdown.js'

const folder = join(import.meta.dirname, '../docs/language')
await mkdir(folder, { recursive: true })
for (const [file, text] of languagePages()) await writeFile(join(folder, file), text)
console.log(`${languagePages().size} pages in docs/language`)
