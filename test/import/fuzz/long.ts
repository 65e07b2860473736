/*
 * The long form of `fuzz.test.ts`: mutants FROM to TO of a kind, with their time and memory. Run by `long.mjs`, which bundles it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { importMutant, mutantOf } from './run.ts'
import { type Seed, seedsOf } from './seeds.ts'

const [kind, from, to, folder] = process.argv.slice(2) as [Seed['kind'], string, string, string]
/** What Node needs for a net of any size: code, garbage that waits for its collection. */
const BASE_BYTES = 192 * 2 ** 20
const MOST_MS = 5000

/** The most memory since the last call; what there is now becomes the most again (Linux; 0 elsewhere). */
function peakBytes(): number {
  try {
    const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0) * 1024
    writeFileSync('/proc/self/clear_refs', '5')
    return peak
  } catch {
    return 0
  }
}

const seeds = seedsOf[kind]()
const counts = { refused: 0, imported: 0, failed: 0 }
let slowest = 0
let most = 0
for (let number = Number(from); number < Number(to); number++) {
  const mutant = mutantOf(seeds, number)
  const size = mutant.model.length + (mutant.beside?.length ?? 0) + (mutant.weights?.bytes.length ?? 0)
  writeFileSync(`${folder}/at`, String(number))
  peakBytes()
  const before = process.memoryUsage.rss()
  const cpu = process.cpuUsage()
  const told: string[] = []
  try {
    counts[await importMutant(mutant)]++
  } catch (error) {
    told.push(String((error as Error).stack ?? error).slice(0, 1500))
  }
  const ms = (({ user, system }) => (user + system) / 1000)(process.cpuUsage(cpu))
  const bytes = peakBytes() - before
  slowest = Math.max(slowest, ms)
  most = Math.max(most, bytes)
  if (ms > MOST_MS) told.push(`${ms.toFixed(0)} ms`)
  if (bytes > 20 * size + BASE_BYTES) told.push(`${(bytes / 2 ** 20).toFixed(0)} MB for ${size} bytes`)
  if (told.length > 0) {
    counts.failed++
    console.log(`${kind} ${number}: ${told.join('; ')}`)
  }
}
console.log(`${kind} ${from} to ${to}: ${JSON.stringify(counts)}, slowest ${slowest.toFixed(0)} ms, most ${(most / 2 ** 20).toFixed(0)} MB`)
process.exitCode = counts.failed > 0 ? 1 : 0
