import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Device } from '../../runtime/index.ts'
import { targetsOf } from '../support/targets.ts'
import { caseNames, type GoldenCase, readCase } from './golden-file.ts'
import { hasBatchNorm } from './net-text.ts'
import type { Comparison } from './comparison.ts'
import { runCase } from './run-case.ts'

/** Any other folder of the same format: `GOLDEN_DIR=... npm run test:golden`. */
export const folder = process.env['GOLDEN_DIR'] ?? join(import.meta.dirname, 'cases')

export const names = existsSync(folder) ? caseNames(folder) : []

/**
 * Kinds of layers in which WGSL's own exp, division and sqrt count, which it grants a few units in the last place: there
 * float32 devices may use up to 4 times the tolerance. A case that needs more than 1 is printed.
 */
const looser = (golden: GoldenCase): number =>
  golden.kind === 'solver' || golden.kind === 'train' ||
    golden.layers.some((layer) => /Sigmoid|TanH|ELU|BNLL|GELU|SiLU|Softmax|Hinge|Euclidean|CrossEntropy|PReLU|LRN/.test(layer.type)) ? 4 : 1

export function check(golden: GoldenCase, compared: readonly Comparison[], factor: number, where = ''): void {
  expect(compared.length, 'something was compared').toBeGreaterThan(0)
  const wrong = compared.filter((c) => !(c.error <= c.allowed * factor))
  for (const c of compared.filter((c) => c.error > c.allowed && c.error <= c.allowed * factor)) {
    console.log(`${golden.name}: ${c.tensor} needs ${(c.error / c.allowed).toFixed(2)} times the tolerance`)
  }
  expect(wrong.map((c) => `${c.tensor}: off by ${c.error.toExponential(2)}, allowed ${(c.allowed * factor).toExponential(2)}`), where)
    .toEqual([])
}

export interface Suite {
  /** For the interpreter: see `Run`. */
  readonly float64?: boolean
  /** Plans that are compiled, where they are not those that the device would be given. */
  readonly targets?: readonly string[]
  /** BN as it is given, and as the other style spells it, which passes turn into the same nodes. Default true. */
  readonly bothSpellings?: boolean
  /** Further plans, for final blobs in merged style alone: most of their kernels are those of the others. */
  readonly beside?: readonly string[]
  /**
   * Whether trainings run in fewer ways, since their shaders are compiled for each anew: with SGD on the usual plans, with Adam on those beside;
   * with Adam, and where the net comes in both spellings, in the style of its spelling alone. Default false: in every style, on all plans.
   */
  readonly fewTrainings?: boolean
}

const styleOf = (training: GoldenCase): 'merged' | 'split' => (training.name.includes('_split') ? 'split' : 'merged')
/** Whether the net of this case comes in the other spelling, too. */
const hasTwin = (name: string): boolean =>
  names.includes(name.includes('_split') ? name.replace('_split', '_merged') : name.replace('_merged', '_split'))
const isAdam = (training: GoldenCase): boolean => training.meta['solver'].type === 'Adam'

/**
 * Every case on devices that are given the same plan: in both styles, with batch normalization in both spellings (on the first device), in
 * merged style with and without its inner blobs.
 */
export function goldenSuite(
  name: string,
  open: () => Promise<Device | readonly Device[]>,
  { float64 = false, bothSpellings = true, beside = [], fewTrainings = false, targets }: Suite = {},
): void {
  let devices: readonly Device[]
  let ran = 0
  beforeAll(async () => {
    devices = [await open()].flat()
  })
  afterAll(() => {
    for (const device of devices) device.close()
    console.log(`golden on ${name}: ${ran} runs of ${names.length} cases`)
  })

  test('the folder of reference cases is there', () => {
    expect(names.length, `no cases in ${folder}: set GOLDEN_DIR`).toBeGreaterThan(0)
  })

  describe(name, () => {
    for (const caseName of names) {
      const golden = readCase(folder, caseName)
      if (golden.kind === 'filler' || golden.kind === 'lr_policy') continue
      const withBn = hasBatchNorm(golden) || golden.kind === 'bn_stats'
      // Trainings as they are given: spellings become the same nodes, which the short cases hold.
      const spellings = withBn && bothSpellings && golden.kind !== 'train' ? (['as given', 'other'] as const) : (['as given'] as const)
      const few = golden.kind === 'train' && fewTrainings
      const styles = golden.kind === 'solver' ? (['merged'] as const)
        : few && (isAdam(golden) || hasTwin(caseName)) ? [styleOf(golden)] : (['merged', 'split'] as const)
      for (const style of styles) {
        for (const spelling of spellings) {
          // Split style is a pass a layer, whatever is asked for: its kernels are the same with and without inner blobs.
          for (
            const everyBlob of golden.kind === 'net' && golden.layers.length > 1
              ? (style === 'split' ? [true] : [true, false]) : [true]
          ) {
            const label = `${caseName} (${style}${withBn ? `, spelled ${spelling === 'as given' ? 'as given' : 'the other way'}` : ''}${
              everyBlob ? '' : ', final blobs alone'
            })`
            test(label, async () => {
              const isLast = style === 'merged' && !(everyBlob && golden.kind === 'net' && golden.layers.length > 1)
              for (const device of spelling === 'other' ? devices.slice(0, 1) : devices) {
                const usual = targets ?? targetsOf(device)
                const plans = few ? (isAdam(golden) ? beside : usual) : [...usual, ...(isLast ? beside : [])]
                for (const plan of plans.length > 0 ? plans : [undefined]) {
                  const compared = await runCase(golden, { device, targets: plans, plan, float64, style, spelling, everyBlob })
                  check(golden, compared, float64 ? 1 : looser(golden), `${plan ?? ''} on ${device.description}`)
                  ran++
                }
              }
            })
          }
        }
      }
    }
  })
}
