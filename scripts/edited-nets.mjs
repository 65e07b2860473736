/**
 * `node scripts/edited-nets.mjs [--seconds N] [--seed S]`: what a compiler remembers of earlier nets must not show. Random nets, and samples, are edited at
 * random: numbers, layers more or less, activations, broken texts, and with them the options of the compiler. One compiler compiles all of them, one after
 * the other; each is compiled once more by a compiler that has compiled nothing before. Bundles must be equal byte for byte, and refusals word for word.
 */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { build } from 'esbuild'
import { readArguments } from '../test/bench/arguments.mjs'
import { hashOf, hashesOf } from './hashes/bundle-hash.mjs'
import { root } from './steps.mjs'

const { values: { seconds, seed: given, most } } = readArguments(import.meta.url, {
  options: { seconds: { type: 'string', default: '120' }, seed: { type: 'string' }, most: { type: 'string', default: 'Infinity' } },
})

/** The module of some lines of TypeScript, from its first line on whenever it is called: nothing is shared by two. */
async function moduleOf(contents) {
  const { outputFiles: [{ text }] } = await build({
    stdin: { contents, resolveDir: root, loader: 'ts' },
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    write: false,
    logLevel: 'error',
  })
  const require = createRequire(import.meta.url)
  return () => {
    const module = { exports: {} }
    new Function('module', 'exports', 'require', text)(module, module.exports, require)
    return module.exports
  }
}

const freshCompiler = await moduleOf(`
  export { compile } from './compiler/index.ts'
  export { compileFor } from './compiler/compile.ts'
  export { kernelKey } from './compiler/ir/kernel-key.ts'
  export { wasm } from './compiler/targets/wasm/target.ts'
  export { wgsl } from './compiler/targets/wgsl/target.ts'
  export { REMOVABLE } from './compiler/pipeline.ts'
`)
const { randomNet, variedNet, wideNet, generator } = (await moduleOf(`
  export { randomNet, generator } from './test/support/random-net.ts'
  export { variedNet } from './test/support/varied-net.ts'
  export { wideNet } from './test/support/wide-net.ts'
`))()

const firstSeed = Number(given ?? Math.floor(Math.random() * 1e9))
const random = generator(firstSeed)
const upTo = (n) => Math.floor(random() * n)
const pick = (list) => list[upTo(list.length)]

const samples = ['cifar10_quick', 'mnist', 'resnet20'].map((name) => readFileSync(`${root}/samples/${name}.net`, 'utf8'))
const LAYERS = ['relu', 'tanh', 'sigmoid', 'elu', 'dropout(0.3)', 'batch_norm', 'leaky_relu(0.2)', 'batch_norm(affine: false)', 'mul(0.5)']

/** The text with one of some places changed by `change`; itself where there is none. */
function changed(text, pattern, change) {
  const found = [...text.matchAll(pattern)]
  if (found.length === 0) return text
  const match = pick(found)
  return text.slice(0, match.index) + change(match[0]) + text.slice(match.index + match[0].length)
}

