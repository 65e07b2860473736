import { readdir, writeFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { fusenet, json } from './helper.ts'
import { programFiles } from './program-files.ts'

/** The verb inspect. */
const at = programFiles()

describe('inspect', () => {
  test('--json: kernels with layers, FLOPs, bytes and reasons; linear in the batch', async () => {
    const one = json(await fusenet(['inspect', at('conv.net'), '--json']))
    const ten = json(await fusenet(['inspect', at('conv.net'), '--batch', '10', '--json']))
    expect(one).toMatchObject({ name: 'conv', style: 'merged', batch: 1 })
    expect(Object.keys(one.programs)).toEqual(expect.arrayContaining(['prepare', 'infer', 'train']))
    for (const kernel of one.programs.infer.kernels) {
      expect(Object.keys(kernel).sort()).toEqual(['bytesRead', 'bytesWritten', 'flops', 'layers', 'name', 'why'])
    }
    const { infer } = one.programs
    expect(infer.flops).toBe(infer.kernels.reduce((sum: number, kernel: { flops: number }) => sum + kernel.flops, 0))
    expect(infer.lowerBound).toBeTypeOf('object')
    expect(infer.peakBytes).toBeGreaterThanOrEqual(infer.lowerBound.peakBytes)
    // conv 3x3 on 4x4x4 outputs and fc 64 -> 3, a product and a sum each.
    expect(infer.lowerBound.flops).toBe(2 * (9 * 64 + 64 * 3))
    expect(ten.programs.infer.lowerBound.flops).toBe(10 * infer.lowerBound.flops)
  })

  test('merged: convolution, normalization and activation are one kernel; split: one each', async () => {
    const merged = json(await fusenet(['inspect', at('conv.net'), '--program', 'infer', '--json'])).programs.infer.kernels
    const split =
      json(await fusenet(['inspect', at('conv.net'), '--program', 'infer', '--style', 'split', '--json'])).programs.infer.kernels
    expect(
      merged.some((kernel: { layers: string[] }) =>
        kernel.layers.includes('conv1') && kernel.layers.includes('bn1') && kernel.layers.includes('relu_1')
      ),
    ).toBe(true)
    expect(split.every((kernel: { layers: string[] }) => kernel.layers.length === 1)).toBe(true)
    // conv1, normalization, scale and shift, relu, fc, softmax.
    expect(split).toHaveLength(6)
  })

  test('--memory small: less at once, and what is computed again; a bundle keeps to what it was compiled with, unless told', async () => {
    const train = async (net: string, ...options: string[]) =>
      json(await fusenet(['inspect', at(net), '--batch', '8', '--json', ...options])).programs.train
    const [fast, small] = [await train('deep.net'), await train('deep.net', '--memory', 'small')]
    expect(fast.flopsAgain).toBe(0)
    expect(small.flopsAgain).toBeGreaterThan(0)
    expect(small.peakBytes).toBeLessThan(fast.peakBytes)
    expect(small.lastingBytes).toBe(fast.lastingBytes)
    const compiled = json(await fusenet(['compile', at('deep.net'), '--memory', 'small', '-o', at('small'), '--json']))
    expect(compiled.memory).toBe('small')
    expect(await train('small')).toEqual(small)
    expect(await train('small', '--memory', 'fast')).toEqual(fast)
    expect((await fusenet(['inspect', at('deep.net'), '--memory', 'small', '--program', 'train'])).out).toMatch(
      /memory small.*[^]*of them again[^]*\.again/,
    )
  })

  test('a bundle tells the same as its text', async () => {
    await fusenet(['compile', at('conv.net'), '-o', at('inspected')])
    expect(json(await fusenet(['inspect', at('inspected'), '--json']))).toEqual(json(await fusenet(['inspect', at('conv.net'), '--json'])))
  })

  test('for people: a table a program', async () => {
    const { code, out } = await fusenet(['inspect', at('conv.net'), '--program', 'infer'])
    expect(code).toBe(0)
    expect(out).toMatch(/^conv \(merged\), batch 1$/m)
    expect(out).toMatch(/^infer: \d+ kernels/m)
    expect(out).toMatch(/conv1 \+ bn1 \+ relu_1/)
  })

  test.each(['graph', 'loops', 'kernels'])('--print %s', async (what) => {
    const { code, out } = await fusenet(['inspect', at('conv.net'), '--print', what, '--program', 'infer'])
    expect(code).toBe(0)
    expect(out).toMatch(/^# infer after /m)
    expect(out).toContain('conv1')
  })

  test('--after all prints every pass, `unchanged` where it did nothing; one pass by its name', async () => {
    const { out } = await fusenet(['inspect', at('conv.net'), '--after', 'all', '--program', 'infer'])
    expect(out.match(/^# infer after /gm)!.length).toBeGreaterThan(3)
    expect(out).toContain('unchanged')
    const one = await fusenet(['inspect', at('conv.net'), '--after', 'fold-batch-norm', '--program', 'infer'])
    expect(one.out.match(/^# /gm)).toHaveLength(1)
    const wrong = await fusenet(['inspect', at('conv.net'), '--after', 'fold-batchnorm'])
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('did you mean fold-batch-norm?') })
  })

  test.each([
    [['fold-batch-norm', '--program', 'train'], 'fold-batch-norm does not run in train: it runs in infer, eval (--program infer)'],
    [['recompute'], 'recompute did not run: it runs with --memory small, in gradients, step, train'],
    [['store-halves'], 'store-halves did not run: it runs with --storage f16, in infer, eval'],
    [['prepack'], 'prepack did not run: it runs with --device wasm, in infer, eval'],
    [['fuse-sums', '--style', 'split'], 'fuse-sums did not run: it runs with --style merged, in infer,'],
    [['fuse-sums', '--without', 'fuse'], 'fuse-sums was left out: it runs without --without fuse'],
  ])('--after %s says with what it would run', async ([pass, ...more], message) => {
    const { code, err } = await fusenet(['inspect', at('conv.net'), '--after', pass!, ...more])
    expect(code).toBe(2)
    expect(err).toContain(message)
  })

  test('--after names the programs that a net has not', async () => {
    await writeFile(at('chain.net'), 'net chain {\n  input x: f32[3, 4, 4]\n  output y = x -> conv(2, 3)\n}\n')
    const { code, err } = await fusenet(['inspect', at('chain.net'), '--after', 'differentiate'])
    expect(code).toBe(2)
    expect(err).toMatch(/differentiate did not run: it is for .*train.*, of which this net has none \(it has infer\)/)
  })

  test('--without leaves out a pass', async () => {
    const whole = json(await fusenet(['inspect', at('conv.net'), '--program', 'infer', '--json'])).programs.infer.kernels.length
    const less =
      json(await fusenet(['inspect', at('conv.net'), '--program', 'infer', '--without', 'fuse', '--json'])).programs.infer.kernels.length
    expect(less).toBeGreaterThan(whole)
    expect(await fusenet(['inspect', at('conv.net'), '--without', 'fues'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('did you mean fuse?'),
    })
  })

  test('--emit-dir writes numbered files', async () => {
    await fusenet(['inspect', at('conv.net'), '--emit-dir', at('emitted'), '--program', 'infer'])
    const names = await readdir(at('emitted/infer'))
    expect(names.length).toBeGreaterThan(3)
    expect(names.every((name) => /^\d\d-[a-z-]+\.txt$/.test(name))).toBe(true)
  })

  test('a program that is not there', async () => {
    expect(await fusenet(['inspect', at('conv.net'), '--program', 'infr'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('did you mean infer?'),
    })
  })
})
