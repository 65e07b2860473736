import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compile } from '../compiler/index.ts'
import { hashesOf } from '../scripts/hashes/bundle-hash.mjs'
import { comparedWith } from '../scripts/hashes/compilers.mjs'
import { hashedNets } from './support/hashed-nets.ts'

const root = join(import.meta.dirname, '..')
/** Nets that share layers with one another, so that what a compiler remembers of one would show in the next. */
const NAMES = [
  'samples/mnist (infer alone)',
  'random/25',
  'wide/9',
  'golden/conv_depthwise_p1',
  'golden/bn_merged_e5',
  'golden/solver_adam_l2',
]
const CASES = NAMES.filter((name) => name.startsWith('golden/'))
const nets = hashedNets(root).filter(({ name }) => NAMES.includes(name))
const bundles = nets.flatMap(({ name, text, options, quick }) =>
  quick.map(({ style, memory }) => ({
    name: `${name} ${style} ${memory}`,
    text,
    options: { storage: 'f16' as const, software: true, allowOneValue: true, style, memory, ...options },
  }))
)

type Hashes = Record<string, Record<string, string>>

/** Every file of every bundle, compiled in this order. */
const compiled = (order: typeof bundles): Hashes =>
  Object.fromEntries(order.map(({ name, text, options }) => [name, hashesOf(compile(text, options))]))

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'fusenet-hashes-test-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** The tool in a process of its own, with a cache of its own, for nets of these names. */
function hashes(names: readonly string[], ...args: string[]): { status: number | null; output: string } {
  const only = names.flatMap((name) => ['--only', name])
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts/hashes.mjs'), '--quick', ...only, ...args], {
    encoding: 'utf8',
    env: { ...process.env, FUSENET_HASH_CACHE: join(folder, 'cache') },
  })
  return { status, output: stdout + stderr }
}

/** A built compiler that is ours, but for what it changes in every bundle of split style. */
function changed(name: string, change: string): string {
  mkdirSync(join(folder, name, 'compiler'), { recursive: true })
  writeFileSync(
    join(folder, name, 'compiler/index.js'),
    `import { compile as ours } from ${JSON.stringify(join(root, 'compiler/index.ts'))}
export function compile(text, options) {
  const { manifest, files } = ours(text, options)
  if (options.style === 'split') { ${change} }
  return { manifest, files }
}
`,
  )
  return join(folder, name)
}

describe('bundles', { timeout: 120_000 }, () => {
  test('are the same whatever was compiled before, in this process and in another', () => {
    const first = compiled(bundles)
    expect(Object.keys(first)).toHaveLength(9)
    for (const files of Object.values(first)) expect(Object.keys(files).length).toBeGreaterThan(3)
    expect(compiled([...bundles].reverse())).toEqual(first)

    const { status, output } = hashes(NAMES, '--json')
    expect(status, output).toBe(0)
    const elsewhere = JSON.parse(output) as { net: string; variant: string; hashes: Record<string, string> }[]
    expect(Object.fromEntries(elsewhere.map(({ net, variant, hashes: files }) => [`${net} ${variant}`, files]))).toEqual(first)
  })

  test('for which there was no time are compiled by the next run, and those that differ are named, with their files and lines', () => {
    const dist = changed('other', `files.set('webgpu/infer.wgsl', 'other\\n' + files.get('webgpu/infer.wgsl'))`)
    const { status, output } = hashes(CASES, '--dist', dist, '--seconds', '0.001')
    expect(status, output).toBe(3)
    expect(output).toContain('6 of 6 bundles are left: the same command goes on with them')
    const next = hashes(CASES, '--dist', dist, '--seconds', '100', '--show', 'golden/conv_depthwise_p1')
    expect(next.status, next.output).toBe(1)
    expect(next.output).not.toContain('are left')
    expect(next.output).toMatch(/^golden\/bn_merged_e5 +split small +webgpu\/infer\.wgsl$/m)
    expect(next.output).toMatch(/^golden\/conv_depthwise_p1 +split small +webgpu\/infer\.wgsl$/m)
    expect(next.output).not.toMatch(/merged fast/)
    expect(next.output).toMatch(/webgpu\/infer\.wgsl: line 1 of .*\n  - other\n/)
  })

  test('whose manifest says the same in another order do not differ', () => {
    const { status, output } = hashes(
      CASES,
      '--dist',
      changed('order', `manifest.plans = Object.fromEntries(Object.entries(manifest.plans).reverse())`),
    )
    expect(status, output).toBe(0)
    expect(output).toMatch(/all 6 bundles are equal\n.*the keys of the manifest have another order/)
  })

  test('are compared with where a branch was left, or with the commit that is named', () => {
    const git = (...args: string[]): string => spawnSync('git', args, { cwd: root, encoding: 'utf8' }).stdout.trim()
    const branch = git('rev-parse', '--abbrev-ref', 'HEAD')
    const parent = git('rev-parse', '--verify', '--quiet', 'HEAD~1')
    if (branch === 'HEAD' || parent === '') return
    expect(comparedWith(branch, parent)).toEqual({
      commit: parent,
      told: `against ${git('show', '--no-patch', '--format=%h %s', parent)}, where ${parent} left ${branch}`,
    })
    expect(comparedWith(git('rev-parse', 'HEAD'), parent).commit).toBe(git('rev-parse', 'HEAD'))
  })

  test('of a commit that is not there', () => {
    const { status, output } = hashes(NAMES, '--against', 'nowhere')
    expect(status).toBe(2)
    expect(output).toContain('there is no commit nowhere here')
  })
})
