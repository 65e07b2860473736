import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { encodeNpy } from '../../runtime/loading/npy.ts'
import { readBundle, writeBundle } from '../../runtime/node.ts'
import type { Tunable } from '../../measure/tune.ts'
import { fusenet, json } from './helper.ts'

/** The clock of these tests: a kernel is twice as fast by its last candidate, and a whole program takes `programMs` with what was found, 10 without; on a busy
 * machine both take much longer in every other turn. */
const { clock } = vi.hoisted(() => ({
  clock: { programMs: 8, isBusy: false, measured: [] as string[], comparisons: 0, interrupt: undefined as (() => void) | undefined },
}))
vi.mock('../../measure/tune.ts', async (original) => ({
  ...await original<object>(),
  tuneKernel: async ({ key, name, candidates }: Tunable) => {
    clock.measured.push(name)
    return { key, name, schedule: candidates.at(-1)!, defaultMs: 2, ms: 1, measured: candidates.length, notes: [] }
  },
}))
vi.mock('../../measure/bench.ts', () => ({
  bench: async (_: unknown, { programs, stopped, onMeasured }: any) => {
    clock.comparisons++
    onMeasured(programs[0], 'tuned')
    clock.interrupt?.()
    const contestant = (ms: number) => ({
      times: Array.from({ length: 13 }, (_, i) => (clock.isBusy && i % 2 === 1 ? 40 - ms : ms)),
      minimumMs: ms,
      ratioOfMinima: ms / 10,
      difference: { worst: 0 },
      wrong: false,
    })
    return programs.map((program: string) => ({ program, stopped: stopped(), contestants: [contestant(10), contestant(clock.programMs)] }))
  },
}))

let folder: string
const at = (name: string): string => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-kept-'))
  await writeFile(
    at('tiny.net'),
    'net tiny {\n  input x: f32[3, 8, 8]\n  output y = x -> conv(8, 3) as c -> relu -> conv(8, 3) as d -> fc(4) as f\n}\n',
  )
  await writeFile(
    at('x.npy'),
    encodeNpy({ shape: [2, 3, 8, 8], type: 'f32', data: Float32Array.from({ length: 384 }, (_, i) => Math.sin(i)) }),
  )
})
afterAll(() => rm(folder, { recursive: true, force: true }))
beforeEach(() => Object.assign(clock, { programMs: 8, isBusy: false, measured: [], comparisons: 0, interrupt: undefined }))

const tune = (cache: string, options?: Parameters<typeof fusenet>[1], ...more: string[]) =>
  fusenet(['tune', at('tiny.net'), '--device', 'wasm', '--threads', '1', '--batch', '2', '--cache', at(cache), ...more], options)
const compile = (out: string, ...more: string[]) => fusenet(['compile', at('tiny.net'), '--targets', 'wasm', '-o', at(out), ...more])
const moduleOf = async (name: string): Promise<string> => JSON.stringify([...(await readBundle(at(name))).files])

test('a gain is kept: compile and run are by it, with the results of the reference, and nothing is measured again', async () => {
  const first = await tune('gain.json', {}, '-o', at('tuned'))
  expect(first.code, first.err).toBe(0)
  const names = clock.measured.join(', ')
  expect(clock.measured.length).toBeGreaterThan(1)
  expect(first.out).toContain(`by schedules of ${at('gain.json')}: ${names}`)

  const compiled = await compile('by-cache', '--cache', at('gain.json'))
  expect(compiled.err).toContain(`${clock.measured.length} kernels computed by them`)
  await compile('by-itself')
  expect(await moduleOf('by-cache')).not.toBe(await moduleOf('by-itself'))

  const run = (...words: string[]) => fusenet(['run', ...words, '--input', at('x.npy'), '--json'])
  const [got, inOne, want] = [
    json(await run(at('tuned'), '--device', 'wasm')),
    json(await run(at('tiny.net'), '--device', 'wasm', '--cache', at('gain.json'))),
    json(await run(at('tiny.net'), '--device', 'interpreter')),
  ].map(({ outputs }) => outputs.y.data as number[])
  want!.forEach((value, i) => {
    expect(got![i]).toBeCloseTo(value, 5)
    expect(inOne![i]).toBeCloseTo(value, 5)
  })

  Object.assign(clock, { measured: [], comparisons: 0 })
  const second = await tune('gain.json')
  expect(second.out).toBe(`nothing is measured: all was known\nby schedules of ${at('gain.json')}: ${names}\n`)
  expect(clock).toMatchObject({ measured: [], comparisons: 0 })
})

