/**
 * `npm run hashes`: hashes every file of every bundle that the samples, the reference cases and 200 random nets compile to, in both styles, for both
 * choices of memory and for all targets. `-- --against REV` tells which bundles a change touches (tinygrad calls it process replay).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { readArguments } from '../test/bench/arguments.mjs'
import { hashOf } from './hashes/bundle-hash.mjs'
import { keptHashes } from './hashes/cache.mjs'
import { bundled, comparedWith, compilerOf, compilerOfBuild, compilerOfTree } from './hashes/compilers.mjs'
import { eachAnswer } from './hashes/pool.mjs'
import { differingFiles, rowsOf, table } from './hashes/report.mjs'
import { firstDifferences } from './hashes/show.mjs'
import { root } from './steps.mjs'

const HELP = `npm run hashes                       hash every file of every bundle, print one hash of all
npm run hashes -- --against REV      which bundles differ from those of a commit, or from where this branch left another; ends with 1 if any does
npm run hashes -- --dist DIR         the same against a package that is built, or its dist
  --of REV                           a commit in the place of the working tree
  --quick                            a few nets of each kind, in seconds
  --only PATTERN                     nets with names like this: golden/conv, 'samples/*', random/1? (may be given again)
  --show NET                         the first lines that differ, of the first bundle of this net that does
  --jobs N                           processes that compile at a time (default 2)
  --seconds S                        begin to compile none after so many: the same command goes on from there. Ends with 3 if some are left
  --fresh                            compile what is known already too, with the compiler of this tree
  --json                             print all hashes as JSON
What was hashed once is kept in node_modules/.cache/fusenet/hashes, or in the folder that FUSENET_HASH_CACHE names.`

const OPTIONS = { storage: 'f16', software: true, allowOneValue: true }

/** Every bundle to hash, in the order in which they are compiled. */
function bundlesOf(nets, quick) {
  return nets.flatMap((net) =>
    (quick ? net.quick : net.variants).map((variant) => {
      const options = { ...OPTIONS, ...variant, ...net.options }
      return {
        net: net.name,
        variant: `${variant.style} ${variant.memory}`,
        text: net.text,
        options,
        key: hashOf(JSON.stringify([net.text, options])),
      }
    })
  )
}

