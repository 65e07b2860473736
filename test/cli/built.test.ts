import { execFile, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readBundle, writeBundle } from '../../runtime/node.ts'
import { chromiumRunsHere, softwareAdapter } from '../../scripts/software-adapter.mjs'
import { fixture } from '../runtime/fixture.ts'
import { largeModel } from './large-model.ts'

/** The command as it is installed: a process of its own. */
const run = promisify(execFile)
/** Where `dist` is: the project, where `npm test` has just built it, else a folder of this file's own. */
let built: string
let made: string | undefined
let folder: string
const at = (name: string): string => join(folder, name)
const idx = (dims: readonly number[], data: readonly number[]): Uint8Array =>
  Uint8Array.from([0, 0, 8, dims.length, ...dims.flatMap((d) => [0, 0, d >> 8, d & 255]), ...data])

// The tests themselves may be run by nohup.
delete process.env['_']

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-built-'))
  if (process.env['FUSENET_BUILT']) built = resolve('.')
  else {
    // Below the project, so that the packages are found.
    await mkdir('node_modules/.cache/fusenet', { recursive: true })
    built = made = resolve(await mkdtemp('node_modules/.cache/fusenet/built-'))
    // It writes what it can, whatever types say: those are checked elsewhere.
    const out = ['--outDir', join(made, 'dist'), '--incremental', 'false', '--tsBuildInfoFile', 'null']
    await run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', ...out]).catch(() => {})
  }
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
  if (made !== undefined) await rm(made, { recursive: true, force: true })
})

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** `hear` gets what was printed so far and may send a signal. */
function fusenet(argv: readonly string[], hear?: (said: string, kill: (signal: NodeJS.Signals) => void) => void): Promise<Ended> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [join(built, 'dist/cli/main.js'), ...argv], {
      cwd: folder,
      env: { ...process.env, NO_COLOR: '1' },
    })
    let [out, err] = ['', '']
    const kill = (signal: NodeJS.Signals): void => {
      child.kill(signal)
    }
    child.stdout.on('data', (data: Buffer) => {
      out += data
      hear?.(out + err, kill)
    })
    child.stderr.on('data', (data: Buffer) => {
      err += data
      hear?.(out + err, kill)
    })
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

/** A pipe whose reader leaves after the first line: exit codes of both, and what else was said. */
async function headed(argv: string): Promise<{ codes: string; out: string; err: string }> {
  const script = `{ "${process.execPath}" "${join(built, 'dist/cli/main.js')}" ${argv} 2> err; echo $? > code; } | head -n 1`
  const { stdout } = await run('sh', ['-c', script], { cwd: folder })
  return { codes: await readFile(at('code'), 'utf8'), out: stdout, err: await readFile(at('err'), 'utf8') }
}

test('a pipe that is closed early is no failure where nothing is lost', async () => {
  const { codes, out, err } = await headed('inspect line')
  expect([codes, out.length > 0, err]).toEqual(['0\n', true, ''])
}, 60_000)

test('a training whose reader left keeps what it computed, says so, and fails', async () => {
  const { codes, out, err } = await headed('train line --data data --epochs 2000 -o headed --json')
  expect(JSON.parse(out).event).toBe('start')
  expect(codes).toBe('141\n')
  const resume = /resume by: fusenet (train line --resume \S+ -o headed)/.exec(err)![1]!
  const goneOn = await fusenet([...resume.split(' '), '--minutes', '0.001'])
  expect(goneOn.code, goneOn.err).toBe(0)
  expect(goneOn.err).toMatch(/from step [1-9]/)
}, 60_000)

test('standard output on a full disk is a failure, and a training is kept', async () => {
  const full = (argv: string) =>
    run('sh', ['-c', `"${process.execPath}" "${join(built, 'dist/cli/main.js')}" ${argv} > /dev/full`], { cwd: folder }).then(
      () => ({ code: 0, stderr: '' }),
      (error: { code: number; stderr: string }) => error,
    )
  expect(await full('eval line --data data --json')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('standard output cannot be written: the disk is full'),
  })
  expect(await full('train line --data data --epochs 2000 -o full --json')).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/snapshot full\.snapshots\S+\nresume by/),
  })
}, 60_000)

test.each(['SIGINT', 'SIGHUP', 'SIGTERM'] as const)('%s: a snapshot, a word on how to resume, and exit code 130', async (signal) => {
  let sent = false
  const { code, err } = await fusenet([
    'train',
    at('line'),
    '--data',
    at('data'),
    '--epochs',
    '200',
    '--snapshot-dir',
    at(signal),
    '--json',
  ], (said, kill) => {
    if (sent || !said.includes('"step":10,')) return
    sent = true
    kill(signal)
  })
  expect(code, err).toBe(130)
  expect(await readdir(at(signal), { recursive: true })).toEqual([
    expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d-]+-seed7-[0-9a-f]{8}$/),
    expect.stringMatching(/step-\d{8}\.safetensors$/),
  ])
}, 60_000)

