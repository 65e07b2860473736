import { spawn } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readBundle, readSnapshot } from '../../runtime/node.ts'
import { HOST } from '../../runtime/loading/node/files.ts'
import { fusenet, json, lines, type Said } from './helper.ts'

/** What a training leaves behind, and which one goes on, on a net of twelve parameters. */
let folder: string
const home = process.cwd()
const NET = `net t {
  input x: f32[3]
  input label: class[3]
  y = x -> fc(3) -> tanh -> fc(3)
  loss = softmax_loss(y, label)
  metric accuracy = accuracy(y, label)
}
train {
  data idx("data")
  batch 4
  epochs 4
  solver sgd(lr: 0.1, momentum: 0.9)
  schedule step(gamma: 0.5, every: 2 epochs)
  snapshot every 1 epoch
  test every 1 epoch
}
`
const idx = (dims: readonly number[], data: readonly number[]): Uint8Array =>
  Uint8Array.from([0, 0, 8, dims.length, ...dims.flatMap((d) => [0, 0, d >> 8, d & 255]), ...data])
const writeData = async (place: string, add = 0): Promise<void> => {
  await mkdir(place)
  const bytes = (count: number): number[] => Array.from({ length: count }, (_, i) => (i * 37 + add) % 256)
  for (const [name, count] of [['train', 40], ['t10k', 6]] as const) {
    await writeFile(join(place, `${name}-images-idx3-ubyte`), idx([count, 1, 3], bytes(3 * count)))
    await writeFile(join(place, `${name}-labels-idx1-ubyte`), idx([count], bytes(count).map((b) => b % 3)))
  }
}
const train = (...argv: string[]): Promise<Said> =>
  fusenet(['train', ...argv, '--device', 'wasm', ...(argv.includes('--threads') ? [] : ['--threads', '1']), '--json'])
const stopAt = (step: number, ...argv: string[]): Promise<Said> =>
  fusenet(['train', ...argv, '--device', 'wasm', '--threads', '1', '--json'], { interruptAt: new RegExp(`"step":${step},`) })
const events = (said: Said, kind: string): any[] => lines(said).filter((line) => line.event === kind)
const resumeOf = (said: Said): string[] => events(said, 'interrupted')[0].resume.split(' ').slice(2)
const weightsOf = async (bundle: string) => (await readBundle(bundle)).weights
const once = (text: string, act: () => void) => {
  let done = false
  return (said: string): void => {
    if (!done && said.includes(text)) {
      done = true
      act()
    }
  }
}
const stepsIn = async (run: string): Promise<number[]> =>
  (await readdir(run)).flatMap((name) => /^step-(\d+)/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-training-'))
  process.chdir(folder)
  await writeFile('t.net', NET)
  await writeData('data')
  await writeData('other', 5)
})
afterAll(async () => {
  process.chdir(home)
  await rm(folder, { recursive: true, force: true })
})