/** Hashes of bundles by each of the compilers, of all if time allows; what is known is not compiled again. */
async function hashAll(bundles, compilers, { jobs, until, fresh }) {
  const kept = compilers.map(({ id }) => keptHashes(id))
  const results = compilers.map(() => new Map())
  const missing = []
  for (const bundle of bundles) {
    compilers.forEach((compiler, i) => {
      const known = fresh && i === 0 ? undefined : kept[i].get(bundle.key)
      if (known) results[i].set(bundle, known)
      // Compilers whose code is the same need one answer.
      else if (compilers.findIndex(({ id }) => id === compiler.id) === i)
        missing.push({
          bundle,
          i,
          label: `${bundle.net} (${bundle.variant})`,
          message: { compiler: compiler.path, text: bundle.text, options: bundle.options },
        })
    })
  }
  let done = 0
  await eachAnswer(missing, { jobs, until }, ({ bundle, i }, { hashes }) => {
    const before = fresh && i === 0 ? kept[i].get(bundle.key) : undefined
    if (before && JSON.stringify(before) !== JSON.stringify(hashes))
      throw new Error(
        `${bundle.net} (${bundle.variant}) came out otherwise than the last time, by the same compiler: it keeps something between nets`,
      )
    kept[i].set(bundle.key, hashes)
    results[i].set(bundle, hashes)
    done++
    if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${missing.length} bundles `)
  })
  if (process.stderr.isTTY && missing.length > 0) process.stderr.write('\r')
  compilers.forEach(({ id }, i) => {
    results[i] = results[compilers.findIndex((other) => other.id === id)]
  })
  return { results, compiled: done }
}

function matching(pattern) {
  const letters = pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')
  return new RegExp(/[*?]/.test(pattern) ? `^${letters}$` : letters)
}

function print(bundles, results) {
  const files = bundles.reduce((sum, bundle) => sum + Object.keys(results.get(bundle)).filter((name) => name !== 'reason').length - 1, 0)
  const refused = bundles.filter((bundle) => results.get(bundle).refused)
  const nets = new Set(bundles.map(({ net }) => net)).size
  console.log(
    `${
      hashOf(JSON.stringify(bundles.map((bundle) => [bundle.key, results.get(bundle)])))
    }  ${nets} nets, ${bundles.length} bundles, ${files} files`,
  )
  if (refused.length > 0) console.log(`${refused.length} bundles are refused, such as ${refused[0].net}: ${results.get(refused[0]).reason}`)
}

async function compare(bundles, [after, before], [current, other], show) {
  const differing = bundles.flatMap((bundle) => {
    const files = differingFiles(before.get(bundle), after.get(bundle))
    return files.length > 0 ? [{ bundle, net: bundle.net, variant: bundle.variant, files }] : []
  })
  if (differing.length === 0) {
    const reordered = bundles.filter((bundle) => JSON.stringify(before.get(bundle)) !== JSON.stringify(after.get(bundle))).length
    console.log(
      `all ${bundles.length} bundles are equal${
        current.id === other.id ? ': the compilers are the same but for names, comments and places of files' : ''
      }`,
    )
    if (reordered > 0) console.log(`in ${reordered} of them the keys of the manifest have another order`)
    return
  }
  console.log(
    table([['net', 'bundles', 'files that differ'], ...rowsOf(differing, (net) => bundles.filter((bundle) => bundle.net === net).length)]),
  )
  console.log(`\n${differing.length} of ${bundles.length} bundles differ`)
  const shown = show === undefined ? undefined : differing.find(({ net }) => matching(show).test(net))
  if (shown)
    console.log(
      `\n${shown.net} (${shown.variant})\n${await firstDifferences({
        before: other,
        after: current,
        ...shown.bundle,
        files: shown.files,
      })}`,
    )
  process.exitCode = 1
}

async function main() {
  const { values } = readArguments(import.meta.url, {
    usage: HELP,
    options: {
      against: { type: 'string' },
      dist: { type: 'string' },
      of: { type: 'string' },
      quick: { type: 'boolean' },
      only: { type: 'string', multiple: true },
      show: { type: 'string' },
      jobs: { type: 'string', default: '2' },
      seconds: { type: 'string', default: 'Infinity' },
      fresh: { type: 'boolean' },
      json: { type: 'boolean' },
    },
  })
  if (!(Number(values.jobs) >= 1)) throw new Error(`--jobs ${values.jobs} is no number of processes`)
  if (!(Number(values.seconds) > 0)) throw new Error(`--seconds ${values.seconds} is no time`)
  if (values.fresh && values.seconds !== 'Infinity')
    throw new Error('--fresh compiles all bundles again each time: with --seconds it might never come to the last')
  if (values.show !== undefined && values.against === undefined && values.dist === undefined)
    throw new Error('--show compares: name what with, by --against or --dist')
  const folder = mkdtempSync(join(tmpdir(), 'fusenet-hashes-'))
  try {
    const { hashedNets } = await import(pathToFileURL((await bundled(join(root, 'test/support/hashed-nets.ts'), folder)).path).href)
    const only = (values.only ?? (values.show === undefined ? ['*'] : [values.show])).map(matching)
    const nets = hashedNets(root)
    const all = bundlesOf(nets.filter(({ name }) => only.some((pattern) => pattern.test(name))), values.quick)
    if (all.length === 0) {
      const examples = new Map(nets.toReversed().map(({ name }) => [name.split('/')[0], name]))
      throw new Error(`no net${values.quick ? ' of --quick' : ''} has a name like that (such as ${[...examples.values()].join(', ')})`)
    }
    const compilers = [await (values.of === undefined ? compilerOfTree(folder) : compilerOf(values.of, folder))]
    if (values.against !== undefined) {
      const { commit, told } = comparedWith(values.against, values.of)
      console.error(told)
      compilers.push(await compilerOf(commit, folder))
    }
    if (values.dist !== undefined) compilers.push(await compilerOfBuild(values.dist, folder))
    const started = performance.now()
    const until = started + Number(values.seconds) * 1000
    const { results, compiled } = await hashAll(all, compilers, { jobs: Number(values.jobs), until, fresh: values.fresh })
    const bundles = all.filter((bundle) => results.every((result) => result.has(bundle)))
    if (bundles.length < all.length) {
      process.exitCode = 3
      console.error(`${all.length - bundles.length} of ${all.length} bundles are left: the same command goes on with them`)
      if (bundles.length === 0) return
    }
    if (values.json)
      return console.log(
        JSON.stringify(bundles.map((bundle) => ({ net: bundle.net, variant: bundle.variant, hashes: results[0].get(bundle) })), null, 1),
      )
    print(bundles, results[0])
    if (compiled > 0) console.log(`${compiled} bundles compiled in ${((performance.now() - started) / 1000).toFixed(0)} s`)
    for (let i = 1; i < compilers.length; i++) await compare(bundles, [results[0], results[i]], [compilers[0], compilers[i]], values.show)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

await main().catch((error) => {
  console.error(`hashes: ${error.message}`)
  process.exitCode = 2
})