// Of a terminal nohup makes a standard input that cannot be read; where there is none, the shell's variable `_` tells.
test.skipIf(process.platform === 'win32').each([['of a terminal', 'w', 'exec nohup "$@"'], [
  'of a script',
  'r',
  'trap "" HUP; nohup "$@"; exit $?',
]])(
  'under nohup %s a training goes on when the terminal is closed',
  async (_, flags, line) => {
    const input = openSync('/dev/null', flags)
    const place = at(`nohup-${flags}`)
    const child = spawn(
      'bash',
      [
        '-c',
        line,
        'bash',
        process.execPath,
        join(built, 'dist/cli/main.js'),
        'train',
        at('line'),
        '--data',
        at('data'),
        '--epochs',
        '8',
        '-o',
        place,
        '--json',
      ],
      { cwd: folder, stdio: [input, 'pipe', 'pipe'], detached: true },
    )
    closeSync(input)
    let said = ''
    child.stdout!.on('data', (part: Buffer) => {
      if (!said.includes('"step":10,') && (said + part).includes('"step":10,')) {
        process.kill(-child.pid!, 'SIGHUP')
      }
      said += part
    })
    const code = await new Promise((done) => child.on('exit', done))
    expect(code, said.slice(-500)).toBe(0)
    expect(await readdir(place)).toContain('weights.safetensors')
  },
  60_000,
)

test.skipIf(process.platform === 'win32').each(['SIGINT', 'SIGTERM'] as const)(
  '%s while data is read leaves no lock and no folder',
  async (signal) => {
    // A pipe that nobody writes to: it is read until the signal comes.
    await run('mkfifo', [at(`${signal}.npy`)])
    const child = spawn(
      process.execPath,
      [join(built, 'dist/cli/main.js'), 'train', at('line'), '--data', at(`${signal}.npy`), '-o', at(`${signal}.early/line`)],
      { cwd: folder, stdio: 'ignore' },
    )
    const ended = new Promise((done) => child.on('exit', (_code, by) => done(by)))
    while (!(await readdir(folder, { recursive: true })).includes(`${signal}.early/line.lock`))
      await new Promise((soon) => setTimeout(soon, 20))
    child.kill(signal)
    expect(await ended).toBe(signal)
    expect(await readdir(folder)).not.toContain(`${signal}.early`)
  },
  60_000,
)

test.runIf(chromiumRunsHere)('a Vulkan loader that complains by itself is heard by devices --verbose alone', async () => {
  const { libraryDir } = await softwareAdapter()
  // It finds no driver, which native code says on standard error.
  await writeFile(at('none.json'), '{}')
  const env = {
    ...process.env,
    NO_COLOR: '1',
    LD_LIBRARY_PATH: libraryDir,
    VK_DRIVER_FILES: at('none.json'),
    VK_ICD_FILENAMES: at('none.json'),
  }
  const [quiet, verbose] = await Promise.all(
    [[], ['--verbose']].map((more) => run(process.execPath, [join(built, 'dist/cli/main.js'), 'devices', ...more], { env })),
  )
  expect(quiet!.stderr + verbose!.stderr).toBe('')
  expect(quiet!.stdout).toMatch(/none: the graphics driver offers no adapter/)
  expect(quiet!.stdout).not.toMatch(/vkCreateInstance/)
  expect(verbose!.stdout).toMatch(/said:\n {2}.*vkCreateInstance/)
}, 60_000)

test('killed at any moment, it goes on from what is on the disk and ends with the bits of one that was not', async () => {
  await writeFile(
    at('k.net'),
    `net k { input x: f32[3] input label: class[3] y = x -> fc(3) -> batch_norm -> tanh -> dropout(0.3) -> fc(3) loss = softmax_loss(y, label) }
train { data idx("data") batch 8 steps 240 solver adam(lr: 0.01) schedule cosine snapshot every 3 steps }`,
  )
  const argv = ['train', 'k.net', '--device', 'wasm', '--threads', '1', '--json']
  expect((await fusenet([...argv, '-o', 'undisturbed'])).code).toBe(0)
  // Where it was killed says little about where it is then: in the middle of a step, of a snapshot, of its rename.
  let seed = Date.now() % 2 ** 31
  console.log(`kills of seed ${seed}`)
  const random = (below: number): number => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) % below
  let from: string[] = []
  for (let kills = 0; kills < 4; kills++) {
    const step = 20 + 50 * kills + random(40)
    const { code, out, err } = await fusenet([...argv, ...from, '-o', 'killed'], (said, kill) => {
      if (said.includes(`"step":${step},`)) setTimeout(() => kill('SIGKILL'), random(4))
    })
    // It may be quicker than the kill.
    if (code === 0) break
    expect(code, err).toBe(null)
    from = out.includes('"event":"snapshot"') || from.length > 0 ? ['--resume', 'killed.snapshots'] : []
  }
  const last = await fusenet([...argv, ...from, '-o', 'killed'])
  expect(last.code, last.err).toBe(0)
  expect((await readBundle(at('killed'))).weights).toEqual((await readBundle(at('undisturbed'))).weights)
  expect((await readdir(folder)).filter((name) => /killed.*(tmp|lock)/.test(name))).toEqual([])
}, 120_000)

test.skipIf(process.platform !== 'linux')(
  'a model of 44 MB is imported in less than four times its size, beside what Node itself takes',
  async () => {
    const bytes = largeModel()
    await writeFile(at('large.onnx'), bytes)
    // The most that was resident, in kB. resourceUsage().maxRSS begins with what the process that started this one had.
    const script = `import { readFileSync } from 'node:fs'
      process.on('exit', () => console.error(/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]))`
    const told = `data:text/javascript,${encodeURIComponent(script)}`
    const [own, all] = await Promise.all([
      run(process.execPath, ['--import', told, '-e', '0']),
      run(process.execPath, ['--import', told, join(built, 'dist/cli/main.js'), 'import', at('large.onnx'), '-o', at('large')]),
    ]).then((ended) => ended.map(({ stderr }) => Number(stderr.trim().split('\n').at(-1)) * 1024)) as [number, number]
    expect(own).toBeGreaterThan(1e7)
    expect(bytes.length).toBeGreaterThan(43e6)
    expect(all - own).toBeLessThan(4 * bytes.length)
  },
  60_000,
)
