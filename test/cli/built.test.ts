import { execFile, spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { writeBundle } from '../../runtime/node.ts'
import { chromiumRunsHere, softwareAdapter } from '../../scripts/software-adapter.mjs'
import { fixture } from '../runtime/fixture.ts'

/** The command as it is installed: built by tsc, a process of its own. */
const run = promisify(execFile)
let built: string
let folder: string
const at = (name: string): string => join(folder, name)
const idx = (dims: readonly number[], data: readonly number[]): Uint8Array =>
  Uint8Array.from([0, 0, 8, dims.length, ...dims.flatMap((d) => [0, 0, d >> 8, d & 255]), ...data])

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-built-'))
  // Below the project, so that the packages are found.
  await mkdir('node_modules/.cache/fusenet', { recursive: true })
  built = await mkdtemp('node_modules/.cache/fusenet/built-')
  // It writes what it can, whatever types say: those are checked elsewhere.
  await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', join(built, 'dist'), '--incremental', 'false', '--tsBuildInfoFile', 'null']).catch(() => {})
  await writeBundle(fixture(), at('line'))
  await mkdir(at('data'))
  const bytes = (count: number): number[] => Array.from({ length: count }, (_, i) => (i * 37) % 256)
  for (const [name, count] of [['train', 4000], ['t10k', 6]] as const) {
    await writeFile(at(`data/${name}-images-idx3-ubyte`), idx([count, 1, 3], bytes(3 * count)))
    await writeFile(at(`data/${name}-labels-idx1-ubyte`), idx([count], bytes(count).map((b) => b % 3)))
  }
}, 120_000)
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
  await rm(built, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** `hear` gets what was printed so far and may send a signal. */
function fusenet(argv: readonly string[], hear?: (said: string, kill: (signal: NodeJS.Signals) => void) => void): Promise<Ended> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [join(built, 'dist/cli/main.js'), ...argv], { env: { ...process.env, NO_COLOR: '1' } })
    let [out, err] = ['', '']
    const kill = (signal: NodeJS.Signals): void => { child.kill(signal) }
    child.stdout.on('data', (data: Buffer) => { out += data; hear?.(out + err, kill) })
    child.stderr.on('data', (data: Buffer) => { err += data; hear?.(out + err, kill) })
    child.on('close', (code) => done({ code, out, err }))
  })
}

test('answers, and ends by itself with its exit code', async () => {
  const version = await fusenet(['--version'])
  expect(version).toEqual({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), err: '' })
  expect((await fusenet(['trian'])).code).toBe(2)
  expect((await fusenet(['run', at('nothing')])).code).toBe(1)
  expect((await fusenet(['eval', at('line'), '--data', at('data'), '--device', 'wasm'])).code).toBe(3)
}, 60_000)

test('a process that used the GPU ends too', async () => {
  const { code, out, err } = await fusenet(['eval', at('line'), '--data', at('data'), '--json'])
  expect(code, err).toBe(0)
  expect(JSON.parse(out).count).toBe(6)
}, 60_000)

test('a pipe that is closed early is no failure', async () => {
  const { stdout } = await run('sh', ['-c', `"${process.execPath}" "${join(built, 'dist/cli/main.js')}" train "${at('line')}" --data "${at('data')}" --epochs 1 --json | head -n 1`])
  expect(JSON.parse(stdout).event).toBe('start')
}, 60_000)

test('Ctrl-C: a snapshot, a word on how to resume, and exit code 130', async () => {
  let sent = false
  const { code, err } = await fusenet(['train', at('line'), '--data', at('data'), '--epochs', '200', '--snapshot-dir', at('snaps'), '--json'], (said, kill) => {
    if (sent || !said.includes('"step":10,')) return
    sent = true
    kill('SIGINT')
  })
  expect(code, err).toBe(130)
  expect((await readdir(at('snaps'))).sort()).toEqual([expect.stringMatching(/^step-\d{8}\.safetensors$/), 'train.json'])
}, 60_000)

test.runIf(chromiumRunsHere)('a Vulkan loader that complains by itself is heard by devices --verbose alone', async () => {
  const { libraryDir } = await softwareAdapter()
  // It finds no driver, which native code says on standard error.
  await writeFile(at('none.json'), '{}')
  const env = { ...process.env, NO_COLOR: '1', LD_LIBRARY_PATH: libraryDir, VK_DRIVER_FILES: at('none.json'), VK_ICD_FILENAMES: at('none.json') }
  const [quiet, verbose] = await Promise.all([[], ['--verbose']].map((more) => run(process.execPath, [join(built, 'dist/cli/main.js'), 'devices', ...more], { env })))
  expect(quiet!.stderr + verbose!.stderr).toBe('')
  expect(quiet!.stdout).toMatch(/none: the graphics driver offers no adapter/)
  expect(quiet!.stdout).not.toMatch(/vkCreateInstance/)
  expect(verbose!.stdout).toMatch(/said:\n {2}.*vkCreateInstance/)
}, 60_000)