const number = (by) => (call) => call.replace(/\d+/, (n) => Math.max(1, Number(n) + by))
const EDITS = [
  (text) => changed(text, /\b(?:conv|fc)\(\d+/g, number(pick([-2, -1, 1, 4, 8]))),
  (text) => changed(text, /\bclass\[\d+/g, number(pick([-1, 1]))),
  (text) =>
    changed(
      text,
      /\b(?:conv|max_pool|avg_pool)\(\d+(?:, \d+)?/g,
      (call) => call.replace(/\d+$/, (n) => Math.max(1, Number(n) + pick([-1, 1, 2]))),
    ),
  (text) => changed(text, /-> *(?:relu|tanh|sigmoid|elu|silu|gelu|softplus)\b(?!\()/g, () => `-> ${pick(LAYERS)}`),
  (text) => changed(text, /\)(?= *(?:->|\n))/g, () => `) -> ${pick(LAYERS)}`),
  (text) => changed(text, /\s*-> *[a-z_]+(?:\([^()]*\))?(?: *as \w+)?(?= *(?:->|\n))/g, () => ''),
  (text) => changed(text, /\blr: *[\d.]+/g, () => `lr: 0.0${1 + upTo(9)}`),
  (text) => changed(text, /\bweight_decay: *[\de.-]+/g, () => `weight_decay: ${pick(['0', '5e-4', '1e-3'])}`),
  (text) => changed(text, /\bbatch +\d+/g, () => `batch ${pick([1, 4, 16, 100])}`),
  (text) => changed(text, / as \w+/g, () => ` as other${upTo(3)}`),
  (text) => `// ${upTo(100)}\n${text}`,
]
const BREAKS = [
  (text) => text.replace(/\)/, ''),
  (text) => changed(text, /\bconv\b/g, () => 'covn'),
  (text) => text.slice(0, text.length >> 1),
]

const OPTIONS = {
  style: [undefined, 'merged', 'split'],
  memory: [undefined, undefined, 'small'],
  precise: [undefined, undefined, true],
  wide: [undefined, undefined, true],
  estimates: [undefined, undefined, true],
  normalize: [undefined, undefined, undefined, false],
  batch: [undefined, undefined, 1, 8, 64],
  storage: [undefined, undefined, 'f16'],
  software: [undefined, undefined, true],
  targets: [undefined, undefined, ['wasm'], ['webgpu']],
  programs: [undefined, undefined, ['infer'], ['step'], ['infer', 'eval'], ['default', 'step/global']],
}

const definedOf = (options) => Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

/** Schedules of some kernels of a net, another than the one that is chosen. */
function someSchedules({ compileFor, kernelKey, wasm, wgsl }, text, options) {
  const { targets: _, ...rest } = options
  try {
    return Object.fromEntries([wasm, wgsl].map((target) => {
      const [{ programs }] = compileFor(text, [target], rest).pipelines
      const equations = programs.flatMap(({ steps }) => steps.map(({ fused }) => fused.equation)).filter(() => random() < 0.2)
      return [target.name, Object.fromEntries(equations.map((e) => [kernelKey(e), pick(target.candidates(e, 1))]))]
    }))
  } catch {
    return undefined
  }
}

function outcome({ compile }, text, options) {
  try {
    return hashesOf(compile(text, { allowOneValue: true, ...options }))
  } catch (error) {
    return { refused: error.message }
  }
}

const until = Date.now() + 1000 * Number(seconds)
const kept = freshCompiler()
let compiled = 0
let refused = 0
let nets = 0
while (Date.now() < until && compiled < Number(most)) {
  nets++
  let text = pick([
    () => randomNet(upTo(1e6)),
    () => randomNet(upTo(1e6)),
    () => variedNet(upTo(1000), 1000),
    () => wideNet(upTo(1000), 1e6),
    () => pick(samples),
  ])()
  let options = {}
  for (let turn = 0; turn < 8 && Date.now() < until; turn++) {
    const before = { text, options }
    for (let edits = turn === 0 ? 0 : 1 + upTo(2); edits > 0; edits--) text = pick(EDITS)(text)
    if (random() < 0.5)
      options = { ...options, ...Object.fromEntries([pick(Object.entries(OPTIONS))].map(([name, list]) => [name, pick(list)])) }
    if (random() < 0.15) options = { ...options, without: random() < 0.5 ? undefined : [pick(kept.REMOVABLE)] }
    if (random() < 0.15) options = { ...options, schedules: random() < 0.5 ? undefined : someSchedules(kept, text, definedOf(options)) }
    if (random() < 0.1) outcome(kept, pick(BREAKS)(text), definedOf(options))
    const asked = definedOf(options)
    const found = outcome(kept, text, asked)
    const wanted = outcome(freshCompiler(), text, asked)
    compiled++
    if (hashOf(JSON.stringify(found)) !== hashOf(JSON.stringify(wanted))) {
      console.error(
        `seed ${firstSeed}, net ${nets}, turn ${turn}: another bundle than from an empty cache\n${text}\n${
          JSON.stringify(asked).slice(0, 500)
        }`,
      )
      console.error(
        wanted.refused ?? Object.keys(wanted).filter((file) => wanted[file] !== found[file]).join(', ') ?? '',
        found.refused ?? '',
      )
      process.exit(1)
    }
    // What is refused is edited no further.
    if (wanted.refused !== undefined) {
      refused++
      ;({ text, options } = before)
    }
  }
}
console.log(`seed ${firstSeed}: ${compiled} texts of ${nets} nets, ${refused} of them refused: all bundles as from an empty cache`)
