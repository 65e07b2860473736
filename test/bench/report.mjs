import { Table } from './table.mjs'

/** One workload's competitors as a table. */
export function drawTable({ workload, what, batch, flops, peak, competitors }) {
  const base = competitors.find((e) => e.ratioTo)?.ratioTo
  const severalThreads = new Set(competitors.map((e) => e.threads)).size > 1
  const columns = [
    ['', (e) => (severalThreads ? `${e.name} /${e.threads}` : e.name)],
    ['version', (e) => e.version ?? ''],
    ...(peak ? [['threads', (e) => e.threadsUsed]] : []),
    ['median ms', (e) => milliseconds(e.medianMs)],
    ['min ms', (e) => milliseconds(e.minimumMs)],
    ['GFLOP/s', (e) => e.gflops.toFixed(2)],
    ...(peak ? [['of peak', (e) => `${(100 * e.shareOfPeak).toFixed(0)} %`]] : []),
    [`x ${base}`, (e) => e.ratio.toFixed(2)],
    ['difference', (e) => (e.difference ? `${e.difference.worst.toExponential(1)}${e.wrong ? ' WRONG' : ''}` : 'reference')],
    ['ready ms', (e) => e.readyMs.toFixed(0)],
  ]
  const table = new Table({
    head: columns.map(([head]) => head),
    colAligns: columns.map((_, i) => (i < 2 ? 'left' : 'right')),
  })
  const measured = competitors.filter((e) => e.medianMs)
  for (const e of measured) table.push(columns.map(([, cell]) => cell(e)))
  // Once for all numbers of threads.
  const others = new Set(
    competitors.filter((e) => !e.medianMs).map((e) =>
      `${e.name}: ${e.failed ? 'FAILED: ' : ''}${(e.failed ?? e.unsupported).split('\n')[0].slice(0, 100)}`
    ),
  )
  const peaks = peak &&
    [
      `SIMD peak of one thread: ${peak.plainGflops.toFixed(1)} GFLOP/s`,
      ...(peak.fusedGflops ? [`fused ${peak.fusedGflops.toFixed(1)}`] : []),
    ].join(', ')
  return [
    `${workload}: ${what}, batch ${batch}, ${(flops / 1e9).toFixed(2)} GFLOP`,
    ...(measured.length > 0 ? [String(table)] : []),
    ...others,
    ...(peaks ? [peaks] : []),
  ].join('\n')
}

/**
 * What all workloads together say, as `{ what, threads, ratio, minima }`: ratios of medians and of minima. Only of competitors
 * whose results are right.
 */
export function ratiosOf(reports) {
  const found = []
  const onCpu = reports.some((r) => r.backend === 'wasm')
  const put = (what, threads, above, below) => {
    if (above && below) {
      found.push({
        what,
        threads: onCpu ? threads : undefined,
        ratio: above.medianMs / below.medianMs,
        minima: above.minimumMs / below.minimumMs,
      })
    }
  }
  const entryOf = (workload, name, threads) =>
    reports.find((r) => r.workload === workload)
      ?.competitors.find((e) => e.name === name && e.threads === threads && e.medianMs && !e.wrong)
  const names = [...new Set(reports.flatMap((r) => r.competitors.map((e) => e.name)))]
  const allThreads = [...new Set(reports.flatMap((r) => r.competitors.map((e) => e.threads)))].sort((a, b) => a - b)

  for (const { workload } of reports) {
    for (const threads of allThreads) {
      const ours = entryOf(workload, 'fusenet', threads)
      const peers = names.filter((name) => name !== 'fusenet').map((name) => entryOf(workload, name, threads)).filter(Boolean)
      const web = peers.filter(({ name }) => name === 'ort' || name === 'tfjs').sort((a, b) => a.medianMs - b.medianMs)
      if (web.length > 1) put(`${workload}: fusenet / the faster of ort and tfjs (${web[0].name})`, threads, ours, web[0])
      for (const peer of peers.filter((p) => web.length < 2 || !web.includes(p)))
        put(`${workload}: fusenet / ${peer.name}`, threads, ours, peer)
    }
  }
  for (const name of names) {
    for (const threads of allThreads) {
      put(`W1 / W1n, what BN costs ${name}`, threads, entryOf('W1', name, threads), entryOf('W1n', name, threads))
      // The style is fusenet's alone: for others it is W1 once more.
      if (name === 'fusenet') put('W1s / W1, what merging gives', threads, entryOf('W1s', name, threads), entryOf('W1', name, threads))
    }
    for (const threads of allThreads.slice(1)) {
      for (const { workload } of reports) {
        const faster = entryOf(workload, name, threads)
        if (faster?.threadsUsed === threads)
          put(
            `${workload}: ${name} with ${allThreads[0]} / with ${threads} threads`,
            threads,
            entryOf(workload, name, allThreads[0]),
            faster,
          )
      }
    }
  }
  return found
}

export const drawRatios = (ratios) =>
  ratios
    .map(({ what, threads, ratio, minima }) =>
      `  ${ratio.toFixed(2)}  (minima ${minima.toFixed(2)})  ${what}${
        threads === undefined || what.includes('threads') ? '' : `, ${threads} thread${threads > 1 ? 's' : ''}`
      }`
    )
    .join('\n')

const milliseconds = (ms) => ms.toFixed(ms < 10 ? 3 : 1)
