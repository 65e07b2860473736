import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import { beforeAll, describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { bundleFiles, open, wasm } from '../../runtime/index.ts'
import { chromiumRunsHere, type Opened, openPage } from '../devices/chromium.ts'
import { AS_HARDWARE } from '../devices/everywhere.ts'
import { kindOf, snippetsOf } from './docs/snippets.ts'

/* What the runtime offers pages alone, in a real browser: pixels, saving in the browser, files. One page for all of it. */

const root = join(import.meta.dirname, '../..')

const PAGE = await readFile(join(root, 'docs/page.md'), 'utf8')
const TEXT = `net mnist { input image: f32[1, 28, 28] input label: class[10]
  logits = image -> avg_pool(7) -> conv(4, 3) -> batch_norm -> relu -> fc(10) output prob = softmax(logits) loss = softmax_loss(logits, label) metric accuracy = accuracy(logits, label) }
train { batch 10 epochs 2 solver sgd(lr: 0.05, momentum: 0.9) }`

/** A step of this takes a tenth of a second and more. */
const BIG = `net big { input image: f32[1, 28, 28] input label: class[10]
  logits = image -> conv(24, 5, pad: 2) -> batch_norm -> relu -> max_pool(2) -> conv(32, 5, pad: 2) -> batch_norm -> relu -> max_pool(2) -> fc(200) -> relu -> fc(10)
  output prob = softmax(logits) loss = softmax_loss(logits, label) metric accuracy = accuracy(logits, label) }
train { batch 100 solver sgd(lr: 0.01, momentum: 0.9) }`

describe.runIf(chromiumRunsHere)('a page', () => {
  let opened: Opened
  let files: Record<string, string | Uint8Array>
  /** A script in the page; what is exported there is `fusenet`. */
  const inPage = <T>(code: string): Promise<T> =>
    opened.page.evaluate(`(async () => { const fusenet = await import('/runtime/index.js'); ${code}
 })()`) as Promise<T>

  beforeAll(async () => {
    const { outputFiles } = await build({
      entryPoints: [join(root, 'runtime/index.ts')],
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'browser',
      outdir: 'runtime',
      write: false,
      logLevel: 'error',
    })
    files = Object.fromEntries(outputFiles.map(({ path, text }) => [`runtime/${path.split('/').at(-1)!}`, text]))
    // Where the package has it: beside the folder of what starts it.
    const { outputFiles: [script] } = await build({
      entryPoints: [join(root, 'runtime/worker.ts')],
      bundle: true,
      format: 'iife',
      platform: 'browser',
      write: false,
      logLevel: 'silent',
    })
    files['worker.js'] = script!.text
    const net = await open(compile(TEXT, { targets: ['webgpu', 'wasm'], programs: ['default', 'step/global', 'train/global'] }), {
      device: await wasm({ threads: 1 }),
      seed: 4,
    })
    for (const [name, data] of await bundleFiles(await net.save())) files[`mnist/${name}`] = data
    net.close()
    for (const [name, data] of await bundleFiles(compile(BIG, { targets: ['wasm'], programs: ['infer', 'train', 'eval'] })))
      files[`big/${name}`] = data
    opened = await openPage(import.meta.dirname, { files })
  })

  test('pixels of whatever shows some are the same', async () => {
    const found = await inPage<Record<string, number[]>>(`
      const shape = [3, 4, 4], bytes = (source, options) => [...fusenet.fromPixels(source, { shape, ...options })].map((v) => Math.round(v * 255))
      const canvas = document.createElement('canvas')
      canvas.width = canvas.height = 4
      const context = canvas.getContext('2d')
      const data = context.createImageData(4, 4)
      for (let i = 0; i < 64; i++) data.data[i] = i % 4 === 3 ? 255 : (i * 37) % 256
      context.putImageData(data, 0, 0)
      const image = new Image()
      image.src = canvas.toDataURL()
      await image.decode()
      const offscreen = new OffscreenCanvas(4, 4)
      offscreen.getContext('2d').putImageData(data, 0, 0)
      const frame = new VideoFrame(canvas, { timestamp: 0 })
      const result = {
        data: bytes(data), canvas: bytes(canvas), offscreen: bytes(offscreen), image: bytes(image),
        bitmap: bytes(await createImageBitmap(canvas)), frame: bytes(frame),
        cut: bytes(canvas, { shape: [3, 2, 2], crop: { x: 1, y: 1, width: 2, height: 2 } }), cutData: bytes(data, { shape: [3, 2, 2], crop: { x: 1, y: 1, width: 2, height: 2 } }),
      }
      frame.close()
      return result`)
    const want = Array.from({ length: 48 }, (_, i) => ((4 * (i % 16) + Math.floor(i / 16)) * 37) % 256)
    for (const kind of ['data', 'canvas', 'offscreen', 'image', 'bitmap']) expect(found[kind], kind).toEqual(want)
    // Its colours go through YUV.
    expect(found['frame']!.every((v, i) => Math.abs(v - want[i]!) < 12)).toBe(true)
    expect(found['cut']).toEqual(found['cutData'])
  })

  test('a large picture is halved first: to what it is without', async () => {
    const off = await inPage<number>(`
      const canvas = new OffscreenCanvas(2048, 1536)
      const context = canvas.getContext('2d')
      const sky = context.createLinearGradient(0, 0, 2048, 1536)
      sky.addColorStop(0, '#102030'); sky.addColorStop(1, '#f0d0a0')
      context.fillStyle = sky
      context.fillRect(0, 0, 2048, 1536)
      context.fillStyle = '#ff0000'
      context.fillRect(512, 512, 600, 400)
      const halved = fusenet.fromPixels(canvas, { shape: [3, 32, 32] })
      const whole = fusenet.fromPixels(context.getImageData(0, 0, 2048, 1536), { shape: [3, 32, 32] })
      return halved.reduce((sum, v, i) => sum + Math.abs(v - whole[i]), 0) / halved.length * 255`)
    expect(off).toBeLessThan(1)
  })

  test('what shows nothing, or may not be read, says why', async () => {
    const said = await inPage<string[]>(`
      const why = (source) => { try { fusenet.fromPixels(source); return 'nothing' } catch (error) { return error.name + ': ' + error.message } }
      const bitmap = await createImageBitmap(new ImageData(2, 2))
      bitmap.close()
      const foreign = new Image()
      foreign.src = 'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><foreignObject width="4" height="4"><p xmlns="http://www.w3.org/1999/xhtml">x</p></foreignObject></svg>'
      await foreign.decode()
      return [why(document.createElement('video')), why(Object.assign(new Image(), { src: '/later.png' })), why(bitmap), why(document.body)]`)
    expect(said[0]).toMatch(/^InputError: .*loadeddata/)
    expect(said[1]).toMatch(/^InputError: .*decode\(\)/)
    expect(said[2]).toMatch(/^InputError: .*it was closed/)
    expect(said[3]).toMatch(/^InputError: fromPixels: a canvas, image/)
  })

  test('a net is saved in the browser, found after a reload, listed, replaced and deleted', async () => {
    const before = await inPage<number[]>(`
      const net = await fusenet.open('/mnist/', { batch: 1, device: 'wasm' })
      await net.save('indexeddb://my digits')
      return [...(await net.run({ image: new Float32Array(784).fill(0.5) })).prob]`)
    await opened.page.reload()
    const found = await inPage<
      { prob: number[]; list: { name: string; net: string; bytes: number; saved: boolean }[]; gone: boolean[]; why: string; rest: number }
    >(`
      const net = await fusenet.open('indexeddb://my digits', { batch: 1, device: 'wasm' })
      const { prob } = await net.run({ image: new Float32Array(784).fill(0.5) })
      await net.save('indexeddb://other')
      await net.save('indexeddb://other')
      const list = (await fusenet.savedNets()).map(({ savedAt, ...net }) => ({ ...net, saved: savedAt instanceof Date }))
      const gone = [await fusenet.deleteNet('indexeddb://other'), await fusenet.deleteNet('other')]
      const why = await fusenet.open('indexeddb://my digit').then(() => '', (error) => error.name + ': ' + error.message)
      await fusenet.deleteNet('my digits')
      return { prob: [...prob], list, gone, why, rest: (await fusenet.savedNets()).length }`)
    expect(found.prob).toEqual(before)
    expect(found.list.map(({ name, net, saved }) => [name, net, saved])).toEqual([['other', 'mnist', true], ['my digits', 'mnist', true]])
    expect(found.list[0]!.bytes).toBeGreaterThan(1000)
    expect(found.gone).toEqual([true, false])
    expect(found.why).toBe('InputError: no net is saved as my digit in this browser; did you mean my digits? (saved are my digits)')
    expect(found.rest).toBe(0)
  })

  test('a saving that fails at one of its requests is refused once, and the net of that name stays', async () => {
    const before = opened.errors.length
    const found = await inPage<{ why: string; same: boolean }>(`
      const net = await fusenet.open('/mnist/', { batch: 1, device: 'wasm' })
      const prob = async (net) => String((await net.run({ image: new Float32Array(784).fill(0.5) })).prob)
      await net.save('indexeddb://kept')
      const { put } = IDBObjectStore.prototype
      IDBObjectStore.prototype.put = function (value, name) { return this.name === 'files' ? this.add(value, name) : put.call(this, value, name) }
      const why = await net.save('indexeddb://kept').then(() => '', (error) => error.name + ': ' + error.message)
      IDBObjectStore.prototype.put = put
      const same = await prob(net) === await prob(await fusenet.open('indexeddb://kept', { batch: 1, device: 'wasm' }))
      await fusenet.deleteNet('kept')
      return { why, same }`)
    expect(found).toEqual({ why: expect.stringMatching(/^InputError: .*IndexedDB \(ConstraintError/), same: true })
    expect(opened.errors.slice(before)).toEqual([])
  })

  test('a download is a file that opens again', async () => {
    const coming = opened.page.waitForEvent('download')
    await inPage(`const net = await fusenet.open('/mnist/', { batch: 1, device: 'wasm' }); await net.save('download://mine')`)
    const file = await coming
    expect(file.suggestedFilename()).toBe('mine.zip')
    const net = await open(new Uint8Array(await readFile(await file.path())), { batch: 1, device: await wasm({ threads: 1 }) })
    expect(net.manifest.name).toBe('mnist')
    net.close()
  })

  /** Data for the net, at hand and read one by one. */
  const HELPERS = `
    const image = Float32Array.from({ length: 2000 * 784 }, (_, i) => Math.abs(Math.sin(i * 0.37)))
    const label = Int32Array.from({ length: 2000 }, (_, i) => i % 10)
    const data = fusenet.arrays({ image: { shape: [1, 28, 28], type: 'f32', data: image }, label: { shape: [], type: 'i32', classes: 10, data: label } })
    const read = { ...data, read: (...args) => data.read(...args) }
    const losses = async (net, dataset, options = { epochs: 1 }) => { const all = []; for await (const { loss } of net.train(dataset, options)) all.push(loss); return all }`

  test('a net in a worker computes the same, and takes what the page has', async () => {
    const found = await inPage<{ same: boolean[]; threads: string; why: string[]; saved: boolean }>(`${HELPERS}
      const here = await fusenet.open('mnist/', { device: 'wasm', seed: 2 })
      const there = await fusenet.open('mnist/', { device: 'wasm', seed: 2, worker: true })
      const same = []
      for (const dataset of [fusenet.part(data, 0, 200), read]) same.push(JSON.stringify(await losses(here, dataset, { steps: 20 })) === JSON.stringify(await losses(there, dataset, { steps: 20 })))
      same.push(JSON.stringify(await here.evaluate(fusenet.part(data, 0, 205))) === JSON.stringify(await there.evaluate(fusenet.part(data, 0, 205))))
      const ten = image.slice(0, 7840)
      same.push(String((await here.run({ image: ten })).prob) === String((await there.run({ image: ten })).prob))
      const name = '日本 ä/../100%25', address = new URL('indexeddb://' + encodeURIComponent(name))
      await there.save('indexeddb://' + name)
      await there.save(address)
      same.push(String((await fusenet.savedNets()).map(({ name }) => name)) === name)
      const again = await fusenet.open('indexeddb://' + name, { device: 'wasm', worker: true })
      ;(await fusenet.open(address, { device: 'wasm', worker: true })).close()
      same.push(String((await here.run({ image: ten })).prob) === String((await again.run({ image: ten })).prob))
      await fusenet.deleteNet(address)
      const why = []
      const fails = (promise) => promise.then(() => why.push('works'), (error) => why.push(error.constructor === fusenet.InputError ? error.message.slice(0, 46) : error.name + ': ' + error.message))
      await fails(there.run({ image: document.createElement('canvas') }))
      await fails(fusenet.open('nowhere/', { worker: true }))
      await fails(fusenet.open('mnist/', { worker: () => new Worker('/later.js') }))
      for (const net of [here, there, again]) net.close()
      return { same, threads: there.device.description, why }`)
    expect(found.same).toEqual([true, true, true, true, true, true])
    expect(found.why[0]).toBe('input image holds float32: give a Float32Array')
    expect(found.why[1]).toMatch(/^BundleError: .*nowhere/s)
    expect(found.why[2]).toMatch(/^DeviceError: the worker that was handed in cannot be used: its script cannot be loaded/)
  })

  test('a worker that is terminated from outside is told to whoever waits for its net', async () => {
    const found = await inPage<string[]>(`${HELPERS}
      const thread = new Worker('/worker.js'), why = []
      const there = await fusenet.open('mnist/', { device: 'wasm', worker: thread })
      const events = there.train(data, { epochs: 100 })
      await events.next()
      const waits = (async () => { for await (const _ of events); })()
      thread.terminate()
      const never = new Promise((_, reject) => setTimeout(() => reject(new Error('nobody is told')), 10_000))
      for (const work of [() => Promise.race([waits, never]), () => there.run({ image: image.slice(0, 7840) })]) await work().then(() => why.push('works'), (error) => why.push(error.name + ': ' + error.message))
      there.close()
      return why`)
    expect(found).toEqual(Array(2).fill('DeviceError: the worker of this net is gone: it was terminated'))
  })

  test('a net that is not saved yet, and one whose archive is served', async () => {
    const found = await inPage<string[]>(`${HELPERS}
      const net = await fusenet.open('mnist/', { device: 'wasm' }), said = []
      await fusenet.open('indexeddb://early').then(() => said.push('opened'), ({ message }) => said.push(message))
      await net.save('indexeddb://early')
      await fusenet.open('indexeddb://early').then((saved) => saved.close())
      await fusenet.deleteNet('early')
      const bytes = await fusenet.packBundle(await net.save())
      const again = await fusenet.open('/mine.zip', { device: 'wasm', fetch: async () => new Response(bytes) })
      const ten = image.slice(0, 7840)
      said.push(String(String((await net.run({ image: ten })).prob) === String((await again.run({ image: ten })).prob)))
      for (const each of [net, again]) each.close()
      return said`)
    expect(found[0]).toMatch(/^no net is saved as early in this browser.*: where save to that name is under way, await it first$/)
    expect(found[1]).toBe('true')
  })

  test('a net in a worker runs on WebGPU, as one on the page does, and ends with it', async () => {
    const { page, errors } = await openPage(import.meta.dirname, { files, before: AS_HARDWARE })
    const found = await page.evaluate(`(async () => { const fusenet = await import('/runtime/index.js'); ${HELPERS}
      const nets = [await fusenet.open('mnist/', { seed: 2, programs: ['infer', 'train'] }), await fusenet.open('mnist/', { seed: 2, programs: ['infer', 'train'], worker: true })]
      const seen = []
      for (const net of nets) {
        const trained = await losses(net, fusenet.part(data, 0, 60), { steps: 9 })
        const { prob } = await net.run({ image: image.slice(0, 7840) })
        const parameters = [...(await net.parameters())].map(([name, { data }]) => [name, ...data])
        seen.push({ name: net.device.name, description: net.device.description, notes: [...net.notes], steps: net.steps, prob: [...prob], trained, parameters })
      }
      const running = nets[1].run({ image: image.slice(0, 7840) }).then(() => 'ran', (error) => error.name)
      for (const net of nets) net.close()
      return [...seen, [await running, await nets[1].run({ image: image.slice(0, 7840) }).catch((error) => error.name)]]
    })()`) as [Record<string, unknown>, Record<string, unknown>, string[]]
    expect(found[0]).toMatchObject({ name: 'webgpu', notes: [], steps: 9 })
    expect(found[1]).toEqual(found[0])
    expect(found[2]).toEqual(['DeviceError', 'DeviceError'])
    expect(errors).toEqual([])
  })

  /** What a page's thread may do at a time. */
  const MOST_MS = 20

  test('a page is not held up while a net in a worker trains', async () => {
    const browser = opened.page.context().browser()!
    /** The longest task of the page's main thread meanwhile, in milliseconds of its own time: what else the machine does does not count. */
    const longest = async (work: string): Promise<number> => {
      await browser.startTracing(opened.page, { categories: ['toplevel', '__metadata'] })
      // The page's process begins to write down what it does a little later.
      await inPage(
        `await new Promise((done) => setTimeout(done, 300)); const { data, read, losses, there, here } = globalThis.held; ${work}; await new Promise((done) => setTimeout(done))`,
      )
      const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as {
        traceEvents: { name: string; ph: string; pid: number; tid: number; tdur?: number; dur?: number; args: { name?: string } }[]
      }
      const main = new Set(
        traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) =>
          `${pid} ${tid}`
        ),
      )
      const tasks = traceEvents.filter(({ name, ph, pid, tid }) => ph === 'X' && /RunTask/.test(name) && main.has(`${pid} ${tid}`))
      return Math.max(...tasks.map(({ tdur, dur }) => (tdur ?? dur!) / 1000))
    }
    await inPage(`${HELPERS}
      globalThis.held = { data, read, losses, there: await fusenet.open('big/', { device: 'wasm', batch: 100, worker: true }), here: await fusenet.open('big/', { device: 'wasm', batch: 100 }) }`)
    const held = { page: await longest(`await losses(here, data, { steps: 1 })`) } as Record<string, number>
    for (
      const work of [
        'await losses(there, data, { steps: 4 })',
        'await losses(there, read, { steps: 4 })',
        'await there.evaluate(read)',
        'await there.save()',
        `(await fusenet.open('big/', { device: 'wasm', worker: true })).close()`,
      ]
    ) {
      held[work] = await longest(work)
      // Garbage is collected at times of the engine's choosing: what is held up each time counts.
      if (held[work]! > MOST_MS) held[work] = Math.min(held[work]!, await longest(work))
    }
    const { page: without, ...rest } = held
    expect(without).toBeGreaterThan(40)
    for (const [work, ms] of Object.entries(rest)) expect(ms, work).toBeLessThanOrEqual(MOST_MS)
  })

  test.each(
    snippetsOf('docs/page.md', PAGE).filter((snippet) => kindOf(snippet) === 'page').map((snippet) =>
      [snippet.line, snippet.text] as const
    ),
  )('docs/page.md:%i', async (_, text) => {
    const code = text.replace(/^import \{(.*)\} from 'fusenet\/runtime'/m, 'const {$1} = fusenet')
    // What the text speaks of.
    await inPage(`
      const canvas = Object.assign(document.createElement('canvas'), { width: 280, height: 280 })
      const video = Object.assign(document.createElement('canvas'), { width: 640, height: 480 })
      const input = { files: [] }
      const dataset = fusenet.arrays({ image: { shape: [1, 28, 28], type: 'f32', data: new Float32Array(15680) }, label: { shape: [], type: 'i32', classes: 10, data: new Int32Array(20) } })
      ${code}`)
  })

  test('the console stays empty', () => {
    expect(opened.errors.filter((line) => !/later|nowhere/.test(line))).toEqual([])
  })
})