describe('which training goes on', () => {
  test('what is printed after Ctrl-C goes on with the interrupted one, though another went further in the same place', async () => {
    expect((await train('t.net', '--seed', '1', '-o', 'a')).code).toBe(0)
    await writeFile('t2.net', NET.replace('lr: 0.1', 'lr: 0.01'))
    const stopped = await stopAt(7, 't2.net', '--seed', '2', '--epochs', '9', '-o', 'a')
    expect(stopped.code, stopped.err).toBe(130)
    const resume = resumeOf(stopped)
    expect(resume[0]).toBe('t2.net')
    for (const [step, argv] of [[14, resume], [22, ['t2.net', '--resume', 'a.snapshots', '-o', 'a']]] as const) {
      const { code, out, err } = await stopAt(step, ...argv)
      expect(code, err).toBe(130)
      expect(lines({ code, out, err })[0]).toMatchObject({ event: 'start', seed: 2 })
    }
    const whole = await train('t2.net', '--seed', '2', '--epochs', '9', '-o', 'whole')
    expect((await train(...resume)).code + whole.code).toBe(0)
    expect(await weightsOf('a')).toEqual(await weightsOf('whole'))
    // The first is still there.
    const runs = (await readdir('a.snapshots')).map((name) => /seed(\d)/.exec(name)![1])
    expect(runs.sort()).toEqual(['1', '2'])
  })

  test('each seed has a folder of its own, and its own place to go on to', async () => {
    const said = await train('t.net', '--seeds', '2', '-o', 'seeds')
    expect(said.code, said.err).toBe(0)
    const runs = await readdir('seeds.snapshots')
    expect(runs.map((name) => /seed(\d)/.exec(name)![1]).sort()).toEqual(['1', '2'])
    const second = runs.find((name) => name.includes('seed2'))!
    const more = await train('t.net', '--resume', `seeds.snapshots/${second}`, '--epochs', '5')
    expect(more.code, more.err).toBe(0)
    expect(lines(more)[0]).toMatchObject({ seed: 2, step: 40, bundle: 'seeds-seed2' })
  })

  test('one after the other, ended with the same bits: the place, the run, the file', async () => {
    expect((await train('t.net', '-o', 'straight')).code).toBe(0)
    await stopAt(3, 't.net', '-o', 'bits')
    const [run] = await readdir('bits.snapshots')
    const file = `bits.snapshots/${run}`
    await stopAt(14, 't.net', '--resume', 'bits.snapshots')
    await stopAt(21, 't.net', '--resume', file)
    const newest = (await stepsIn(file)).at(-1)!
    const said = await train('t.net', '--resume', `${file}/step-${String(newest).padStart(8, '0')}.safetensors`)
    expect(said.code, said.err).toBe(0)
    expect(await weightsOf('bits')).toEqual(await weightsOf('straight'))
    expect(await readdir('bits.snapshots')).toEqual([run])
  })

  test('an older snapshot of a run begins a branch of its own', async () => {
    await train('t.net', '-o', 'branch')
    const [run] = await readdir('branch.snapshots')
    const said = await train('t.net', '--resume', `branch.snapshots/${run}/step-00000020.safetensors`)
    expect(lines(said)[0].step).toBe(20)
    expect(await readdir('branch.snapshots')).toHaveLength(2)
    expect(await stepsIn(`branch.snapshots/${run}`)).toContain(40)
    expect(await weightsOf('branch')).toEqual(await weightsOf('straight'))
  })
})

