import { pathToFileURL } from 'node:url'
import { sorted } from './bundle-hash.mjs'

/** The first lines in which the files of two compilers' bundles differ, with the line before. */
export async function firstDifferences({ before, after, text, options, files }) {
  const bundles = []
  for (const { path } of [before, after]) {
    const { compile } = await import(pathToFileURL(path).href)
    try {
      bundles.push(compile(text, options))
    } catch (error) {
      bundles.push({ files: new Map([['refused', error.message]]) })
    }
  }
  return files.map((name) => {
    const [a, b] = bundles.map((
      bundle,
    ) => (name === 'manifest.json' ? bundle.manifest && JSON.stringify(sorted(bundle.manifest), null, 1) : bundle.files.get(name)))
    if (a === undefined || b === undefined) return `${name}: only ${a === undefined ? 'after' : 'before'}`
    return `${name}: ${typeof a === 'string' && typeof b === 'string' ? differingLines(a, b) : differingBytes(a, b)}`
  }).join('\n')
}

const SHOWN = 8
const WIDTH = 200

function differingLines(a, b) {
  const [before, after] = [a.split('\n'), b.split('\n')]
  const first = before.findIndex((line, i) => line !== after[i])
  const at = first < 0 ? before.length : first
  const lines = (sign, from) => from.slice(at, at + SHOWN).map((line) => `  ${sign} ${line.slice(0, WIDTH)}`)
  return [
    `line ${at + 1} of ${before.length}, then ${after.length}`,
    ...before.slice(Math.max(0, at - 1), at).map((line) => `    ${line.slice(0, WIDTH)}`),
    ...lines('-', before),
    ...lines('+', after),
  ].join('\n')
}

function differingBytes(a, b) {
  const at = a.findIndex((byte, i) => byte !== b[i])
  return `byte ${at < 0 ? a.length : at} of ${a.length}, then ${b.length}`
}
