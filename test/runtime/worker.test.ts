import { EventEmitter } from 'node:events'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { type Arrays, arrays, BundleError, bundleFiles, type Dataset, DeviceError, Examples, InputError, mix, type Net, NonFiniteError,
  NothingLeftError, open, type OpenOptions, OtherTrainingError, packBundle, type TrainEvent } from '../../runtime/index.ts'
import { serve } from '../../runtime/remote/serve.ts'

/* A net in a worker beside one without. The worker is this thread, over the same ports: threads of their own are in test/end-to-end. */

const TEXT = `net n { input x: f32[4] input label: class[2]
  logits = x -> fc(6) -> batch_norm -> relu -> fc(2) output prob = softmax(logits) loss = softmax_loss(logits, label) metric accuracy = accuracy(logits, label) }
  train { batch 8 epochs 3 solver adam(lr: 0.02) schedule cosine }`
const bundle = compile(TEXT, { targets: ['wasm'], programs: ['default', 'train/global', 'step/global'] })

/** As a worker is, in this thread. */
function worker() {
  const heard: ((event: { data: unknown }) => void)[] = []
  serve({
    addEventListener: (_, hear) => {
      heard.push(hear)
    },
  })
  return {
    ended: 0,
    postMessage(data: unknown) {
      for (const hear of heard) hear({ data: data as object })
    },
    terminate() {
      this.ended++
    },
  }
}

const x = Float32Array.from({ length: 160 }, (_, i) => Math.sin(i * 1.7))
const data = arrays({
  x: { shape: [4], type: 'f32', data: x },
  label: { shape: [], type: 'i32', classes: 2, data: Int32Array.from({ length: 40 }, (_, i) => Number(x[4 * i]! > 0)) },
})
/** The same, read on the page. */
const read: Dataset = { ...data, read: (indices, into, draw) => data.read(indices, into, draw) }
const batch = { x: x.slice(0, 32), label: new Int32Array(8) }

const opened: Net[] = []
const both = async (options: OpenOptions = {}, source = bundle): Promise<[Net, Net]> => {
  const nets = [
    await open(source, { device: 'wasm', seed: 3, ...options }),
    await open(source, { device: 'wasm', seed: 3, ...options, worker }),
  ] as [Net, Net]
  opened.push(...nets)
  return nets
}
afterAll(() => {
  for (const net of opened) net.close()
})
let refusing: Promise<[Net, Net]> | undefined
const thrown = (work: () => unknown): Promise<Error> =>
  Promise.resolve().then(work).then(() => {
    throw new Error('it works')
  }, (error: Error) => error)