describe('what contradicts it is refused, naming both', () => {
  beforeAll(async () => {
    await train('t.net', '--limit', '36', '-o', 'r')
  })
  const refused = async (...argv: string[]): Promise<string> => {
    const before = await readFile('r/weights.safetensors')
    const said = await train(...argv)
    expect(said.code).toBe(1)
    expect(await readFile('r/weights.safetensors')).toEqual(before)
    expect(json({ ...said, out: said.out.slice(said.out.indexOf('{\n')) }).error.message).toContain('--weights r.snapshots/')
    return said.out
  }
  test.each([
    ['--seed', '5', '--seed 5: it has 1'],
    ['--batch', '8', '--batch 8: it has 4'],
    ['--limit', '20', '--limit 20: it has 36'],
    ['--style', 'split', '--style split: it has merged'],
    ['--data', 'other', 'data is 36 samples with fingerprint'],
  ])('%s %s', async (option, value, says) => {
    expect(await refused('t.net', '--resume', 'r.snapshots', option, value, '--epochs', '6')).toContain(says)
  })
  test.each([
    ['batch', NET.replace('batch 4', 'batch 8'), 'batch is 8 here, and 4 in that training'],
    ['rate', NET.replace('lr: 0.1', 'lr: 0.01'), 'solver is sgd(lr: 0.01'],
    ['solver', NET.replace('sgd(lr: 0.1, momentum: 0.9)', 'adam(lr: 0.1)'), 'solver is adam(lr: 0.1'],
    ['schedule', NET.replace('gamma: 0.5', 'gamma: 0.1'), 'schedule is step(gamma: 0.1'],
    ['seed', NET.replace('batch 4', 'batch 4 seed 3'), 'seed is 3 here, and 1 in that training'],
    [
      'activation',
      NET.replace('tanh', 'relu'),
      'text of the net is `... ( 3 ) -> relu -> fc ( 3 ...` here, and `... ( 3 ) -> tanh -> fc ( 3 ...` in that training',
    ],
    ['name', NET.replace('net t', 'net u'), 'net is u here, and t in that training'],
    ['accumulate', NET.replace('batch 4', 'batch 4 accumulate 2'), 'accumulate is 2 here, and 1 in that training'],
  ])('another %s in the file', async (name, text, says) => {
    await writeFile(`${name}.net`, text)
    expect(await refused(`${name}.net`, '--resume', 'r.snapshots', '--epochs', '6')).toContain(says.replaceAll('"', '\\"'))
  })
  test('--precise: it computes other roundings', async () => {
    expect(await refused('t.net', '--resume', 'r.snapshots', '--precise', '--epochs', '6')).toContain('--precise true: it has false')
  })
  test('what was precise goes on as that, unsaid', async () => {
    await train('t.net', '--precise', '--epochs', '1', '-o', 'exact')
    expect((await train('t.net', '--resume', 'exact.snapshots', '--epochs', '2')).code).toBe(0)
    expect((await readBundle('exact')).manifest.precise).toBe(true)
  })
  test('a snapshot starts a new training with --weights, whatever differs', async () => {
    const [run] = await readdir('r.snapshots')
    const said = await train(
      'rate.net',
      '--weights',
      `r.snapshots/${run}/step-00000036.safetensors`,
      '--seed',
      '5',
      '--batch',
      '8',
      '-o',
      'new',
    )
    expect(said.code, said.err).toBe(0)
    expect(lines(said)[0]).toMatchObject({ step: 0, seed: 5, batch: 8 })
  })
  test('layout, comments, length and tests may change; then there is more to do', async () => {
    await writeFile('longer.net', `// longer\n${NET.replace('epochs 4', 'epochs 5').replace('test every 1 epoch', '')}`)
    const said = await train('longer.net', '--resume', 'r.snapshots', '--threads', '2')
    expect(said.code, said.err).toBe(0)
    expect(events(said, 'step').map((e) => e.step)).toEqual([37, 38, 39, 40, 41, 42, 43, 44, 45])
  })
  test('nothing left is said; the bundle is written where it is wanted', async () => {
    const said = await train('longer.net', '--resume', 'r.snapshots', '-o', 'again')
    expect(said.code, said.err).toBe(0)
    expect(events(said, 'complete')).toEqual([{ event: 'complete', step: 45 }])
    expect(events(said, 'done')[0].runs[0]).not.toHaveProperty('loss')
    expect(await weightsOf('again')).toEqual(await weightsOf('r'))
    const { err } = await fusenet(['train', 'longer.net', '--resume', 'r.snapshots', '--device', 'wasm'])
    expect(err).toContain('nothing is left to do: this training is complete after 45 updates; --epochs or --steps makes it longer')
  })
  test.each([[['--seeds', '2'], /--seeds starts several/], [['--weights', 'r'], /--weights starts a new training/]])(
    '%s',
    async (argv, says) => {
      const said = await train('t.net', '--resume', 'r.snapshots', ...argv)
      expect([said.code, json(said).error.message]).toEqual([2, expect.stringMatching(says)])
    },
  )
})

