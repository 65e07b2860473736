import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { carriedFor } from '../../../export/torch/carried.ts'
import { ROWS } from '../../../export/torch/layers/table.ts'
import { operators } from '../../../compiler/ops/registry.ts'
import { randomNet } from '../../support/random-net.ts'
import { variedNet } from '../../support/varied-net.ts'
import { compareAll, hasTorch, type TorchCase } from './cases.ts'
import { layerCases } from './layer-cases.ts'
import { STRUCTURE_CASES } from './structure-cases.ts'

/** TORCH=all: every layer in every form, every sample, golden nets, 40 varied nets and 60 random ones; else some of each: half an hour, or ten seconds. */
const all = process.env['TORCH'] === 'all'

const VARIED = 40

/** Samples with smaller pictures: the interpreter is slow. */
const samples = [
  'mnist',
  'resnet20',
  'densenet40',
  'cifar10_quick',
  'cifar10_quick_split',
  'cifar10_full_sigmoid_bn',
  'mobilenet_v2',
  'resnet18',
]
  .flatMap((name): TorchCase[] => {
    const text = readFileSync(join(import.meta.dirname, `../../../samples/${name}.net`), 'utf8')
      .replace('f32[1, 28, 28]', 'f32[1, 16, 16]').replace('f32[3, 32, 32]', 'f32[3, 16, 16]').replace('f32[3, 224, 224]', 'f32[3, 32, 32]')
    return [{ name, text, batch: 3 }, { name: `${name}, split`, text, batch: 3, style: 'split' }]
  })
const random = Array.from({ length: all ? 60 : 3 }, (_, seed): TorchCase => ({ name: `random ${seed}`, text: randomNet(seed) }))
const varied = Array.from({ length: VARIED }, (_, seed): TorchCase => ({ name: `varied ${seed}`, text: variedNet(seed, VARIED) }))

test('every layer of the language is written in PyTorch, and compared', () => {
  const layers = [...operators.values()].flatMap(({ signature }) => (signature ? [signature.name] : []))
  expect(layers.filter((layer) => !ROWS.has(layer))).toEqual([])
  const texts = layerCases(true).map(({ text }) => text).join('\n')
  expect(layers.filter((layer) => !new RegExp(`\\b${layer}\\b`).test(texts))).toEqual([])
})

test('net.py carries what its code names, and not what comments and texts do', () => {
  const { definitions } = carriedFor('# share\nself.one = BatchNorm(3)  # Dropout\n"""GroupNorm\\""""""\nresults["Moment"] = self.murmur')
  const names = definitions.flatMap((line) => /^(?:class|def) (\w+)/.exec(line)?.slice(1) ?? [])
  expect(names).toEqual(['BatchNorm', 'BatchNormFunction', 'batch_moments', 'channel'])
})

async function expectAlike(cases: readonly TorchCase[]): Promise<void> {
  const compared = await compareAll(cases)
  if (all)
    console.log(
      compared.map(({ name, worst, float32 }) => `${name}: ${worst.toExponential(1)}, float32 ${float32.toExponential(1)}`).join('\n'),
    )
  const wrong = compared.filter(({ worst }) => !(worst <= 1e-9))
  expect(wrong.map(({ name, worst, what, error }) => (error ? `${name}: ${error}` : `${name}: ${what} off by ${worst}`))).toEqual([])
}

describe.skipIf(!hasTorch())('net.py computes what the float64 interpreter does (python3-torch)', () => {
  test('each layer, and random nets', async () => {
    const more = all ? [...varied, ...samples, ...(await import('./golden-cases.ts')).goldenCases()] : []
    await expectAlike([...STRUCTURE_CASES, ...layerCases(all), ...random, ...more])
  }, 3_600_000)
})