describe('a tuned bundle that is compiled again', () => {
  beforeAll(async () => {
    await tune('carried.json', {}, '-o', at('carried'))
  })
  const again = (out: string, ...more: string[]) => fusenet(['compile', at('carried'), '-o', at(out), ...more])
  const taken = async (name: string): Promise<number> =>
    Object.values((await readBundle(at(name))).manifest.schedules ?? {}).reduce((sum, kernels) => sum + Object.keys(kernels).length, 0)

  test('keeps its schedules, in kernels and for the next time', async () => {
    const said = await again('carried-programs', '--programs', 'infer', '--batch', '2')
    expect(said.err).toContain(`schedules that ${at('carried')} was tuned with: ${await taken('carried')} kernels computed by them`)
    expect(await moduleOf('carried-programs')).toBe(await moduleOf('carried'))
    expect((await again('carried-small', '--style', 'split', '--memory', 'small')).err).toContain('was tuned with: ')
    expect(await taken('carried-small')).toBeGreaterThan(0)
  })
  test('says which schedules are of no use any more', async () => {
    const said = await again('carried-split', '--style', 'split')
    const lost = (await taken('carried')) - (await taken('carried-split'))
    expect(lost).toBeGreaterThan(0)
    expect(said.err).toContain(`; ${lost} ${lost === 1 ? 'is' : 'are'} for kernels that are others now: fusenet tune measures those`)
  })
  test('has them replaced by those of --cache, and passes over what is no schedule', async () => {
    const cache = JSON.parse(await readFile(at('carried.json'), 'utf8'))
    const other = (entry: object): Promise<void> =>
      writeFile(at('other.json'), JSON.stringify({ ...cache, adapters: [{ ...cache.adapters[0], ...entry, kernels: {} }] }))
    await other({ target: 'webgpu' })
    await again('carried-other', '--cache', at('other.json'))
    expect(await taken('carried-other')).toBe(await taken('carried'))
    await writeFile(at('none.json'), JSON.stringify({ ...cache, adapters: [] }))
    expect((await again('carried-other', '--cache', at('none.json'))).err).toContain(`${at('none.json')} holds no schedules`)
    expect(await taken('carried-other')).toBe(await taken('carried'))
    await other({})
    await again('carried-none', '--cache', at('other.json'), '--targets', 'wasm')
    expect(await taken('carried-none')).toBe(0)
    await compile('by-itself')
    expect(await moduleOf('carried-none')).toBe(await moduleOf('by-itself'))
    for (const schedules of [7, [], { wasm: 3, gpu: {} }, { wasm: { key: 3 } }, { wasm: { key: { algorithm: 'none' } } }]) {
      const bundle = await readBundle(at('by-itself'))
      await writeBundle({ ...bundle, manifest: { ...bundle.manifest, schedules: schedules as never } }, at('odd'))
      expect((await fusenet(['compile', at('odd'), '--style', 'split', '-o', at('odd-split')])).code).toBe(0)
    }
  })
  test('carries none in a module', async () => {
    expect((await again('carried.js', '--format', 'esm')).code).toBe(0)
    expect(await readFile(at('carried.js'), 'utf8')).not.toContain(
      JSON.stringify(Object.keys((await readBundle(at('carried'))).manifest.schedules!.wasm!)[0]),
    )
  })
})

test.each([['none is faster', 10], ['one is slower', 12]])(
  'where %s as a whole, nothing is kept, and not measured again',
  async (_, programMs) => {
    clock.programMs = programMs
    const said = await tune(`loss-${programMs}.json`)
    expect(said.out).toContain(`not kept, since the whole is no faster by them: ${clock.measured.join(', ')}\nno schedule is kept`)
    expect((await compile('loss', '--cache', at(`loss-${programMs}.json`))).err).toContain('none for a kernel of this net')
    clock.measured = []
    expect(json(await tune(`loss-${programMs}.json`, {}, '--json'))).toMatchObject({ tuned: [], kept: [], end: 'done' })
    expect(clock).toMatchObject({ measured: [], comparisons: 1 })
  },
)

const whileCompared = { interruptBy: (interrupt: () => void) => Object.assign(clock, { interrupt }) }
test.each([['between two kernels', { interruptAt: /2\.000 -> 1\.000/ }], ['while whole programs take turns', whileCompared]])(
  'interrupted %s, nothing unchecked is compiled with; the next run measures the rest, and checks all',
  async (when, how) => {
    const cache = `stopped ${when}.json`
    const stopped = await tune(cache, how)
    expect(stopped.code, stopped.err).toBe(130)
    const before = clock.measured
    expect(before.length).toBeGreaterThan(0)
    expect(stopped.err).toMatch(
      /interrupted: .*schedules? not yet compared in the whole net, and not used before that\ngo on by: fusenet tune/,
    )
    expect((await compile('unchecked', '--cache', at(cache))).err).toContain('none for a kernel of this net')
    await compile('by-itself')
    expect(await moduleOf('unchecked')).toBe(await moduleOf('by-itself'))

    Object.assign(clock, { measured: [], comparisons: 0, interrupt: undefined })
    const report = json(await tune(cache, {}, '--json'))
    expect(report).toMatchObject({ end: 'done', known: before.length, left: 0 })
    expect(clock.comparisons).toBe(1)
    expect(clock.measured.filter((name) => before.includes(name))).toEqual([])
    expect(report.kept.toSorted()).toEqual([...before, ...clock.measured].toSorted())
    expect(await readFile(at(cache), 'utf8')).not.toContain('unchecked')
    expect((await compile('checked', '--cache', at(cache))).err).toContain(`${report.kernels} kernels computed by them`)
  },
)

test('where turns do not agree there are more of them, and the next run compares again what they leave open', async () => {
  clock.isBusy = true
  const first = await tune('busy.json')
  expect(first.code, first.err).toBe(0)
  expect(clock.comparisons).toBe(2)
  expect(first.err).toMatch(/undecided: turns of the whole net do not agree on \d schedules, .*\ngo on by: fusenet tune /)
  expect(first.out).not.toContain('not kept')
  expect((await compile('open', '--cache', at('busy.json'))).err).toContain('none for a kernel of this net')
  const [measured, machine] = [clock.measured.length, await readFile(at('busy.json'), 'utf8')]
  expect(machine).toContain('"unchecked": true')

  clock.isBusy = false
  const second = await tune('busy.json')
  expect([clock.measured.length, clock.comparisons]).toEqual([measured, 3])
  expect(second.out).toContain(`by schedules of ${at('busy.json')}: `)
  expect(await readFile(at('busy.json'), 'utf8')).not.toContain('unchecked')
})
