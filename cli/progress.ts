import type { Screen } from './screen.ts'
import { showDuration, showNumber, widthOf } from './screen.ts'

export interface Progress {
  /** `done` of the total; `samples` seen since the start. */
  update(done: number, samples: number, say?: string): void
  /** A line that stays, above the bar. */
  line(text: string): void
  stop(): void
}

/** Milliseconds between two plain lines, so that a log file stays short. */
const PLAIN_EVERY_MS = 10_000
/** A bar is drawn anew ten times a second at most. */
const BAR_EVERY_MS = 100
const BAR_WIDTH = 30

/** A bar on a terminal, a line now and then elsewhere, nothing with `--json`. All on standard error. */
export function progress(screen: Screen, title: string, total: number, unit = 'samples'): Progress {
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
        screen.note(
          [`${title} ${done}/${total}`, say, `${Math.round(rate(samples))} ${unit}/s`, `${showDuration(left(done))} left`].filter(Boolean)
            .join('  '),
        )
      },
      line: (text) => screen.note(text),
      stop() {},
    }
  }

  const { dim } = screen.noteColors
  let drawnAt = -Infinity
  let stopped = false
  return {
    update(done, samples, say = '') {
      if (stopped || performance.now() - drawnAt < BAR_EVERY_MS) return
      drawnAt = performance.now()
      const full = Math.round(BAR_WIDTH * Math.min(1, done / Math.max(1, total)))
      const parts = [
        title,
        '█'.repeat(full) + '░'.repeat(BAR_WIDTH - full),
        `${done}/${total}`,
        say,
        dim(`${Math.round(rate(samples))} ${unit}/s  ETA ${showDuration(left(done))}`),
      ].filter(Boolean)
      // A line that wraps leaves its remains behind: what does not fit is left out, the bar first.
      const room = (stream.columns ?? 80) - 1
      if (widthOf(parts.join(' ')) > room) parts.splice(1, 1)
      while (widthOf(parts.join(' ')) > room && parts.length > 2) parts.pop()
      stream.write(`\r\u001b[K${parts.join(' ')}`)
    },
    line(text) {
      // Clear the bar's line, write, and let the next update draw the bar again below.
      stream.write(`\r\u001b[K${text}\n`)
      drawnAt = -Infinity
    },
    // Twice does no harm: once at the end, once when the verb is left by an error.
    stop() {
      if (!stopped) stream.write('\r\u001b[K')
      stopped = true
    },
  }
}

export const sayLoss = (loss: number): string => `loss ${showNumber(loss)}`
