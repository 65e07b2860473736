import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Device } from '../../bundle/device.ts'
import { compile } from '../../compiler/index.ts'
import { tunables } from '../../measure/tune.ts'
import { readBundle, writeBundle } from '../../runtime/node.ts'
import { encodeNpy } from '../../runtime/loading/npy.ts'
import { fusenet, json, lines } from './helper.ts'

/** Maps of 4 x 4, whose gradients are taken in blocks of images where a batch fills them. */
const NET = `net small {
  input x: f32[32, 4, 4]
  input t: class[3]
  h = x -> conv(32, 3, pad: 1) -> batch_norm -> relu -> conv(32, 3, pad: 1) -> relu
  loss l = h -> fc(3) -> softmax_loss(t)
}
train { batch 2  solver sgd(lr: 0.01) }
`
const OTHER = 64

let folder: string
const at = (name: string): string => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-batch-'))
  await writeFile(at('small.net'), NET)
  const count = 2 * OTHER
  await writeFile(
    at('x.npy'),
    encodeNpy({ shape: [count, 32, 4, 4], type: 'f32', data: Float32Array.from({ length: count * 512 }, (_, i) => Math.sin(i)) }),
  )
  await writeFile(at('t.npy'), encodeNpy({ shape: [count], type: 'i32', data: Int32Array.from({ length: count }, (_, i) => i % 3) }))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const kernelsOf = (batch: number) =>
  tunables({ file: 'small.net', text: NET }, { device: { name: 'wasm' } as Device, batch, programs: ['infer', 'train'] }, { batch }).kernels

/** A file of schedules as `fusenet tune --batch N` leaves it. */
const tunedAt = (batch: number, name: string): Promise<void> =>
  writeFile(
    at(name),
    JSON.stringify({
      format: 'fusenet-schedules',
      version: 1,
      adapters: [{
        target: 'wasm',
        adapter: { cpu: 'some cpu' },
        kernels: Object.fromEntries(
          kernelsOf(batch).map(({ key, name, candidates }) => [
            key,
            { name, schedule: candidates.at(-1), batch, among: '', ms: 1, defaultMs: 2 },
          ]),
        ),
      }],
    }),
  )

describe("a batch that is no file's", () => {
  test('has kernels of its own, which tune measures and compile finds', async () => {
    const keys = (batch: number): string[] => kernelsOf(batch).map(({ key }) => key)
    expect(keys(OTHER).filter((key) => !keys(2).includes(key)).length).toBeGreaterThan(0)
    await tunedAt(OTHER, 'tuned.json')
    const compileWith = async (...more: string[]) => {
      const said = await fusenet(['compile', at('small.net'), '-o', at('out'), '--targets', 'wasm', '--cache', at('tuned.json'), ...more])
      expect(said.code, said.err).toBe(0)
      return said
    }
    const all = json(await compileWith('--batch', String(OTHER), '--json')).schedules[0]
    const some = json(await compileWith('--json')).schedules[0]
    expect(some.used.length).toBeLessThan(all.used.length)
    expect(all.refused).toEqual([])
    expect((await compileWith()).err).toContain(
      `tuned.json were measured at batch ${OTHER}, and this is compiled for 2, whose kernels may be others: fusenet tune --batch 2 measures them, --batch ${OTHER} here compiles for the other`,
    )
    expect((await compileWith('--batch', String(OTHER))).err).not.toContain('measured at batch')
  })

  test('is the one of the bundle from then on', async () => {
    expect((await fusenet(['compile', at('small.net'), '-o', at('other'), '--batch', String(OTHER), '--targets', 'wasm'])).code).toBe(0)
    const other = await readBundle(at('other'))
    expect(other.manifest.train?.batch).toBe(OTHER)
    // Compiled again for something else, it keeps its batch.
    expect((await fusenet(['compile', at('other'), '-o', at('split'), '--style', 'split'])).code).toBe(0)
    expect((await readBundle(at('split'))).manifest.train?.batch).toBe(OTHER)
  })

  const train = (bundle: string, output: string, ...more: string[]) =>
    fusenet(['train', bundle, '--data', `x=${at('x.npy')},t=${at('t.npy')}`, '--device', 'wasm', '--steps', '1', '-o', output, ...more])

  test('a bundle of another batch is compiled again for it, from its text', async () => {
    expect((await fusenet(['compile', at('small.net'), '-o', at('two'), '--targets', 'wasm'])).code).toBe(0)
    const said = await train(at('two'), at('trained'), '--batch', String(OTHER))
    expect(said.code, said.err).toBe(0)
    expect(said.err).toContain(`${at('two')} is compiled for batch 2: its text is compiled again, for ${OTHER}`)
    const { manifest, files } = await readBundle(at('trained'))
    expect(manifest.train?.batch).toBe(OTHER)
    const anew = compile({ file: 'small.net', text: NET }, { batch: OTHER, targets: ['wasm'] })
    expect([...files.keys()]).toEqual([...anew.files.keys()])
    for (const [name, data] of anew.files) expect(Buffer.from(files.get(name)!).equals(Buffer.from(data)), name).toBe(true)
    // It goes on with the same batch, by itself.
    const further = await train(at('trained'), at('further'), '--json')
    expect(lines(further).find(({ event }) => event === 'start').batch).toBe(OTHER)
    expect((await train(at('two'), at('same'), '--batch', '2')).err).not.toContain('is compiled for batch')
  })

  test('a bundle without its text is trained as it is, and that is told', async () => {
    const bare = compile({ file: 'small.net', text: NET }, { normalize: false, targets: ['wasm'] })
    await writeBundle(bare, at('bare'))
    const said = await train(at('bare'), at('bare-trained'), '--batch', '4')
    expect(said.code, said.err).toBe(0)
    expect(said.err).toContain(`${at('bare')} is compiled for batch 2: batches of 4 may be slower, and it carries no text to compile again`)
  })
})
