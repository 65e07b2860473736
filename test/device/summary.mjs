/** The report as a page of text: what a person reads first. report.json has everything. */
import { drawHead, drawMeans, drawRow } from '../bench/zoo/report.mjs'

/** The stage that asks the adapter what it is (stages.mjs). */
const PROBE = 'the adapter'

export function summaryOf({ minutes, node, stages }) {
  const probe = stages.find(({ found }) => found?.gflops && found.limits)?.found
  const parts = [
    `${
      probe?.description ??
        (stages.some(({ name, left }) => name === PROBE && !left) ? 'no adapter was found' : 'the adapter was not asked')
    }; Node ${node}; a budget of ${minutes} minutes`,
    ...(probe
      ? [
        `arithmetic ${Number(probe.gflops.toPrecision(3))} GFLOP/s, copies ${
          Number(probe.gigabytesPerSecond.toPrecision(3))
        } GB/s, a dispatch ${probe.dispatchUs.toFixed(1)} us`,
      ] : []),
  ]
  for (const stage of stages) {
    const took = stage.seconds === undefined ? '' : `, ${stage.seconds.toFixed(0)} s`
    const under = stage.seconds === undefined && !stage.left && !stage.stopped ? ' (under way)' : ''
    parts.push('', `${stage.name}${took}${under}${stage.stopped ? ' (cut off)' : ''}${stage.left ? `: ${stage.left}` : ''}`)
    if (stage.files) parts.push(...drawTests(stage))
    else if (stage.found?.tables) parts.push(...stage.found.tables.flatMap(drawZoo))
    else if (stage.found?.reports) parts.push(...stage.found.reports.flatMap(drawWorkload))
    else if (stage.found?.dispatches) parts.push(...drawKernels(stage.found, probe))
    else if (!stage.left && !under && !stage.found)
      parts.push(`  nothing was found${stage.code ? `: it ended with ${stage.code}, see log.txt` : ''}`)
  }
  return `${parts.join('\n')}\n`
}

const drawTests = ({ passed, failed, skipped, files }) => [
  `  ${passed} passed, ${failed} failed, ${skipped} skipped`,
  `  longest: ${
    files.filter(({ seconds }) => seconds).sort((a, b) => b.seconds - a.seconds).slice(0, 3)
      .map(({ file, seconds }) => `${file} ${seconds.toFixed(0)} s`).join(', ')
  }`,
  ...files.filter(({ stopped, left }) => stopped || left).map(({ file, left }) => `  ${file}: ${left ? 'not begun' : 'cut off'}`),
  ...files.flatMap(({ file, wrong = [] }) => wrong.map(({ name, error }) => `  ${file}: ${name}: ${error.split('\n')[0]}`)),
]

function drawZoo({ program, rows }) {
  const columns = [...new Set(rows.flatMap(({ ms = {} }) => Object.keys(ms)))]
  if (!columns.includes('merged')) return rows.map(({ net, error }) => `  ${net}: ${error ?? 'not measured'}`)
  const costs = rows.filter(({ cost }) => cost?.merged).map(({ net, cost }) =>
    `  ${net}: ${
      Object.entries(cost).map(([name, { dispatches, bytes }]) => `${name} ${dispatches} dispatches ${(bytes / 1e6).toFixed(0)} MB`).join(
        ', ',
      )
    }`
  )
  return [drawHead(program, columns), ...rows.map((row) => drawRow(row, columns)), drawMeans(rows, columns), ...costs]
}

const drawWorkload = ({ workload, batch, competitors }) => [
  `  ${workload} (${batch}): ${
    competitors.map((c) =>
      `${c.name} ${c.minimumMs ? `${c.minimumMs.toFixed(3)} ms${c.wrong ? ' WRONG' : ''}` : c.unsupported ?? 'failed'}`
    ).join(', ')
  }`,
]

/** The longest kernels, and how near each is to the limit that is nearer: arithmetic or memory. */
function drawKernels({ program, batch, totalMs, runMs, dispatches }, probe) {
  const share = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(0)} %` : '')
  const [flops, bytes] = ['flops', 'bytes'].map((key) => dispatches.reduce((sum, d) => sum + d[key], 0))
  return [
    `  ${program} at batch ${batch}: ${dispatches.length} dispatches, ${(bytes / 1e6).toFixed(0)} MB, ${(flops / 1e9).toFixed(2)} GFLOP, ${
      totalMs.toFixed(3)
    } ms in kernels, ${runMs.toFixed(3)} ms a run`,
    ...dispatches.slice(0, 12).map((d) =>
      `  ${d.ms.toFixed(4).padStart(9)} ms ${share(d.share, 1).padStart(5)}  peak ${
        share(d.gflops, probe?.gflops).padStart(5)
      }  bandwidth ${share(d.gigabytesPerSecond, probe?.gigabytesPerSecond).padStart(5)}  ${d.name}${d.how ? ` (${d.how})` : ''}`
    ),
  ]
}