describe('a net in a worker', () => {
  test('tells of itself what it tells without', async () => {
    const [here, there] = await both()
    const seen = ({ batch, storage, steps, seed, notes, classes, identity, frozen, device: { name, description, software } }: Net) => ({
      batch,
      storage,
      steps,
      seed,
      notes,
      classes,
      identity,
      frozen,
      name,
      description,
      software,
    })
    expect(seen(there)).toEqual(seen(here))
    const { plans: _, ...rest } = here.manifest
    expect({ ...there.manifest }).toEqual(rest)
    expect(() => there.manifest.plans).toThrow(/stay there: \(await net.save\(\)\)/)
    expect(there.rateAt(3)).toBe(here.rateAt(3))
  })

  test('computes the same', async () => {
    const [here, there] = await both()
    for (const net of [here, there]) await (await net.trainStep(batch, { rate: 0.1 })).loss
    expect(await there.run({ x: batch.x })).toEqual(await here.run({ x: batch.x }))
    expect(await there.run({ x: batch.x }, { stats: 'batch' })).toEqual(await here.run({ x: batch.x }, { stats: 'batch' }))
    expect(await there.step(batch, { update: false })).toEqual(await here.step(batch, { update: false }))
    expect(await there.parameters()).toEqual(await here.parameters())
    expect(there.steps).toBe(1)
    const [a, b] = [await here.snapshot(), await there.snapshot()]
    expect(b).toEqual(a)
    await there.reset(9)
    expect([there.steps, there.seed]).toEqual([0, 9])
    await there.restore(a)
    expect([there.steps, there.seed]).toEqual([1, 3])
    expect(await there.parameters()).toEqual(await here.parameters())
    expect(await there.freeze(['fc_1'])).toEqual(await here.freeze(['fc_1']))
    expect(there.frozen).toEqual(here.frozen)
    expect([...(await bundleFiles(await there.save())).keys()]).toEqual([...(await bundleFiles(await here.save())).keys()])
    expect((await there.save()).weights).toEqual((await here.save()).weights)
  })

  test.each([
    ['arrays, sent once', data],
    ['a dataset that is read', read],
    ['a mixture', mix([{ data, share: 3 }, { data: read, share: 1 }])],
    [
      'shared memory',
      arrays({
        x: { shape: [4], type: 'f32', data: new Float32Array(new SharedArrayBuffer(640)) },
        label: { shape: [], type: 'i32', classes: 2, data: new Int32Array(40) },
      }),
    ],
  ])('trains and evaluates over %s', async (_, dataset) => {
    const [here, there] = await both()
    const events = async (net: Net): Promise<TrainEvent[]> => {
      const all: TrainEvent[] = []
      for await (const event of net.train(dataset, { epochs: 2 })) all.push(event)
      return all
    }
    expect(await events(there)).toEqual(await events(here))
    expect(there.identity).toEqual(here.identity)
    expect(there.rateAt(7)).toBe(here.rateAt(7))
    const [a, b]: [number[], number[]] = [[], []]
    expect(await there.evaluate(dataset, { onProgress: (done) => b.push(done) })).toEqual(
      await here.evaluate(dataset, { onProgress: (done) => a.push(done) }),
    )
    expect(b).toEqual(a)
  })

  test.each([['arrays', data], ['a dataset that is read', read]])(
    'evaluates %s with the parameters before a step behind it',
    async (_, dataset) => {
      const [here, there] = await both()
      const wanted = await here.evaluate(dataset)
      const [found] = await Promise.all([there.evaluate(dataset), there.trainStep(batch)])
      expect(found).toEqual(wanted)
      await here.trainStep(batch)
      expect(await there.evaluate(dataset)).toEqual(await here.evaluate(dataset))
    },
  )

  test('is ahead by few updates, and by none where the page looks at an epoch', async () => {
    const [, there] = await both()
    let drawn = 0
    const counted: Dataset = {
      ...read,
      read: (indices, into, draw) => {
        if (draw) drawn++
        return data.read(indices, into, draw)
      },
    }
    for await (const { step, epochEnd } of there.train(counted, { epochs: 2, ahead: 2 })) {
      await new Promise((done) => setTimeout(done, 5))
      if (epochEnd) expect(there.steps).toBe(step)
      expect(there.steps - step).toBeLessThanOrEqual(6)
      if (step === 7) break
    }
    const steps = there.steps
    await there.run({ x: batch.x })
    expect(there.steps).toBe(steps)
    expect(drawn).toBeLessThan(20)
  })

  test('takes inputs at the call, and only the part of a buffer that is given', async () => {
    const [here, there] = await both()
    const frame = new Float32Array(3000).fill(1)
    const view = frame.subarray(100, 132)
    const running = there.run({ x: view })
    view.fill(7)
    expect(await running).toEqual(await here.run({ x: new Float32Array(32).fill(1) }))
    expect(frame.length).toBe(3000)
    expect(await there.run({ x: Array.from({ length: 8 }, () => [1, 1, 1, 1]) })).toEqual(await running)
  })

  test.each([
    ['a wrong name', (net: Net) => net.run({ y: batch.x })],
    ['a missing input', (net: Net) => net.run({})],
    ['a wrong length', (net: Net) => net.run({ x: new Float32Array(3) })],
    ['what no message holds', (net: Net) => net.run({ x: (() => {}) as never })],
    ['a label beyond', (net: Net) => net.step({ x: batch.x, label: new Int32Array(8).fill(2) })],
    ['a wrong option', (net: Net) => net.step(batch, { stats: 'batchh' as never })],
    ['an option that is a function', (net: Net) => net.run({ x: batch.x }, { stat: () => 1 } as never)],
    ['parameters of another shape', (net: Net) => net.setParameters({ 'fc_1.weight': new Float32Array(3) }, { strict: false })],
    ['options of evaluate that are none', (net: Net) => net.evaluate(data, null as never)],
    ['no dataset', (net: Net) => net.evaluate([] as never)],
    ['no dataset to train with', (net: Net) => net.train({} as never).next()],
    ['an option of train', (net: Net) => net.train(data, { epoch: 3 } as never).next()],
    ['a place to save', (net: Net) => net.save('out/')],
    ['no patterns', (net: Net) => net.freeze(['nothing*'])],
    ['a seed', (net: Net) => net.reset(0.5)],
    ['a snapshot of nothing', (net: Net) => net.restore({} as never)],
  ])('refuses as without: %s', async (_, work) => {
    const [here, there] = await (refusing ??= both())
    const [want, found] = [await thrown(() => work(here)), await thrown(() => work(there))]
    expect(want).toBeInstanceOf(InputError)
    expect(found).toBeInstanceOf(InputError)
    expect(found.message).toBe(want.message)
  })

  test('two trainings at once are refused as without a worker', async () => {
    for (const net of await both()) {
      const first = net.train(data, { epochs: 1 })
      await first.next()
      await expect(net.train(data).next()).rejects.toThrow(/this net is being trained: end that first/)
      void first.next()
      void first.return()
      expect((await net.train(data, { epochs: 1 }).next()).done).toBe(false)
    }
  })

  test('a training that is awaited and never begun is told where it would have been felt', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    try {
      for (const net of await both()) {
        for (
          const use of [
            () => net.run({ x: new Float32Array(4 * net.batch) }),
            () => net.evaluate(data),
            () => net.parameters(),
            () => net.save(),
          ]
        ) {
          warn.mockClear()
          await net.train(data)
          await use()
          expect(warn.mock.calls.map(([text]) => String(text))).toEqual([expect.stringContaining('net.train is a loop: for await')])
        }
      }
    } finally {
      warn.mockRestore()
    }
  })

  test('errors keep their class and fields', async () => {
    const [here, there] = await both()
    const broken = arrays({
      x: { shape: [4], type: 'f32', data: x.map((v, i) => (i === 100 ? NaN : v)) },
      label: { shape: [], type: 'i32', classes: 2, data: new Int32Array(40) },
    })
    const train = async (net: Net, ...args: Parameters<Net['train']>): Promise<void> => {
      for await (const _ of net.train(...args));
    }
    const [want, found] = [await thrown(() => train(here, broken)), await thrown(() => train(there, broken))] as [
      NonFiniteError,
      NonFiniteError,
    ]
    expect(found).toBeInstanceOf(NonFiniteError)
    expect({ ...found, message: found.message, stack: '' }).toEqual({ ...want, message: want.message, stack: '' })
    expect(found.layer).toBeDefined()
    await there.reset()
    await train(there, data, { epochs: 3 })
    const snapshot = await there.snapshot()
    expect(await thrown(() => train(there, data))).toBeInstanceOf(NothingLeftError)
    const other = await open(compile(TEXT.replace('0.02', '0.03'), { targets: ['wasm'] }), { device: 'wasm', worker })
    opened.push(other)
    const refused = await thrown(() => other.restore(snapshot)) as OtherTrainingError
    expect(refused).toBeInstanceOf(OtherTrainingError)
    expect(refused.contradictions[0]!.what).toBe('solver')
  })

  test('what the page throws comes back as it is', async () => {
    const [, there] = await both()
    const mine = Object.assign(new Error('no camera'), { mine: true })
    const failing: Dataset = {
      ...read,
      read: () => {
        throw mine
      },
    }
    expect(await thrown(() => there.train(failing).next())).toBe(mine)
    expect(await thrown(() => there.evaluate(failing))).toBe(mine)
    expect(
      await thrown(() =>
        there.evaluate(data, {
          onProgress: () => {
            throw mine
          },
        })
      ),
    ).toBe(mine)
    expect(
      ((await thrown(() =>
        open('http://nowhere.test/', {
          worker,
          fetch: () => {
            throw mine
          },
        })
      )) as Error).message,
    ).toMatch(/no camera/)
  })

  test('opens whatever open opens, with its progress', async () => {
    const saved = await opened[0]!.save()
    const files = await bundleFiles(saved)
    const want = await (await both({}, saved))[0].run({ x: batch.x })
    const served = (url: string): Promise<Response> =>
      Promise.resolve(
        new Response(files.get(url.replace('http://nowhere.test/n/', '')) as Uint8Array<ArrayBuffer> ?? null, {
          status: files.has(url.replace('http://nowhere.test/n/', '')) ? 200 : 404,
        }),
      )
    let loaded = 0
    for (
      const source of [
        files,
        await packBundle(saved),
        new File([await packBundle(saved)], 'n.zip'),
        [new File([await packBundle(saved)], 'n.zip')],
        'http://nowhere.test/n/',
        new URL('http://nowhere.test/n'),
      ]
    ) {
      const net = await open(source, {
        device: 'wasm',
        worker,
        fetch: served,
        onProgress: (progress) => {
          loaded = progress.loaded
        },
      })
      expect(await net.run({ x: batch.x })).toEqual(want)
      net.close()
    }
    expect(loaded).toBeGreaterThan(1000)
    expect(await thrown(() => open('http://nowhere.test/m/', { worker, fetch: served }))).toBeInstanceOf(BundleError)
    const reason = new Error('enough')
    expect(await thrown(() => open(files, { worker, signal: AbortSignal.abort(reason) }))).toBe(reason)
    const controller = new AbortController()
    expect(
      await thrown(() =>
        open('http://nowhere.test/n/', {
          worker,
          signal: controller.signal,
          fetch: () => {
            controller.abort(reason)
            return new Promise(() => {})
          },
        })
      ),
    ).toBe(reason)
  })

  test('has several nets, and ends with the net that is its own', async () => {
    const [own, shared] = [worker(), worker()]
    const alone = await open(bundle, { device: 'wasm', worker: () => own })
    const [one, two] = [
      await open(bundle, { device: 'wasm', worker: shared }),
      await open(bundle, { device: 'wasm', worker: shared, seed: 7 }),
    ]
    const running = one.run({ x: batch.x })
    one.close()
    alone.close()
    alone.close()
    expect(await thrown(() => running)).toBeInstanceOf(DeviceError)
    expect((await thrown(() => one.run({ x: batch.x }))).message).toBe('this net was closed')
    expect((await two.run({ x: batch.x }))['prob']).toHaveLength(16)
    two.close()
    expect([own.ended, shared.ended]).toEqual([1, 0])
  })

  test('goes on after errors of its owner, and says so when its thread is gone', async () => {
    const inPage = worker()
    const hears = new Set<(event: object) => void>()
    const shared = {
      ...inPage,
      addEventListener: (_: string, hear: (event: object) => void) => {
        hears.add(hear)
      },
      removeEventListener: (_: string, hear: (event: object) => void) => {
        hears.delete(hear)
      },
    }
    const goesOn = await open(bundle, { device: 'wasm', worker: shared as never })
    for (const hear of hears) hear({ message: 'of the page' })
    expect((await goesOn.run({ x: batch.x }))['prob']).toHaveLength(16)
    goesOn.close()

    const inNode = worker()
    const thread = new EventEmitter()
    const own = await open(bundle, { device: 'wasm', worker: () => Object.assign(thread, inNode) as never })
    const waits = own.train(data)
    await waits.next()
    thread.emit('error', new Error('out of memory'))
    thread.emit('exit', 1)
    const gone = 'the worker of this net is gone: out of memory'
    for (
      const work of [() => own.run({ x: batch.x }), () => own.save(), async () => {
        while (!(await waits.next()).done);
      }]
    ) {
      const error = await thrown(work)
      expect(error).toBeInstanceOf(DeviceError)
      expect(error.message).toBe(gone)
    }
    own.close()
    expect(thread.listenerCount('exit')).toBe(0)
  })

  test('a signal ends waiting for a worker that does not answer', async () => {
    const mute = {
      ended: 0,
      postMessage() {},
      terminate() {
        this.ended++
      },
    }
    const controller = new AbortController()
    const reason = new Error('enough')
    setTimeout(() => controller.abort(reason))
    expect(await thrown(() => open(bundle, { signal: controller.signal, worker: () => mute as never }))).toBe(reason)
  })

  test.each([
    ['a device object', { device: { name: 'mine', load() {} } as never, worker }, InputError, /belongs to the thread that made it/],
    ['what is no worker', { worker: 3 as never }, InputError, /worker 3: true, a Worker, or a function/],
    [
      'a worker whose making fails',
      {
        worker: () => {
          throw new Error('blocked by policy')
        },
      },
      DeviceError,
      /handed in cannot be used: blocked by policy/,
    ],
  ])('refuses %s', async (_, options, Class, why) => {
    const error = await thrown(() => open(bundle, options as OpenOptions))
    expect(error).toBeInstanceOf(Class)
    expect(error.message).toMatch(why)
  })

  test('teaches from examples', async () => {
    const [, there] = await both({ batch: 2 })
    const examples = new Examples(there)
    examples.add({ x: [1, 2, 3, 4], label: 0 })
    for await (const _ of there.train(mix([{ data: examples.dataset() }, { data }], { length: 4 }), { steps: 2, stats: 'global' }));
    expect(there.steps).toBe(2)
    const into: Arrays = { x: new Float32Array(4), label: new Int32Array(1) }
    await examples.dataset().read([0], into)
    expect([...into['x']!]).toEqual([1, 2, 3, 4])
  })
})