describe('snapshots', () => {
  test('the newest three and the best are kept, or as many as are wanted', async () => {
    const run = async (...argv: string[]): Promise<number[]> => {
      const said = await train('t.net', '--epochs', '8', ...argv)
      expect(said.code, said.err).toBe(0)
      const scores = events(said, 'test').map((e) => [e.step, e.metrics.accuracy])
      const best = Math.max(...scores.filter(([step]) => step < 80).map(([, accuracy]) => accuracy))
      const place = `${argv.at(-1)!}.snapshots`
      const steps = await stepsIn(join(place, (await readdir(place))[0]!))
      // The first of equals is the best.
      expect(steps).toContain(scores.find(([step, accuracy]) => step < 80 && accuracy === best)![0])
      return steps
    }
    const usual = await run('-o', 'k3')
    expect(usual.slice(-3)).toEqual([60, 70, 80])
    expect(usual.length).toBeLessThan(5)
    expect((await run('--keep', '1', '-o', 'k1')).at(-1)).toBe(80)
    expect(await run('--keep', 'all', '-o', 'kall')).toEqual([10, 20, 30, 40, 50, 60, 70, 80])
    expect((await train('t.net', '--keep', '0.5')).code).toBe(2)
    // None besides the bundle, of a training that ended well.
    for (const [keep, place] of [['none', 'knone'], ['0', 'k0']]) {
      const said = await train('t.net', '--epochs', '8', '--keep', keep!, '-o', place!)
      expect(said.code, said.err).toBe(0)
      expect(events(said, 'snapshot').length).toBeGreaterThan(0)
      expect(await readdir(`${place}.snapshots`).catch(() => 'gone')).toBe('gone')
      expect(await readdir(place!)).toContain('bundle.json')
    }
  })

  test('one that ended is made longer, though the file asks for no snapshots, with the bits of one that was as long from the start', async () => {
    await writeFile('plain.net', NET.replace('snapshot every 1 epoch', '').replace('schedule step(gamma: 0.5, every: 2 epochs)', ''))
    const short = await train('plain.net', '--steps', '13', '-o', 'short')
    expect(short.code, short.err).toBe(0)
    const [run] = await readdir('short.snapshots')
    expect(await stepsIn(`short.snapshots/${run}`)).toEqual([13])
    expect(events(short, 'snapshot')).toMatchObject([{ step: 13 }])
    const longer = await train('plain.net', '--resume', 'short.snapshots', '--epochs', '4')
    expect(longer.code, longer.err).toBe(0)
    expect(lines(longer)[0]).toMatchObject({ step: 13, bundle: 'short' })
    expect((await train('plain.net', '-o', 'long')).code).toBe(0)
    expect(await weightsOf('short')).toEqual(await weightsOf('long'))
    // Twice asked for the same, nothing is left to do, and nothing is written again.
    expect(events(await train('plain.net', '--resume', 'short.snapshots', '--epochs', '4'), 'complete')).toHaveLength(1)
    expect(await stepsIn(`short.snapshots/${run}`)).toEqual([13, 40])
  })

  test('a damaged one is passed over and named; none sound is refused', async () => {
    await train('t.net', '-o', 'd')
    const [run] = await readdir('d.snapshots')
    const at = (step: number): string => `d.snapshots/${run}/step-000000${step}.safetensors`
    const whole = await readFile(at(40))
    await writeFile(at(40), Buffer.concat([whole.subarray(0, -8), Buffer.alloc(8)]))
    await writeFile(at(30), '')
    const said = await train('t.net', '--resume', 'd.snapshots', '-o', 'd2')
    expect(said.code, said.err).toBe(0)
    expect(said.err).toMatch(
      /step-00000040.safetensors: it is damaged: its checksum is another: passed over\n.*step-00000030.safetensors: 0 bytes are too few: passed over\ngoes on from .*step-00000020/,
    )
    expect(await weightsOf('d2')).toEqual(await weightsOf('d'))
    expect(await readFile(at(40))).not.toEqual(Buffer.concat([whole.subarray(0, -8), Buffer.alloc(8)]))
    for (const name of await readdir(`d.snapshots/${run}`)) await writeFile(`d.snapshots/${run}/${name}`, 'x')
    const none = await train('t.net', '--resume', 'd.snapshots')
    expect([none.code, json(none).error.message]).toEqual([1, expect.stringContaining('holds no sound snapshot')])
  })

  test('one that is copied away goes on as well', async () => {
    await stopAt(13, 't.net', '-o', 'moved')
    const [run] = await readdir('moved.snapshots')
    const steps = await stepsIn(`moved.snapshots/${run}`)
    await rename(`moved.snapshots/${run}/step-${String(steps.at(-1)).padStart(8, '0')}.safetensors`, 'mine.safetensors')
    await rm('moved.snapshots', { recursive: true })
    expect((await train('t.net', '--resume', 'mine.safetensors')).code).toBe(0)
    expect(await weightsOf('moved')).toEqual(await weightsOf('straight'))
  })

  test('options in one that no command line has are refused', async () => {
    const { encodeSnapshot } = await import('../../runtime/snapshot.ts')
    const [run] = await readdir('a.snapshots')
    const [name] = await readdir(`a.snapshots/${run}`)
    const snapshot = await readSnapshot(`a.snapshots/${run}/${name}`)
    for (
      const [options, says] of [['{"limit":"x"}', 'its option limit is "x"'], ['[]', 'not understood'], ['{', 'not JSON'], [
        '{"constructor":1}',
        'its option constructor is 1',
      ], ['{"output":7}', 'its option output is 7']]
    ) {
      await writeFile('forged.safetensors', encodeSnapshot({ ...snapshot, about: { options: options! } }))
      expect(json(await train('t.net', '--resume', 'forged.safetensors')).error.message).toContain(says)
    }
    await writeFile('forged.safetensors', encodeSnapshot({ ...snapshot, identity: undefined }))
    expect(json(await train('t.net', '--resume', 'forged.safetensors')).error.message).toContain('does not say which training it is of')
  })
})

