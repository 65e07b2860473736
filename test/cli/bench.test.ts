import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fusenet, json } from './helper.ts'

/** A net small enough to be measured in no time. */
const NET = `net small {
  input image: f32[2, 6, 6]
  input label: class[3]
  logits = image -> conv(4, 3, bias: false) -> batch_norm -> relu -> fc(3)
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train {
  batch 4
  solver sgd(lr: 0.1, momentum: 0.9)
  steps 10
}
`
const PLAIN = NET.replace(' -> batch_norm', '').replace(', bias: false', '')

let folder: string
const at = (name: string): string => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-bench-'))
  await writeFile(at('small.net'), NET)
  await writeFile(at('plain.net'), PLAIN)
  await writeFile(at('infers.net'), 'net infers {\n  input x: f32[3]\n  output y = x -> fc(2)\n}\n')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const bench = (...more: string[]) => fusenet(['bench', ...more, '--device', 'wasm', '--threads', '1', '--repeat', '2'])

describe('bench', () => {
  test('measures merged, split and no-bn alike; results agree', async () => {
    const said = await bench(at('small.net'), '--against', 'split,no-bn', '--json')
    expect(said.code, said.err).toBe(0)
    const report = json(said)
    expect(report).toMatchObject({ net: 'small', device: 'wasm', batch: 4, interrupted: false })
    expect(report.programs.map((p: any) => p.program)).toEqual(['infer', 'train'])
    for (const { contestants, flops } of report.programs) {
      expect(contestants.map((c: any) => c.name)).toEqual(['merged', 'split', 'no-bn'])
      for (const c of contestants) {
        expect(c.times).toHaveLength(2)
        expect(c.minimumMs).toBe(Math.min(...c.times))
        expect(c.ratio).toBeCloseTo(c.medianMs / contestants[0].medianMs, 9)
        expect(c.wrong).toBe(false)
      }
      expect(contestants[1].difference.worst).toBeLessThan(1e-4)
      expect(contestants[2].difference).toBeUndefined()
      expect(flops).toBeGreaterThan(0)
    }
    // A convolution of 4 x 4 x 4 points over 2 x 3 x 3, an inner product of 64 with 3; four images, two for each product.
    expect(report.programs[0].flops).toBe(4 * 2 * (64 * 18 + 64 * 3))
  })

  test('for people: a table a program, plain lines where there is no terminal', async () => {
    const { code, out, err } = await bench(at('small.net'), '--against', 'split', '--programs', 'infer', '--kernels')
    expect(code, err).toBe(0)
    expect(out).toMatch(/^inference: .*FLOP in convolutions and inner products, 2 measurements each$/m)
    expect(out).toMatch(/^merged +[\d.]+ +[\d.]+ +1\.00 +1\.00 /m)
    expect(out).toMatch(/^split +[\d.]+ .*\d\.\de-\d$/m)
    expect(out).not.toContain('no-bn')
    expect(out).not.toContain('training')
    expect(out).toMatch(/^inference of merged, kernel by kernel$/m)
    expect(out).toMatch(/^conv_1\+batch_norm_1\+relu_1 +[\d.]+ +[\d.]+ % /m)
    expect(out).toMatch(/^all .* 100\.0 % /m)
    expect(err).toMatch(/^small at batch 4 on wasm: WebAssembly/m)
    expect(out + err).not.toContain('\u001b')
  })

  test("--kernels: times add up to the whole, FLOPs and bytes are the plan's", async () => {
    const said = await bench(at('small.net'), '--against', 'merged', '--programs', 'train', '--kernels', '--batch', '2', '--json')
    const inspected = json(await fusenet(['inspect', at('small.net'), '--device', 'wasm', '--batch', '2', '--json'])).programs.train
    const [{ kernels }] = json(said).programs
    const sum = (list: readonly any[], key: string): number => list.reduce((total, k) => total + k[key], 0)
    expect(kernels).toHaveLength(inspected.kernels.length)
    expect(sum(kernels, 'share')).toBeCloseTo(1, 9)
    expect(sum(kernels, 'bytes')).toBe(inspected.bytesRead + inspected.bytesWritten)
    expect(sum(kernels, 'flops')).toBe(inspected.flops)
  })

  test('what a net does not have is left out, or refused where it was asked for', async () => {
    const plain = json(await bench(at('plain.net'), '--against', 'no-bn', '--json'))
    expect(plain.notes).toEqual(['no-bn: small has no batch_norm to leave out'])
    expect(plain.programs[0].contestants.map((c: any) => c.name)).toEqual(['merged'])
    expect(json(await bench(at('infers.net'), '--against', 'merged', '--json')).programs.map((p: any) => p.program)).toEqual(['infer'])
    const { code, err } = await bench(at('infers.net'), '--programs', 'train')
    expect(code).toBe(1)
    expect(err).toContain('infers has no program train: it has no loss')
  })

  test('a bundle is compiled again from the text it carries', async () => {
    expect((await fusenet(['compile', at('small.net'), '-o', at('bundle')])).code).toBe(0)
    const report = json(await bench(at('bundle'), '--against', 'split,no-bn', '--programs', 'infer', '--json'))
    expect(report.programs[0].contestants.map((c: any) => c.name)).toEqual(['merged', 'split', 'no-bn'])
  })

  test('Ctrl-C ends it: exit code 130', async () => {
    const said = await fusenet([
      'bench',
      at('small.net'),
      '--against',
      'split',
      '--device',
      'wasm',
      '--threads',
      '1',
      '--repeat',
      '100000',
      '--json',
    ], { interruptAt: /on wasm/ })
    expect(said.code).toBe(130)
    expect(json(said)).toMatchObject({ net: 'small', interrupted: true })
  })

  test.each([
    ['a name that is none', ['--against', 'splt'], /There is no splt; did you mean split\?/],
    ['a program that is none', ['--programs', 'infer,trian'], /There is no trian; did you mean train\?/],
    ['the interpreter', ['--device', 'interpreter'], /Allowed choices are auto, webgpu, wasm/],
    ['no measurement', ['--repeat', '0'], /whole number from 1 on/],
  ])('the command line is wrong: %s', async (_, more, message) => {
    const { code, err } = await fusenet(['bench', at('small.net'), ...more])
    expect(code).toBe(2)
    expect(err).toMatch(message)
  })
})
