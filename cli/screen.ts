import { stripVTControlCharacters } from 'node:util'
import pc from 'picocolors'
import { columnsOf } from '../dsl/readable.ts'
import type { Stream, Terminal } from './terminal.ts'

export type Colors = ReturnType<typeof pc.createColors>

/** NO_COLOR (no-color.org) wins over FORCE_COLOR; otherwise colors are for terminals. */
export function wantsColor(stream: Stream, env: Terminal['env']): boolean {
  if (env['NO_COLOR']) return false
  if (env['FORCE_COLOR'] !== undefined && env['FORCE_COLOR'] !== '0') return true
  return Boolean(stream.isTTY) && env['TERM'] !== 'dumb'
}

/**
 * Results go to standard output, everything said on the way to standard error. With `--json` standard output holds JSON
 * alone.
 */
export class Screen {
  readonly terminal: Terminal
  readonly json: boolean
  /** The colors of standard output. */
  readonly colors: Colors
  /** The colors of standard error. */
  readonly noteColors: Colors

  constructor(terminal: Terminal, json: boolean) {
    this.terminal = terminal
    this.json = json
    this.colors = pc.createColors(wantsColor(terminal.out, terminal.env))
    this.noteColors = pc.createColors(wantsColor(terminal.err, terminal.env))
  }

  /** A result for people. */
  print(text: string): void {
    if (!this.json) this.terminal.out.write(`${text}\n`)
  }

  /** The result for machines. */
  result(value: unknown): void {
    if (this.json) this.terminal.out.write(`${JSON.stringify(value, plainNumbers, 2)}\n`)
  }

  /** One of many results for machines: a line each. */
  event(value: unknown): void {
    if (this.json) this.terminal.out.write(`${JSON.stringify(value, plainNumbers)}\n`)
  }

  /** Prints a note on progress to standard error. */
  note(text: string): void {
    this.terminal.err.write(`${text}\n`)
  }

  /** Columns without rules: legible, and `awk` finds the fields. `right`: columns of numbers. */
  table(head: readonly string[], rows: readonly (readonly (string | number)[])[], right: readonly number[] = []): void {
    if (this.json) return
    const lines = [head.map((title) => this.colors.bold(title)), ...rows.map((row) => row.map(String))]
    const widths = head.map((_, column) => lines.reduce((width, line) => Math.max(width, widthOf(line[column] ?? '')), 0))
    this.print(
      lines.map((line) =>
        widths.map((width, column) => {
          const text = line[column] ?? ''
          const rest = ' '.repeat(width - widthOf(text))
          return right.includes(column) ? rest + text : text + rest
        }).join('  ').trimEnd()
      ).join('\n'),
    )
  }
}

/** Columns that a text takes on a terminal: names of classes are in any script, and colors take no room. */
export const widthOf = (text: string): number =>
  [...stripVTControlCharacters(text)].reduce((width, character) => width + columnsOf(character), 0)

/** Typed arrays as lists; JSON has no NaN or infinities, so they go as words. */
function plainNumbers(_key: string, value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number>)
  if (typeof value === 'bigint') return Number(value)
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  return value
}

/** 1536 -> `1.5 KiB` */
export function showBytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  while (count >= 1024 && unit < units.length - 1) {
    count /= 1024
    unit++
  }
  return `${unit === 0 ? count : count.toPrecision(3)} ${units[unit]}`
}

/** 2470000 -> `2.47 M` */
export function showCount(count: number): string {
  const units = ['', ' k', ' M', ' G', ' T']
  let unit = 0
  while (count >= 1000 && unit < units.length - 1) {
    count /= 1000
    unit++
  }
  return `${unit === 0 ? count : count.toPrecision(3)}${units[unit]}`
}

/** `662 kFLOP`, `807 FLOP` */
export const showFlops = (flops: number): string => `${showCount(flops)}FLOP`.replace(/(\d)F/, '$1 F')

export const showPercent = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`

/** Six digits: enough to compare runs, short enough for a line. */
export const showNumber = (value: number): string => (Number.isInteger(value) ? String(value) : value.toPrecision(6))

/** 75 -> `1:15` */
export function showDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  const whole = Math.max(0, Math.round(seconds))
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (n: number): string => String(n).padStart(2, '0')
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}
