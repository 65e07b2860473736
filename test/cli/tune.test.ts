import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeNpy } from '../../runtime/loading/npy.ts'
import { tunables } from '../../measure/tune.ts'
import type { Device } from '../../bundle/device.ts'
import { readBundle } from '../../runtime/node.ts'
import { kernelTexts } from '../support/kernel-texts.ts'
import { fusenet, json } from './helper.ts'

const TINY = 'net tiny {\n  input x: f32[1, 6, 6]\n  output y = x -> conv(4, 3) as c -> relu -> fc(2) as f\n}\n'
/** The software adapter compiles every candidate. */
const LONG = 180_000

let folder: string
const at = (name: string): string => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-tune-'))
  await writeFile(at('tiny.net'), TINY)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const tune = (...more: string[]) => fusenet(['tune', at('tiny.net'), '--device', 'webgpu', '--batch', '2', ...more])

describe('tune', () => {
  test('keeps what it finds; a second run measures only what is new; compile takes it', async () => {
    const first = await tune('--cache', at('cache.json'), '-o', at('tuned'), '--json')
    expect(first.code, first.err).toBe(0)
    const report = json(first)
    expect(report).toMatchObject({
      net: 'tiny',
      device: 'webgpu',
      batch: 2,
      programs: ['infer'],
      known: 0,
      left: 0,
      bundle: at('tuned'),
    })
    expect(report.tuned.map((t: any) => t.name)).toContain('c+relu_1')
    expect(report.tuned).toHaveLength(report.kernels)
    // Nothing is to be compared where the compiler's own choice was the fastest everywhere.
    for (const { contestants } of report.programTimes ?? [])
      expect(contestants.map((c: any) => [c.name, c.wrong])).toEqual([['before', false], ['tuned', false]])
    const cache = JSON.parse(await readFile(at('cache.json'), 'utf8'))
    expect(cache.adapters.map((a: any) => [a.target, Object.keys(a.adapter), Object.keys(a.kernels).length])).toEqual([['webgpu-software', [
      'vendor',
      'architecture',
      'device',
      'description',
    ], report.kernels]])

    const second = json(await tune('--cache', at('cache.json'), '--json'))
    expect(second).toEqual({
      ...report,
      known: report.kernels,
      tuned: [],
      // By the noise of the machine, which may leave the first undecided: then the second compares programs once more.
      end: second.end,
      goOn: report.goOn === undefined ? undefined : second.goOn,
      programTimes: report.goOn === undefined ? undefined : second.programTimes,
      givenUp: report.goOn === undefined ? undefined : second.givenUp,
      bundle: undefined,
    })
  }, LONG)

  test('at another batch it measures again; compile takes what was found', async () => {
    expect((await tune('--cache', at('batch.json'), '-o', at('tuned'))).code).toBe(0)
    expect(
      json(
        await fusenet([
          'tune',
          at('tiny.net'),
          '--device',
          'webgpu',
          '--batch',
          '3',
          '--minutes',
          '0.00001',
          '--cache',
          at('batch.json'),
          '--json',
        ]),
      ),
    ).toMatchObject({ end: 'out of time', known: 0 })
    expect((await fusenet(['compile', at('tiny.net'), '-o', at('again'), '--cache', at('batch.json'), '--batch', '2'])).code).toBe(0)
    const kernels = async (name: string) =>
      Object.fromEntries([...(await readBundle(at(name))).files].filter(([file]) => file.endsWith('.wgsl')))
    expect(await kernels('again')).toEqual(await kernels('tuned'))
  }, LONG)

  test('a schedule of the file is what the kernel is compiled with; results stay', async () => {
    // The last that the target would think of, for each kernel.
    const { kernels } = tunables(
      { file: 'tiny.net', text: TINY },
      { device: { name: 'webgpu' } as Device, batch: 2, programs: ['infer'] },
      {},
    )
    const entries = kernels.map((
      { key, name, candidates },
    ) => [key, { name, schedule: candidates.at(-1)!, batch: 2, among: '', ms: 1, defaultMs: 2 }])
    await writeFile(
      at('own.json'),
      JSON.stringify({
        format: 'fusenet-schedules',
        version: 1,
        adapters: [{ target: 'webgpu', adapter: { vendor: 'own' }, kernels: Object.fromEntries(entries) }],
      }),
    )
    await writeFile(
      at('x.npy'),
      encodeNpy({ shape: [2, 1, 6, 6], type: 'f32', data: Float32Array.from({ length: 72 }, (_, i) => i / 32 - 1) }),
    )
    const made: { texts: unknown[]; y: number[] }[] = []
    for (const more of [[], ['--cache', at('own.json')]]) {
      expect((await fusenet(['compile', at('tiny.net'), '-o', at('compiled'), ...more])).code).toBe(0)
      const texts = [...kernelTexts(await readBundle(at('compiled')), 'webgpu').values()]
      made.push({
        texts,
        y: json(await fusenet(['run', at('compiled'), '--device', 'webgpu', '--input', at('x.npy'), '--json'])).outputs.y.data,
      })
    }
    const [before, after] = made as [(typeof made)[number], (typeof made)[number]]
    expect(after.texts).toHaveLength(2)
    expect(after.texts.filter((text) => !before.texts.includes(text))).toHaveLength(kernels.length)
    before.y.forEach((value, i) => expect(after.y[i]).toBeCloseTo(value, 5))
  }, LONG)

  test('compiled again with what was tuned on a software adapter, a bundle has a plan more and loses none', async () => {
    await writeFile(
      at('software.json'),
      JSON.stringify({
        format: 'fusenet-schedules',
        version: 1,
        adapters: [{ target: 'webgpu-software', adapter: { vendor: 'own' }, kernels: {} }],
      }),
    )
    const plans = async (name: string): Promise<string[]> => Object.keys((await readBundle(at(name))).manifest.plans)
    expect((await fusenet(['compile', at('tiny.net'), '--storage', 'f16', '-o', at('half')])).code).toBe(0)
    expect(await plans('half')).toEqual(['webgpu', 'wasm', 'webgpu-f16'])
    expect((await fusenet(['compile', at('half'), '--cache', at('software.json'), '-o', at('more')])).code).toBe(0)
    expect(await plans('more')).toEqual(['webgpu', 'wasm', 'webgpu-f16', 'webgpu-software'])
    // What it has it keeps, in another style too.
    expect((await fusenet(['compile', at('more'), '--style', 'split', '-o', at('split')])).code).toBe(0)
    expect(await plans('split')).toEqual(['webgpu', 'wasm', 'webgpu-f16', 'webgpu-software'])
  })

  test('on the CPU it tunes tiles, for the processor and its threads', async () => {
    const said = await fusenet([
      'tune',
      at('tiny.net'),
      '--device',
      'wasm',
      '--threads',
      '1',
      '--batch',
      '2',
      '--cache',
      at('cpu.json'),
      '--json',
    ])
    expect(said.code, said.err).toBe(0)
    expect(json(said)).toMatchObject({ device: 'wasm', adapter: { cpu: expect.stringMatching(/./), threads: '1' }, left: 0 })
    expect(json(said).tuned.length).toBeGreaterThan(0)
    const [entry] = JSON.parse(await readFile(at('cpu.json'), 'utf8')).adapters
    expect([entry.target, Object.keys(entry.adapter)]).toEqual(['wasm', ['cpu', 'simd', 'threads']])
    expect((await fusenet(['compile', at('tiny.net'), '-o', at('for-cpu'), '--cache', at('cpu.json')])).code).toBe(0)
  }, LONG)

  test('Ctrl-C keeps what was found and says how to go on: exit code 130', async () => {
    const said = await fusenet(['tune', at('tiny.net'), '--device', 'webgpu', '--batch', '2', '--cache', at('stopped.json')], {
      interruptAt: /kernels can be computed/,
    })
    expect(said.code).toBe(130)
    expect(said.err).toContain(`go on by: fusenet tune ${at('tiny.net')} --cache ${at('stopped.json')} --batch 2 --device webgpu`)
    expect(said.err).toMatch(/interrupted: (\d) of \1 kernels are left/)
  })

  test('how to go on names the threads, by which a processor is known', async () => {
    const said = await fusenet([
      'tune',
      at('tiny.net'),
      '--device',
      'wasm',
      '--threads',
      '1',
      '--minutes',
      '0.00001',
      '--cache',
      at('threads.json'),
    ])
    expect(said.err).toContain(
      `go on by: fusenet tune ${at('tiny.net')} --cache ${at('threads.json')} --threads 1 --minutes 0.00001 --device wasm`,
    )
  })

  test('--minutes ends it early: exit code 0', async () => {
    const said = json(await tune('--cache', at('short.json'), '--minutes', '0.00001', '--json'))
    expect(said).toMatchObject({ end: 'out of time', left: said.kernels, goOn: expect.stringContaining('fusenet tune') })
  })
})