describe('what was computed is kept', () => {
  const pictures = async (place: string): Promise<string[]> => {
    const { default: sharp } = await import('sharp')
    const files: string[] = []
    for (const name of ['dark', 'light']) {
      await mkdir(join(place, 'train', name), { recursive: true })
      await mkdir(join(place, 'test', name), { recursive: true })
      const png = await sharp(Buffer.alloc(4, name === 'dark' ? 20 : 200), { raw: { width: 2, height: 2, channels: 1 } }).png().toBuffer()
      for (let i = 0; i < 60; i++) files.push(join(place, i < 55 ? 'train' : 'test', name, `${i}.png`))
      for (const file of files.filter((path) => path.includes(`/${name}/`))) await writeFile(file, png)
    }
    await writeFile(
      'p.net',
      `net p { input image: f32[1, 2, 2] input label: class[2] y = image -> fc(2) loss = softmax_loss(y, label) }
train { data images("${place}") batch 2 epochs 3 solver sgd(lr: 0.1) test every 20 steps }`,
    )
    return files
  }

  test.each([['train', 1], ['test', 15]])('pictures of the %s part that break on the way', async (part, step) => {
    const files = await pictures(`pictures-${part}`)
    const said = await fusenet(['train', 'p.net', '-o', `p-${part}`, '--device', 'wasm', '--threads', '1', '--json'], {
      hear: once(`"step":${step},`, () => {
        for (const file of files) if (file.includes(`/${part}/`)) writeFileSync(file, 'no picture')
      }),
    })
    expect(said.code, said.err).toBe(1)
    expect(said.out).toMatch(new RegExp(`pictures-${part}/${part}/`))
    const [stopped] = events({ ...said, out: said.out.slice(0, said.out.indexOf('{\n')) }, 'stopped')
    expect((await readSnapshot(stopped.path)).step).toBe(stopped.step)
    expect(stopped.step).toBeGreaterThanOrEqual(step as number)
    await pictures(`pictures-${part}`)
    const goneOn = await train(...stopped.resume.split(' ').slice(2))
    expect(goneOn.code, goneOn.err).toBe(0)
    await train('p.net', '-o', `whole-${part}`)
    expect(await weightsOf(`p-${part}`)).toEqual(await weightsOf(`whole-${part}`))
  })

  test('numbers that are none: the last good snapshot is told, and the bundle there stays', async () => {
    await writeFile(
      'wild.net',
      NET.replace('lr: 0.1', 'lr: 1e37').replace('epochs 4', 'epochs 50').replace('every: 2 epochs', 'every: 100 epochs').replace(
        'gamma: 0.5',
        'gamma: 10',
      ),
    )
    await train('t.net', '-o', 'wild')
    const before = await readFile('wild/bundle.json')
    const said = await train('wild.net', '-o', 'wild', '--snapshot-dir', 'wild.kept')
    expect(said.code).toBe(1)
    const [stopped] = events({ ...said, out: said.out.slice(0, said.out.indexOf('{\n')) }, 'stopped')
    expect(stopped.left).toMatch(/stopped-\d+\.safetensors$/)
    expect(
      [...(await readSnapshot(stopped.left)).tensors.values()].every(({ data }) => Array.from(data as Float32Array).every(Number.isFinite)),
    ).toBe(true)
    expect(said.out).toContain('training stops at update')
    // The file, the message and the event speak of one state, which is that of a later update than the broken one at most.
    const { step, done } = JSON.parse(said.out.slice(said.out.indexOf('{\n'))).error
    expect(done).toBeGreaterThanOrEqual(step)
    expect(stopped.step).toBe(done)
    expect(stopped.left).toContain(`stopped-${String(done).padStart(8, '0')}`)
    const none = await train('wild.net', '-o', 'wild', '--resume', 'wild.kept')
    if (!stopped.path)
      expect([none.code, json(none).error.message]).toEqual([
        1,
        expect.stringContaining(`--weights ${stopped.left} starts a new one from them`),
      ])
    expect(await readFile('wild/bundle.json')).toEqual(before)
    // Good ones alone are gone on from.
    if (stopped.path) expect(stopped.path).toMatch(/step-\d+\.safetensors$/)
    const goneOn = await train('wild.net', '-o', 'wild', '--snapshot-dir', 'wild.kept', '--keep-going')
    expect(goneOn.code, goneOn.err).toBe(0)
  })

  test('a bundle that cannot be written in the end leaves a snapshot, and the line that writes it elsewhere', async () => {
    await mkdir('gone')
    // A file takes the place of the folder meanwhile.
    const said = await fusenet(
      ['train', 't.net', '-o', 'gone/b', '--snapshot-dir', 'kept', '--device', 'wasm', '--threads', '1', '--json'],
      {
        hear: once('"step":1,', () => {
          rmSync('gone', { recursive: true })
          writeFileSync('gone', '')
        }),
      },
    )
    expect(said.code).toBe(1)
    expect(said.out).toContain('cannot be written')
    const { path, resume } = events({ ...said, out: said.out.slice(0, said.out.indexOf('{\n')) }, 'stopped')[0]
    expect(path).toMatch(/^kept.*step-00000040/)
    const again = await train(...resume.split(' ').slice(2, -1), 'elsewhere')
    expect(again.code, again.err).toBe(0)
    expect(await weightsOf('elsewhere')).toEqual(await weightsOf('straight'))
  })

  test('a snapshot folder that vanished: the folder for temporary files takes it', async () => {
    const said = await fusenet(['train', 't.net', '-o', 'v', '--device', 'wasm', '--threads', '1', '--json'], {
      hear: once('"step":1,', () => {
        rmSync('v.snapshots', { recursive: true })
        writeFileSync('v.snapshots', '')
      }),
    })
    expect(said.code).toBe(1)
    const { path } = events({ ...said, out: said.out.slice(0, said.out.indexOf('{\n')) }, 'stopped')[0]
    expect(path.startsWith(join(tmpdir(), 'fusenet-rescued-'))).toBe(true)
    expect((await readSnapshot(path)).step).toBeGreaterThan(0)
    await rm(join(path, '..'), { recursive: true })
  })
})

