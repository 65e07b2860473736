/**
 * The Python files of export/torch/python as a module, in place of what tsc made of python-texts.ts: what exports runs in pages too, where there are
 * no files. The build writes it; tests, which run the sources, ask for the text.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = new URL('../export/torch/python/', import.meta.url)
const target = new URL('../dist/export/torch/python-texts.js', import.meta.url)

/** Texts by file name, in the order of names. */
const textsIn = (place) =>
  Object.fromEntries(
    readdirSync(place).filter((name) => name.endsWith('.py')).sort().map((name) => [name, readFileSync(new URL(name, place), 'utf8')]),
  )

/** The same of a folder of parts: `training/run.py`. */
const partsIn = (name) =>
  Object.fromEntries(Object.entries(textsIn(new URL(`${name}/`, folder))).map(([file, text]) => [`${name}/${file}`, text]))

/** The module in JavaScript. */
export const moduleText = () =>
  `export const LAYERS = ${JSON.stringify(textsIn(new URL('layers/', folder)))};\nexport const BESIDE = ${
    JSON.stringify({ ...textsIn(folder), ...partsIn('training') })
  };\n`

/** Called by the build. */
export const writeModule = () => writeFileSync(target, moduleText())

if (process.argv[1] === fileURLToPath(import.meta.url)) writeModule()
