import { Child } from './child.mjs'
import { compareResults } from './compare.mjs'
import { WORKLOADS, prepareWorkload } from './workloads.mjs'

/** Workloads whose times are compared with each other: their competitors take turns too. */
const TOGETHER = [['W1', 'W1n', 'W1s']]

/** The workloads in groups that are measured together, in the order in which they were named. */
export function groupsOf(names) {
  const groups = []
  for (const name of names) {
    const together = TOGETHER.find((group) => group.includes(name))
    const group = groups.find((g) => together?.includes(g[0]))
    if (group) group.push(name)
    else groups.push([name])
  }
  return groups
}

/**
 * Measures a group of workloads: `settings` are run.mjs's options as numbers, `peak` is sampled between rounds. Gives a report
 * for each workload: `{ workload, batch, flops, competitors: [{ name, threads, medianMs, minimumMs, ... }] }`.
 */
export async function measure(
  names,
  { competitors, batchOf, threads, backend, env, limitSeconds, repeat, warmUp, atLeastMs, warmUpMs, tolerance, peak, log },
) {
  // A style is fusenet's alone: for peers it is the same work once more.
  const styleAlone = (name) => WORKLOADS[name].style && competitors.includes('fusenet') && names.length > 1
  const reports = names.map((name) => {
    const batch = batchOf(WORKLOADS[name])
    return {
      workload: name,
      what: WORKLOADS[name].what,
      batch,
      flops: prepareWorkload(name, { batch }).flops,
      backend,
      competitors: threads.flatMap((t) =>
        (styleAlone(name) ? ['fusenet'] : competitors).map((competitor) => ({ name: competitor, threads: t, times: [] }))
      ),
    }
  })
  const children = new Map()
  const giveUp = (report, entry, error) => {
    children.get(entry)?.kill()
    children.delete(entry)
    Object.assign(entry, error.unsupported ? { unsupported: error.message } : { failed: error.message })
    if (!error.unsupported) log(`${report.workload}: ${entry.name}: ${error.message}`)
  }
  try {
    // One after the other: while one gets ready, nobody else computes.
    for (const report of reports) {
      for (const entry of report.competitors) {
        log(`${report.workload}: ${entry.name}${threads.length > 1 ? ` with ${entry.threads} threads` : ''} gets ready`)
        children.set(entry, new Child(entry.name, { env, backend, limitSeconds }))
        try {
          const { check, version, threads: used, ms } = await children.get(entry).ask('prepare', {
            name: entry.name,
            workload: report.workload,
            options: { batch: report.batch, backend, threads: entry.threads, warmUpMs },
          })
          Object.assign(entry, { version, check, threadsUsed: used, readyMs: ms })
        } catch (error) {
          giveUp(report, entry, error)
        }
      }
      compareEntries(report, tolerance, log)
    }
    for (let round = 0; round < warmUp + repeat; round++) {
      peak?.sample()
      for (const report of reports) {
        for (const entry of report.competitors.filter((e) => children.has(e))) {
          try {
            const ms = await children.get(entry).ask('iterate', { atLeastMs })
            if (round >= warmUp) entry.times.push(ms)
          } catch (error) {
            giveUp(report, entry, error)
          }
        }
      }
      log(`${names.join(' ')}: round ${round + 1} of ${warmUp + repeat}`)
    }
  } finally {
    for (const child of children.values()) child.kill()
  }
  for (const report of reports) summarize(report, peak)
  return reports
}

/**
 * Gradients are compared by norm, and ten times as generously: where a value rounds to the other side of ReLU's kink, the
 * gradient is another one in that place, for everybody who adds up in another order. In W4b that is one of 3.2 million.
 */
function compareEntries({ workload, competitors }, tolerance, log) {
  const byNorm = WORKLOADS[workload].mode === 'gradients'
  const [reference, ...others] = competitors.filter((e) => e.check)
  for (const entry of others) {
    entry.difference = compareResults(entry.check, reference.check, { byNorm })
    entry.comparedWith = reference.name
    entry.wrong = !(entry.difference.worst <= tolerance * (byNorm ? 10 : 1))
    if (entry.wrong) log(`${workload}: ${entry.name} disagrees with ${reference.name}: ${JSON.stringify(entry.difference)}`)
  }
}

function summarize(report, peak) {
  const { flops, competitors } = report
  if (peak) report.peak = { plainGflops: peak.plain, fusedGflops: peak.fused || undefined }
  for (const entry of competitors) {
    delete entry.check
    if (entry.times.length === 0) continue
    entry.medianMs = median(entry.times)
    entry.minimumMs = Math.min(...entry.times)
    entry.gflops = flops / entry.medianMs / 1e6
    // Of the minimum, as the peak is a maximum: both are of moments when nobody else was at work.
    if (peak) entry.shareOfPeak = flops / entry.minimumMs / 1e6 / entry.threadsUsed / peak.gflops
  }
  for (const entry of competitors) {
    if (!entry.medianMs) continue
    const rivals = competitors.filter((e) => e.threads === entry.threads && e.medianMs)
    const base = rivals.find((e) => e.name === 'fusenet') ?? rivals[0]
    Object.assign(entry, { ratioTo: base.name, ratio: entry.medianMs / base.medianMs })
  }
}

export function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}
