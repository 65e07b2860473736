import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Debian's package `darknet` (2018-09-14): the library, and the nets that come with it. */
const LIBRARY = '/usr/lib/darknet/libdarknet.so'
export const CFG_FOLDER = '/usr/share/darknet/cfg'
export const darknetIsHere = existsSync(LIBRARY) && existsSync(CFG_FOLDER)

export interface Ask {
  readonly cfg: string
  readonly weights: Uint8Array
  readonly input: Float32Array
  /** With it: training steps on this batch; without: predictions. */
  readonly truth?: Float32Array
  readonly updates?: number
}

export interface Answer {
  readonly output: Float32Array
  readonly losses: readonly number[]
  readonly rates: readonly number[]
  /** The `.weights` file behind the training steps. */
  readonly trained: Uint8Array
}

/** Asks Darknet's library, in one process of Python, which calls it by ctypes. */
export function askDarknet(asks: readonly Ask[]): Answer[] {
  const folder = mkdtempSync(join(tmpdir(), 'darknet-'))
  try {
    const at = (name: string, i: number): string => join(folder, `${i}.${name}`)
    const bytes = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
    const requests = asks.map(({ cfg, weights, input, truth, updates }, i) => {
      writeFileSync(at('cfg', i), cfg)
      writeFileSync(at('weights', i), weights)
      writeFileSync(at('input', i), bytes(input))
      if (truth) writeFileSync(at('truth', i), bytes(truth))
      return {
        cfg: at('cfg', i),
        weights: at('weights', i),
        input: at('input', i),
        ...(truth ? { truth: at('truth', i), updates: updates ?? 1, trained: at('trained', i) } : { output: at('output', i) }),
      }
    })
    const script = fileURLToPath(new URL('darknet-library.py', import.meta.url))
    const said = execFileSync('python3', [script, LIBRARY], { input: JSON.stringify(requests), stdio: ['pipe', 'pipe', 'ignore'] })
      .toString()
    const answers = JSON.parse(said.slice(said.lastIndexOf('\n[') + 1)) as { losses?: number[]; rates?: number[] }[]
    return answers.map(({ losses = [], rates = [] }, i) => {
      const output = asks[i]!.truth ? new Uint8Array() : readFileSync(at('output', i))
      return {
        output: new Float32Array(new Uint8Array(output).buffer),
        losses,
        rates,
        trained: asks[i]!.truth ? readFileSync(at('trained', i)) : new Uint8Array(),
      }
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * A net of the package made small, so that it runs in an instant: another size of the input, fewer filters where nothing counts on them (the
 * sections in front of detectors keep theirs). `batch` and `subdivisions` are set, policies taken out.
 */
export function smallCfg(name: string, { size, divide = 1, batch = 1, subdivisions = 1, upTo = Infinity, without = [] }: Small): string {
  const lines = readFileSync(join(CFG_FOLDER, name), 'utf8').split('\n').map((line) => line.replace(/\s/g, '')).filter((line) =>
    !/^([#;]|$)/.test(line)
  )
  const sections: string[][] = []
  for (const line of lines) {
    if (line.startsWith('[')) sections.push([])
    sections.at(-1)!.push(line)
  }
  const [, ...rest] = sections
  const kept = rest.slice(0, upTo).filter((_, i) => !without.includes(i))
  for (const section of kept) {
    const keeps = /^\[(yolo|region|detection)\]/.test(rest[rest.indexOf(section) + 1]?.[0] ?? '')
    for (const [j, line] of section.entries()) {
      const [key, value] = line.split('=') as [string, string]
      if (!keeps && (key === 'filters' || key === 'output') && Number(value) > 10)
        section[j] = `${key}=${Math.ceil(Number(value) / divide)}`
      // Chance would differ.
      else if (key === 'probability') section[j] = 'probability=0'
      else if (key === 'crop_height' || key === 'crop_width') section[j] = `${key}=${size - 4}`
    }
  }
  const head = [
    '[net]',
    `width=${size}`,
    `height=${size}`,
    'channels=3',
    `batch=${batch}`,
    `subdivisions=${subdivisions}`,
    'learning_rate=0.01',
    'momentum=0.9',
    'decay=0.0005',
  ]
  return [head, ...kept].map((section) => section.join('\n')).join('\n\n')
}

export interface Small {
  readonly size: number
  readonly divide?: number
  readonly batch?: number
  readonly subdivisions?: number
  /** How many sections are kept. */
  readonly upTo?: number
  /** Sections that are left out; for nets that count no sections backwards. */
  readonly without?: readonly number[]
}