describe('what cannot be is refused before anything is measured', () => {
  test.each([
    ['the interpreter', ['tune', 'NET', '--device', 'interpreter'], 2, /Allowed choices are auto, webgpu, wasm/],
    [
      'a program that is none',
      ['tune', 'NET', '--device', 'webgpu', '--program', 'infr'],
      1,
      /tiny has no program infr; did you mean infer\? \(it has infer\)/,
    ],
    ['a cache that is something else', ['tune', 'NET', '--cache', 'NET'], 1, /tiny\.net is not JSON/],
    ['no time', ['tune', 'NET', '--minutes', '0'], 2, /number above 0/],
    [
      'schedules that nobody found',
      ['compile', 'NET', '-o', 'OUT', '--tuned'],
      1,
      /nothing was tuned here yet \(.*fusenet.schedules\.json\): run fusenet tune/,
    ],
    ['a file of schedules that is not there', ['compile', 'NET', '-o', 'OUT', '--cache', 'NET.json'], 1, /there is no file/],
  ])('%s', async (_, argv, wanted, message) => {
    const { code, err } = await fusenet(argv.map((word) => word.replace('NET', at('tiny.net')).replace('OUT', at('out'))), {
      env: { XDG_CACHE_HOME: at('nothing') },
    })
    expect(err).toMatch(message)
    expect(code).toBe(wanted)
  })

  test('of several adapters, none of which is here', async () => {
    const entry = (vendor: string) => ({ target: 'webgpu', adapter: { vendor, description: 'card' }, kernels: {} })
    await writeFile(at('two.json'), JSON.stringify({ format: 'fusenet-schedules', version: 1, adapters: [entry('a'), entry('b')] }))
    const { code, err } = await fusenet(['compile', at('tiny.net'), '-o', at('out'), '--cache', at('two.json')])
    expect(code).toBe(1)
    expect(err).toMatch(/holds schedules for a card, b card, and none of them is here/)
    await writeFile(at('one.json'), JSON.stringify({ format: 'fusenet-schedules', version: 1, adapters: [entry('a')] }))
    const said = await fusenet(['compile', at('tiny.net'), '-o', at('out'), '--cache', at('one.json')])
    expect(said.code, said.err).toBe(0)
    expect(said.err).toContain('schedules for a card')
  })

  test('what became of the schedules of a file is told, and nothing of targets that are not compiled for', async () => {
    const { kernels } = tunables(
      { file: 'tiny.net', text: TINY },
      { device: { name: 'wasm' } as Device, batch: 2, programs: ['infer'] },
      {},
    )
    const found = { name: 'k', batch: 2, among: '', ms: 1, defaultMs: 2 }
    const [first, second] = kernels
    const write = (name: string, of: object, target = 'wasm') =>
      writeFile(
        at(name),
        JSON.stringify({
          format: 'fusenet-schedules',
          version: 1,
          adapters: [{ target, adapter: { cpu: 'some cpu' }, kernels: of }, { target: 'tpu', adapter: { core: '1' }, kernels: {} }],
        }),
      )
    const compileWith = (name: string, ...more: string[]) =>
      fusenet(['compile', at('tiny.net'), '-o', at('out'), '--cache', at(name), ...more])
    await write('used.json', {
      [first!.key]: { ...found, schedule: first!.candidates.at(-1) },
      [second!.key]: { ...found, schedule: { algorithm: 'fft' } },
      elsewhere: { ...found, schedule: first!.candidates[0] },
    })
    const said = await compileWith('used.json')
    expect(said.code, said.err).toBe(0)
    expect(said.err).toContain(`used.json has schedules for tpu, which this fusenet does not know`)
    expect(said.err).toContain(
      `schedules for some cpu, of ${at('used.json')}: 1 kernel computed by them; 1 passed over, which fusenet tune finds anew:`,
    )
    expect(said.err).toContain(`  ${second!.name}: there is no algorithm "fft"`)
    expect(json(await compileWith('used.json', '--json')).schedules).toEqual([
      { target: 'wasm', compiled: true, used: [first!.name], refused: [{ kernel: second!.name, why: expect.any(String) }], others: 1 },
    ])
    await write('other.json', { elsewhere: { ...found, schedule: first!.candidates[0] } })
    expect((await compileWith('other.json')).err).toContain('none for a kernel of this net where the compiler would choose another')
    expect((await compileWith('other.json', '--targets', 'webgpu')).err).toContain('not used, this is not compiled for wasm')
  })
})
