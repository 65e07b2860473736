import { describe, expect, test, vi } from 'vitest'
import { hotNet } from '../../bundlers/hot.ts'
import { compile } from '../../compiler/index.ts'
import type { Bundle } from '../../bundle/format.ts'
import { arrays } from '../../runtime/data/dataset.ts'
import { LocalNet as Net } from '../../runtime/net.ts'
import { openLocal as open } from '../../runtime/open.ts'
import { BLOCKS, TINY, WEIGHTS } from './project.ts'

const compiled = (text: string, weights = WEIGHTS): Bundle => ({
  ...compile(text, { readImport: () => ({ file: 'blocks.net', text: BLOCKS }), targets: ['wasm'] }),
  weights,
})
const BUNDLES: Readonly<Record<string, Bundle>> = {
  first: compiled(TINY),
  /** Twice as much comes out, by the same parameters. */
  doubled: compiled(TINY.replace('output out = y', 'output out = add(y, y)')),
  /** One parameter more. */
  longer: compiled(TINY.replace('output out = y', 'output out = y -> scale(bias: false) as twice')),
  trained: compiled(TINY, new Map([...WEIGHTS, ['head.layer.bias', { shape: [2], type: 'f32', data: Float32Array.of(0, 0) }]])),
}

/** A page: versions of a net's module come one after another, as Vite evaluates them. */
function page() {
  const hot = { data: {}, invalidate: vi.fn() }
  const opened: Net[] = []
  const openOne = async (url: string, options?: object) => {
    const net = await open(BUNDLES[url]!, { device: 'wasm', ...options })
    opened.push(net)
    return net as never
  }
  const come = (url: string, signature = 'one', weights = 'w') =>
    hotNet(hot, { name: 'tiny', url, signature, weights }, openOne) as unknown as { url: string; open(options?: object): Promise<Net> }
  const updated = (): Promise<any> =>
    new Promise((done) => globalThis.addEventListener('fusenet:update', (event) => done((event as CustomEvent).detail), { once: true }))
  return { hot, come, updated, opened }
}
const X = { x: [1, 1, 1] }
const T = { ...X, t: [0, 0] }

// Node has no global events; a page does.
const events = new EventTarget()
Object.assign(globalThis, { addEventListener: events.addEventListener.bind(events), dispatchEvent: events.dispatchEvent.bind(events) })
vi.spyOn(console, 'info').mockImplementation(() => {})

describe('a net whose text changes while it is open', () => {
  test('becomes the new one, with what it learned', async () => {
    const { come, updated, opened, hot } = page()
    const tiny = come('first')
    const net = await tiny.open({ batch: 1 })
    expect(net).toBeInstanceOf(Net)
    await net.setParameters({ 'head.layer.bias': [100, 200] }, { strict: false })
    const update = updated()
    come('longer')
    expect(await update).toEqual({ name: 'tiny', net, kept: ['head.layer.weight', 'head.layer.bias'], fresh: ['twice.weight'] })
    expect(tiny.url).toBe('longer')
    // [1+2+3 + 100, 4+5+6 + 200], by weight 1.
    expect(await net.run(X)).toEqual({ out: Float32Array.of(106, 215) })
    expect((await net.parameters()).size).toBe(3)
    await expect(opened[0]!.run(X)).rejects.toThrow('closed')
    expect(hot.invalidate).not.toHaveBeenCalled()
    net.close()
    await expect(net.run(X)).rejects.toThrow('closed')
  })

  test('takes weights that were trained anew', async () => {
    const { come, updated } = page()
    const net = await come('first').open({ batch: 1 })
    await net.setParameters({ 'head.layer.bias': [100, 200] }, { strict: false })
    const update = updated()
    come('trained', 'one', 'other')
    await update
    expect(await net.run(X)).toEqual({ out: Float32Array.of(6, 15) })
    net.close()
  })

  test('loses no call that is under way', async () => {
    const { come, updated } = page()
    const net = await come('first').open({ batch: 1 })
    const update = updated()
    const before = Array.from({ length: 20 }, () => net.run(X))
    come('doubled')
    const during = (async () => {
      for (let i = 0; i < 50; i++) expect([16, 32]).toContain((await net.run(X)).out![0])
    })()
    for (const { out } of await Promise.all(before)) expect(out).toEqual(Float32Array.of(16, 35))
    await Promise.all([update, during])
    expect(await net.run(X)).toEqual({ out: Float32Array.of(32, 70) })
    net.close()
  })

  test('ends the training that is under way first', async () => {
    const { come, updated } = page()
    const net = await come('first').open({ batch: 1 })
    const steps: number[] = []
    let update: Promise<any> | undefined
    for await (
      const { step } of net.train(
        arrays({
          x: { data: Float32Array.of(1, 1, 1, 1, 1, 1), shape: [3], type: 'f32' },
          t: { data: new Float32Array(4), shape: [2], type: 'f32' },
        }),
        { epochs: 2 },
      )
    ) {
      steps.push(step)
      if (step === 1) {
        update = updated()
        come('doubled')
      }
    }
    expect(steps).toEqual([1, 2, 3, 4])
    const learned = (await net.parameters()).get('head.layer.bias')!.data
    await update
    expect((await net.parameters()).get('head.layer.bias')!.data).toEqual(learned)
    net.close()
  })

  test('has the page loaded again where it takes or gives something else, and nothing where no net is open', async () => {
    const { come, hot } = page()
    const tiny = come('first')
    come('doubled', 'two')
    expect(hot.invalidate).not.toHaveBeenCalled()
    const net = await tiny.open({ batch: 1 })
    come('longer', 'three')
    expect(hot.invalidate).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('tiny has other inputs or outputs'))
    net.close()
  })

  test('goes on as it was where the new one cannot be opened', async () => {
    const { come } = page()
    const told = vi.spyOn(console, 'error').mockImplementation(() => {})
    const net = await come('first').open({ batch: 1 })
    come('nowhere')
    await expect.poll(() => told.mock.calls.length).toBe(1)
    expect(await net.run(X)).toEqual({ out: Float32Array.of(16, 35) })
    expect((await net.step(T, { update: false })).loss).toBe((16 ** 2 + 35 ** 2) / 2)
    net.close()
  })
})
