import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { randomNet } from '../../support/random-net.ts'
import { variedNet } from '../../support/varied-net.ts'
import { compareAll, hasTorch, type TorchCase } from './cases.ts'

/** TORCH=all: every sample, all varied nets and 60 random ones; else some of each. */
const all = process.env['TORCH'] === 'all'

const sample = (name: string): string => readFileSync(join(import.meta.dirname, `../../../samples/${name}.net`), 'utf8')
const count = all ? 60 : 6
const VARIED = all ? 40 : 5

const random: TorchCase[] = Array.from({ length: count }, (_, seed) => ({ name: `random ${seed}`, text: randomNet(seed) }))
const varied: TorchCase[] = Array.from({ length: VARIED }, (_, seed) => ({ name: `varied ${seed}`, text: variedNet(seed, VARIED) }))

test.skipIf(!hasTorch())('net.py computes what the float64 interpreter does (python3-torch)', async () => {
  const compared = await compareAll([...random, ...varied])
  const wrong = compared.filter(({ worst }) => !(worst <= 1e-9))
  console.log(compared.map(({ name, worst, float32 }) => `${name} ${worst.toExponential(1)} ${float32.toExponential(1)}`).join('\n'))
  expect(wrong.map(({ name, worst, what, error }) => error ? `${name}: ${error}` : `${name}: ${what} off by ${worst}`)).toEqual([])
}, 600_000)

void sample
