import cliProgress from 'cli-progress'
import type { Screen } from './screen.ts'
import { showDuration, showNumber } from './screen.ts'

export interface Progress {
  /** `done` of the total; `samples` seen since the start. */
  update(done: number, samples: number, say?: string): void
  /** A line that stays, above the bar. */
  line(text: string): void
  stop(): void
}

/** Between two plain lines, so that a log file stays short. */
const PLAIN_EVERY_MS = 10_000

/** A bar on a terminal, a line now and then elsewhere, nothing with `--json`. All on standard error. */
export function progress(screen: Screen, title: string, total: number, unit = 'images'): Progress {
  const startedAt = performance.now()
  const rate = (samples: number): number => samples / Math.max(1e-3, (performance.now() - startedAt) / 1000)
  // Unknown before the first is done: 0 / 0.
  const left = (done: number): number => ((performance.now() - startedAt) / 1000 / done) * (total - done)

  if (screen.json) return { update() {}, line() {}, stop() {} }

  const stream = screen.terminal.err
  if (!stream.isTTY) {
    let saidAt = startedAt
    return {
      update(done, samples, say = '') {
        if (performance.now() - saidAt < PLAIN_EVERY_MS) return
        saidAt = performance.now()
        screen.note([`${title} ${done}/${total}`, say, `${Math.round(rate(samples))} ${unit}/s`, `${showDuration(left(done))} left`].filter(Boolean).join('  '))
      },
      line: (text) => screen.note(text),
      stop() {},
    }
  }

  const { dim } = screen.noteColors
  const bar = new cliProgress.SingleBar({
    stream: stream as NodeJS.WriteStream,
    hideCursor: true,
    clearOnComplete: true,
    // A bar that wraps leaves its remains behind.
    barsize: Math.max(10, Math.min(30, (stream.columns ?? 80) - 66)),
    format: (options, parameters, payload: { say?: string; samples?: number }) =>
      [title, cliProgress.Format.BarFormat(parameters.progress, options), `${parameters.value}/${total}`, payload.say,
        dim(`${Math.round(rate(payload.samples ?? 0))} ${unit}/s  ETA ${showDuration(left(parameters.value))}`)].filter(Boolean).join(' '),
  }, cliProgress.Presets.shades_classic)
  bar.start(total, 0, {})
  let stopped = false
  return {
    update: (done, samples, say) => bar.update(done, { samples, say }),
    line(text) {
      // Clear the bar's line, write, and let the next update draw the bar again below.
      stream.write(`\r\u001b[K${text}\n`)
    },
    // Twice does no harm: once at the end, once when the verb is left by an error.
    stop() {
      if (!stopped) bar.stop()
      stopped = true
    },
  }
}

export const sayLoss = (loss: number): string => `loss ${showNumber(loss)}`