describe('places', () => {
  test('without -o it goes to out/NAME, said before anything else', async () => {
    const said = await fusenet(['train', 't.net', '--device', 'wasm', '--threads', '1'])
    expect(said.err).toMatch(/^the bundle goes to out\/t \(-o names another place\)\n/)
    expect(await weightsOf('out/t')).toEqual(await weightsOf('straight'))
    const again = await fusenet(['train', 't.net', '--device', 'wasm', '--threads', '1', '--steps', '1'])
    expect(again.err).toMatch(/^the bundle goes to out\/t, in place of the one that is there/)
  })

  test.each([
    ['a snapshot folder that is a file', ['--snapshot-dir', 't.net'], /t.net cannot be written: a part of it is a file/],
    ['a bundle below a file', ['-o', 't.net/x'], /cannot be written|is a file/],
    ['a bundle that is a file', ['-o', 'plain'], /plain is a file/],
    ['no folder can be there', ['-o', '/proc/x'], /\/proc\/x cannot be written/],
  ])('%s is told before the training', async (_, argv, says) => {
    await writeFile('plain', '')
    const said = await train('t.net', ...argv)
    expect(said.code).toBe(1)
    expect(json(said).error.message).toMatch(says)
    expect(said.out + said.err).not.toContain('fault of fusenet')
  })

  test('two at once for one place: the second is told who is there', async () => {
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    await writeFile('busy.lock', JSON.stringify({ host: HOST, pid: other.pid }))
    const said = await train('t.net', '-o', 'busy')
    expect([said.code, json(said).error.message]).toEqual([
      1,
      `process ${other.pid} trains for busy at this moment: name another place by -o`,
    ])
    await train('t.net', '-o', 'locked')
    const [run] = await readdir('locked.snapshots')
    await writeFile(`locked.snapshots/${run}/.lock`, JSON.stringify({ host: HOST, pid: other.pid }))
    expect((await train('t.net', '--resume', 'locked.snapshots', '--epochs', '5')).out).toContain(
      `is the training of process ${other.pid}, which is still under way`,
    )
    await new Promise((done) => {
      other.on('exit', done)
      other.kill('SIGKILL')
    })
    // Of a dead one nobody waits.
    expect((await train('t.net', '-o', 'busy')).code).toBe(0)
    expect((await train('t.net', '--resume', 'locked.snapshots', '--epochs', '5')).code).toBe(0)
    expect((await readdir('.')).filter((name) => name.endsWith('.lock'))).toEqual([])
  })

  test('a link as the place of the bundle stays a link', async () => {
    await mkdir('real')
    await symlink('real', 'link')
    expect((await train('t.net', '-o', 'link')).code).toBe(0)
    expect(await weightsOf('real')).toEqual(await weightsOf('straight'))
  })
})
