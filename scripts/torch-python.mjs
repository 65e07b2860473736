// Puts the Python texts of export/torch/python into export/torch/python-texts.ts, since what exports runs in pages too: node scripts/torch-python.mjs
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = new URL('../export/torch/python/', import.meta.url)
const target = new URL('../export/torch/python-texts.ts', import.meta.url)

/** Texts by file name, in the order of names. */
const textsIn = (place) =>
  Object.fromEntries(
    readdirSync(place).filter((name) => name.endsWith('.py')).sort().map((name) => [name, readFileSync(new URL(name, place), 'utf8')]),
  )

/** The same of a folder of parts: `training/run.py`. */
const partsIn = (name) =>
  Object.fromEntries(Object.entries(textsIn(new URL(`${name}/`, folder))).map(([file, text]) => [`${name}/${file}`, text]))

const escaped = (text) => text.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('${', '\\${')
const table = (texts) => `{\n${Object.entries(texts).map(([name, text]) => `  '${name}': \`${escaped(text)}\`,\n`).join('')}}`

/** The module as it should be. */
export const moduleText = () =>
  `// Written by scripts/torch-python.mjs from the files of export/torch/python; a test tells when it is stale.\n
/** What net.py carries of, by file. */
export const LAYERS: Readonly<Record<string, string>> = ${table(textsIn(new URL('layers/', folder)))}

/** What stands beside net.py, by file. */
export const BESIDE: Readonly<Record<string, string>> = ${table({ ...textsIn(folder), ...partsIn('training') })}
`

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(target, moduleText())
