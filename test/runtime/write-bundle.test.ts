import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { Bundle } from '../../bundle/format.ts'
import { readBundle, writeBundle } from '../../runtime/node.ts'
import { fixture } from './fixture.ts'

/** From the n-th call on that changes files: EIO for that one, or for all that follow as well, as if the process were gone. */
const fault = vi.hoisted(() => ({ countdown: Infinity, dead: false, calls: 0 }))

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>()
  const broken = (): boolean => {
    fault.calls++
    if (fault.countdown <= 0) return fault.dead
    return --fault.countdown === 0
  }
  const guard = (work: (...args: any[]) => Promise<unknown>) => async (...args: unknown[]): Promise<unknown> => {
    if (broken()) throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
    return work(...args)
  }
  const changed = Object.fromEntries(
    (['writeFile', 'mkdir', 'rename', 'rm', 'unlink', 'link', 'copyFile', 'utimes'] as const).map((
      name,
    ) => [name, guard(real[name] as never)]),
  )
  const open = guard(async (path: string, ...more: unknown[]) => {
    const handle = await (real.open as any)(path, ...more)
    return {
      // Half of it, where it breaks.
      writeFile: async (data: string | Uint8Array) => {
        if (broken()) {
          await handle.writeFile(data.slice(0, data.length >> 1))
          throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
        }
        await handle.writeFile(data)
      },
      // Counted and not done: there are thousands, and disks differ.
      sync: guard(async () => {}),
      truncate: (n: number) => handle.truncate(n),
      close: () => handle.close(),
    }
  })
  return { ...real, ...changed, open }
})

let folder: string
const at = (name: string): string => join(folder, name)
const weighed = (value: number, name = 'line'): Bundle => {
  const bundle = fixture()
  return {
    ...bundle,
    manifest: { ...bundle.manifest, name },
    weights: new Map([['w', { shape: [3], type: 'f32', data: Float32Array.of(value, value, value) }], ['seen', {
      shape: [1],
      type: 'f32',
      data: Float32Array.of(value),
    }]]),
  }
}
/** Another net: kernels of the same names with other texts. */
function other(value: number): Bundle {
  const bundle = weighed(value, 'other')
  const files = new Map([...bundle.files].map(([name, text]) => [name, /train/.test(name) ? `${text as string}// again\n` : text] as const))
  return { ...bundle, files }
}
const seen = async (name: string): Promise<number> => (await readBundle(at(name))).weights!.get('seen')!.data[0] as number
/** Everything below a folder, so that nothing is left over. */
const tree = async (name: string): Promise<string[]> => (await readdir(at(name), { recursive: true })).sort()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-bundle-'))
})
beforeEach(() => {
  Object.assign(fault, { countdown: Infinity, dead: false, calls: 0 })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function callsOf(work: () => Promise<void>): Promise<number> {
  fault.calls = 0
  await work()
  return fault.calls
}

describe.each([['it fails and the program goes on', false], ['the process is gone', true]])('at every step: %s', (_, dead) => {
  test.each([['of the same net', (value: number) => weighed(value)], ['of another net', (value: number) => other(value)]])(
    'the old bundle or the new one is whole: %s',
    async (name, make) => {
      const place = `at every step ${dead} ${name}`
      await writeBundle(weighed(1), at(place))
      const calls = await callsOf(() => writeBundle(make(2), at(place)))
      const clean = await tree(place)
      expect(calls).toBeGreaterThan(10)
      for (let step = 1; step <= calls; step++) {
        await writeBundle(weighed(1), at(place))
        Object.assign(fault, { countdown: step, dead })
        const failed = await writeBundle(make(2), at(place)).then(() => undefined, (error: Error) => error)
        Object.assign(fault, { countdown: Infinity, dead: false })
        const found = await seen(place)
        if (failed) expect(failed.message).toContain(`${at(place)}`)
        // What fails leaves the old one, what does not the new one; of a dead process nobody hears.
        if (dead) expect([1, 2]).toContain(found)
        else expect(found, `step ${step}`).toBe(failed ? 1 : 2)
        // As this process is alive its drafts are not taken for left over, but its lock is its own.
        await rm(join(at(place), '.writing'), { force: true })
        await writeBundle(make(2), at(place))
        expect(await seen(place)).toBe(2)
        expect((await tree(place)).filter((file) => !file.endsWith('.tmp')), `step ${step}`).toEqual(clean)
        for (const file of await tree(place)) if (file.endsWith('.tmp')) await rm(join(at(place), file), { force: true })
      }
    },
  )

  test('where there was none there is all of it or nothing', async () => {
    const calls = await callsOf(() => writeBundle(weighed(2), at(`new ${dead}`)))
    for (let step = 1; step <= calls; step++) {
      const place = `new ${dead} ${step}`
      Object.assign(fault, { countdown: step, dead })
      const failed = await writeBundle(weighed(2), at(place)).then(() => false, () => true)
      Object.assign(fault, { countdown: Infinity, dead: false })
      const there = (await readdir(folder)).includes(place)
      if (there) expect(await seen(place)).toBe(2)
      if (!failed) expect(there).toBe(true)
    }
  })
})

test('it has the names that a new one has, and other files stay', async () => {
  await writeBundle(other(2), at('fresh'))
  await writeBundle(weighed(1), at('used'))
  await writeFile(at('used/notes.txt'), 'mine')
  await writeBundle(other(2), at('used'))
  expect(await tree('used')).toEqual([...await tree('fresh'), 'notes.txt'].sort())
  expect(await readFile(at('used/bundle.json'), 'utf8')).toBe(await readFile(at('fresh/bundle.json'), 'utf8'))
})

test('weights of the old one do not stay', async () => {
  await writeBundle(weighed(1), at('bare'))
  await writeBundle(fixture(), at('bare'))
  expect(await tree('bare')).not.toContain('weights.safetensors')
})

test('a link to a folder stays one', async () => {
  await mkdir(at('real'))
  await symlink('real', at('linked'))
  await symlink('made later', at('dangling'))
  for (const name of ['linked', 'dangling']) await writeBundle(weighed(3), at(name))
  expect((await lstat(at('linked'))).isSymbolicLink() && (await lstat(at('dangling'))).isSymbolicLink()).toBe(true)
  expect([await seen('real'), await seen('made later')]).toEqual([3, 3])
})

test('an old manifest that names files elsewhere has no power over them', async () => {
  await writeFile(at('precious'), '')
  await writeBundle(weighed(1), at('hostile'))
  const manifest = JSON.parse(await readFile(at('hostile/bundle.json'), 'utf8'))
  manifest.files['webgpu/infer.wgsl'].at = '../precious'
  manifest.files['../precious'] = manifest.files['webgpu/infer.json']
  await writeFile(at('hostile/bundle.json'), JSON.stringify(manifest))
  await writeBundle(weighed(2), at('hostile'))
  expect(await readdir(folder)).toContain('precious')
  expect(await seen('hostile')).toBe(2)
})

test('two writers at once', async () => {
  await writeBundle(weighed(1), at('both'))
  await Promise.all([writeBundle(weighed(2), at('both')), writeBundle(other(3), at('both')), writeBundle(weighed(4), at('both'))])
  expect([2, 3, 4]).toContain(await seen('both'))
  expect((await tree('both')).filter((name) => /next-|tmp|writing/.test(name))).toEqual([])
})
