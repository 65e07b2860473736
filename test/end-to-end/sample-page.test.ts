import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createServer, type InlineConfig, preview } from 'vite'
import { compile } from '../../compiler/index.ts'
import { loadDataset, readBundle, writeBundle } from '../../runtime/node.ts'
import { type Device, open, type Tensors, wasm } from '../../runtime/index.ts'
import { chromiumRunsHere, type Opened, openPage, openUrl } from '../devices/chromium.ts'
import { AS_HARDWARE, everywhere } from '../devices/everywhere.ts'

/*
 * The sample page as people build and serve it. What it learns and what it forgets by that is measured without a browser; that it can be used, with
 * and without WebGPU, is seen in a real one. The net is trained here for some seconds: it knows less than the one that build.mjs makes.
 */

const root = join(import.meta.dirname, '../..')
const sample = join(root, 'samples/page')
const STEPS = 250
/** Pictures that are counted. */
const TESTED = 1000
const STAR = [[0.3, 0.9], [0.5, 0.1], [0.7, 0.9], [0.15, 0.4], [0.85, 0.4], [0.3, 0.9]] as const
const SEVEN = [[0.25, 0.2], [0.75, 0.2], [0.6, 0.5], [0.45, 0.85]] as const

interface Builder {
  trainDigits(tools: object, options: { steps: number; doodles: number }): Promise<Tensors>
  writePublic(tools: object, weights: Tensors, folder: string): Promise<void>
  buildPage(settings: InlineConfig): Promise<void>
}
interface Taught {
  readonly before: number
  readonly after: number
  readonly share: number
}
interface Learner {
  addClass(name: string): number
  predict(images: readonly Float32Array[]): Promise<Map<number, number>[]>
  teach(images: readonly Float32Array[], label: number): Promise<Taught>
  undo(): Promise<void>
}

/** Other files are tested at the same time: threads would wait for each other. */
const oneThread = (): Promise<Device> => wasm({ threads: 1 })
const load = <T>(file: string): Promise<T> => import(pathToFileURL(join(sample, file)).href) as Promise<T>
const alias = { 'fusenet/runtime': join(root, 'runtime/index.ts') }
let folder: string
let places: InlineConfig

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-page-'))
  const builder = await load<Builder>('build.mjs')
  const weights = await builder.trainDigits({ compile, open, wasm: oneThread, loadDataset }, { steps: STEPS, doodles: 3000 })
  await builder.writePublic({ compile, loadDataset, writeBundle }, weights, join(folder, 'public'))
  places = { publicDir: join(folder, 'public'), cacheDir: join(folder, 'cache'), resolve: { alias } }
  await builder.buildPage({ ...places, build: { outDir: join(folder, 'page') } })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('what it learns', () => {
  let learner: Learner
  let close = (): void => {}
  let images: Float32Array[]
  let labels: Int32Array
  /** What the net that came with the page says of them. */
  let atFirst: Map<number, number>[]
  let pictureOfStrokes: (strokes: readonly { x: number; y: number }[][]) => Float32Array

  beforeAll(async () => {
    ;({ pictureOfStrokes } = await load<{ pictureOfStrokes: typeof pictureOfStrokes }>('drawing.js'))
    const { Learner, BATCH } = await load<{ Learner: { of(net: unknown, pictures: Float32Array[][]): Promise<Learner> }; BATCH: number }>(
      'learner.js',
    )
    const device = await oneThread()
    const net = await open(await readBundle(join(folder, 'public/digits')), { device, batch: BATCH })
    close = () => {
      net.close()
      device.close()
    }
    const train = await loadDataset('mnist')
    const first = { image: new Float32Array(1500 * 784), label: new Int32Array(1500) }
    await train.read(Array.from({ length: 1500 }, (_, i) => i), first)
    const rows = Array.from(
      { length: 10 },
      (_, digit) =>
        [...first.label.keys()].filter((i) => first.label[i] === digit).slice(0, 80).map((i) => first.image.slice(784 * i, 784 * (i + 1))),
    )
    learner = await Learner.of(net, rows)
    const tested = { image: new Float32Array(TESTED * 784), label: new Int32Array(TESTED) }
    await (await loadDataset('mnist', { split: 'test' })).read(Array.from({ length: TESTED }, (_, i) => i), tested)
    labels = tested.label
    images = Array.from(labels, (_, i) => tested.image.subarray(784 * i, 784 * (i + 1)))
    atFirst = await learner.predict(images)
  })
  afterAll(() => close())

  /** A drawing as a hand makes it: each corner a little elsewhere, the whole turned and stretched. */
  function drawing(points: readonly (readonly [number, number])[], seed: number): Float32Array {
    let state = Math.imul(seed + 1, 0x9e3779b1) >>> 0
    const about = (most: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return most * (2 * state / 2 ** 32 - 1)
    }
    const [turn, wide, high] = [about(0.2), 1 + about(0.2), 1 + about(0.2)]
    return pictureOfStrokes([points.map(([x, y]) => {
      const [u, v] = [wide * (x - 0.5 + about(0.04)), high * (y - 0.5 + about(0.04))]
      return { x: u * Math.cos(turn) - v * Math.sin(turn), y: u * Math.sin(turn) + v * Math.cos(turn) }
    })])
  }
  const best = (found: Map<number, number>): number => [...found].reduce((a, b) => (b[1] > a[1] ? b : a))[0]
  const right = (found: readonly Map<number, number>[]): number => found.filter((each, i) => best(each) === labels[i]).length / TESTED
  /** By how much the share of digits that are read right has fallen. */
  const lost = async (): Promise<number> => right(atFirst) - right(await learner.predict(images))
  /** The net is to the bit what it was. */
  const isAsItCame = async (): Promise<void> => {
    const few = images.slice(0, 100)
    expect(await learner.predict(few)).toEqual(atFirst.slice(0, few.length))
  }
  const known = async (points: typeof STAR, label: number): Promise<number> =>
    (await learner.predict(Array.from({ length: 100 }, (_, i) => drawing(points, 1000 + i)))).filter((found) => best(found) === label)
      .length

  test("a class of one's own by five drawings: other drawings are recognised, and digits lose less than 1 %", async () => {
    expect(right(atFirst)).toBeGreaterThan(0.94)
    const star = learner.addClass('star')
    expect(await known(STAR, star)).toBe(0)
    for (let i = 0; i < 5; i++) await learner.teach([drawing(STAR, i)], star)
    expect(await known(STAR, star)).toBeGreaterThanOrEqual(90)
    expect(await lost()).toBeLessThan(0.01)
    for (let i = 0; i < 6; i++) await learner.undo()
    await isAsItCame()
    expect(await known(STAR, star)).toBe(0)
    expect(() => learner.addClass(' 3 ')).toThrow(/already/)
    expect(() => learner.addClass('  ')).toThrow(/name/)
  })

  test('a slip costs next to nothing, what is misread is learned', async () => {
    await learner.teach([images[777]!], (labels[777]! + 3) % 10)
    expect(await lost()).toBeLessThanOrEqual(0.005)
    await learner.undo()
    await isAsItCame()
    const misread = [...labels.keys()].filter((i) => atFirst[i]!.get(labels[i]!)! < 0.3).slice(0, 4)
    const lessons: Taught[] = []
    for (const i of misread) lessons.push(await learner.teach([images[i]!], labels[i]!))
    expect(lessons.filter(({ after }) => after > 0.5).length, JSON.stringify(lessons)).toBeGreaterThanOrEqual(2)
    expect(await lost()).toBeLessThan(0.01)
  })
})

const WITHOUT_WEBGPU = everywhere('delete (globalThis.Navigator ?? WorkerNavigator).prototype.gpu')

describe.runIf(chromiumRunsHere)('the page', () => {
  async function served(how: 'dev' | 'built', isolated = false): Promise<{ url: string; close(): Promise<void> }> {
    const headers = isolated ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' } : {}
    const address = { host: '127.0.0.1', port: 0, headers }
    if (how === 'dev') {
      const server = await createServer({
        ...places,
        configFile: join(sample, 'vite.config.js'),
        root: sample,
        logLevel: 'silent',
        server: { ...address, watch: null, hmr: false, ws: false },
        optimizeDeps: { noDiscovery: true },
      })
      await server.listen()
      return { url: server.resolvedUrls!.local[0]!, close: () => server.close() }
    }
    const server = await preview({
      configFile: false,
      root: folder,
      logLevel: 'silent',
      build: { outDir: join(folder, 'page') },
      preview: address,
    })
    return { url: server.resolvedUrls!.local[0]!, close: () => server.close() }
  }
  const text = (on: Page, selector: string): Promise<string> => on.locator(selector).innerText()
  const says = (on: Page, wanted: RegExp): Promise<void> =>
    expect.poll(() => text(on, '#status'), { timeout: 90_000, interval: 50 }).toMatch(wanted)
  const isFree = (on: Page): Promise<void> => expect.poll(() => on.isEnabled('#upload'), { timeout: 90_000, interval: 50 }).toBe(true)

  async function draw(on: Page, points: readonly (readonly [number, number])[], shift = 0): Promise<void> {
    await on.locator('#sheet').scrollIntoViewIfNeeded()
    const { x, y, width, height } = (await on.locator('#sheet').boundingBox())!
    for (const [i, [u, v]] of points.entries()) {
      await on.mouse.move(x + (u + shift * (i % 2 ? 1 : -1)) * width, y + v * height, { steps: i === 0 ? 1 : 4 })
      if (i === 0) await on.mouse.down()
    }
    await on.mouse.up()
  }
  async function teach(on: Page, wanted: RegExp): Promise<void> {
    await on.click('#teach')
    await expect.poll(() => on.isEnabled('#teach'), { timeout: 90_000, interval: 50 }).toBe(true)
    await says(on, wanted)
  }
  async function addClass(on: Page, name: string): Promise<void> {
    await on.click('#new')
    await on.fill('#name', name)
    await on.press('#name', 'Enter')
    await says(on, new RegExp(`^${name} is a class now`))
  }
  const axe = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  /** What axe finds wrong, an element a line. */
  async function faults(on: Page): Promise<string[]> {
    await on.evaluate(await axe)
    return on.evaluate(
      `axe.run().then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => id + ' ' + target + ': ' + failureSummary)))`,
    )
  }
  /** Vite's client looks for the socket by which pages are reloaded, which these servers do not have. */
  const complaints = (
    { errors, console }: Opened,
  ): string[] => [...errors, ...console.filter((line) => /^(error|warning)/.test(line) && !/WebSocket|\[vite\]/.test(line))]

  test("on WebGPU, from Vite's development server, on 360 pixels", async () => {
    const vite = await served('dev')
    const opened = await openUrl(vite.url, { close: vite.close, before: AS_HARDWARE })
    const { page } = opened
    await page.setViewportSize({ width: 360, height: 740 })
    await says(page, /^Draw something/)
    expect(await text(page, '#device')).toMatch(/^It runs on the GPU of this device: acme one/)
    await draw(page, SEVEN)
    await expect.poll(() => text(page, '#answer'), { timeout: 60_000 }).toMatch(/^\d$/)
    const bars = await page.locator('#bars output').allTextContents()
    expect(bars.length).toBe(11)
    expect(bars.reduce((sum, each) => sum + parseFloat(each), 0)).toBeCloseTo(100, -1)
    await page.locator('#chips label', { hasText: '7' }).click()
    await teach(page, /^(Learned|It knew)/)
    await expect.poll(() => text(page, '#answer'), { timeout: 60_000 }).toBe('7')
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360)
    expect(await faults(page)).toEqual([])
    expect(complaints(opened)).toEqual([])
    await opened.close()
  })

  test("built, isolated, without WebGPU: a class of one's own is drawn, kept, taken back, downloaded and opened again", async () => {
    const vite = await served('built', true)
    const opened = await openUrl(vite.url, { close: vite.close, before: WITHOUT_WEBGPU })
    const { page } = opened
    await says(page, /^Draw something/)
    expect(await text(page, '#device')).toMatch(
      /^It runs on the CPU of this device: WebAssembly relaxed SIMD, [2-9]\d* threads\. WebGPU is missing here \(this browser has none, or has it switched off\)\.$/,
    )
    await addClass(page, 'star')
    for (const shift of [0, 0.03, -0.03]) {
      await draw(page, STAR, shift)
      await teach(page, /^Learned/)
    }
    expect(await text(page, '#kept')).toMatch(/^You taught it 3 pictures; classes of your own: star\. It is kept in this browser/)
    expect(await page.locator('#thumbnails canvas').count()).toBe(3)

    await page.reload()
    await says(page, /^It still knows/)
    await draw(page, STAR, 0.015)
    await expect.poll(() => text(page, '#answer'), { timeout: 30_000 }).toBe('star')
    await expect.poll(() => page.locator('#spoken').textContent(), { timeout: 30_000 }).toMatch(/^star, \d+ % sure/)
    const sure = await text(page, '#certainty')
    const [file] = await Promise.all([page.waitForEvent('download'), page.click('#download')])
    const path = join(folder, file.suggestedFilename())
    await file.saveAs(path)

    await isFree(page)
    await page.click('#reset')
    expect(await faults(page)).toEqual([])
    await page.click('#sure button[value=yes]')
    await says(page, /^It is as it came/)
    await draw(page, STAR, 0.015)
    await expect.poll(() => text(page, '#answer'), { timeout: 30_000 }).not.toMatch(/^(star|\?)$/)
    await isFree(page)
    await page.setInputFiles('#file', path)
    await says(page, /is opened/)
    await expect.poll(() => text(page, '#answer'), { timeout: 30_000 }).toBe('star')
    expect(await text(page, '#certainty')).toBe(sure)
    await page.setInputFiles('#file', { name: 'cat.zip', mimeType: 'application/zip', buffer: Buffer.from('meow') })
    await says(page, /^cat\.zip is no bundle/)
    await page.click('#undo')
    await says(page, /taken back/)
    expect(await text(page, '#kept')).toMatch(/^It is as it came/)

    // Without a mouse: the pen goes down, to the right, down, and up.
    await page.click('#clear')
    await page.focus('#sheet')
    for (const key of ['ArrowUp', 'ArrowUp', ' ', ...new Array<string>(5).fill('ArrowDown'), ' ']) await page.keyboard.press(key)
    await expect.poll(() => text(page, '#answer'), { timeout: 30_000 }).toBe('1')
    expect(complaints(opened)).toEqual([])
    await opened.close()
  })

  test('from the camera, in the dark', async () => {
    const opened = await openPage(join(folder, 'page'), { path: 'index.html', before: WITHOUT_WEBGPU })
    const { page } = opened
    await page.emulateMedia({ colorScheme: 'dark' })
    await says(page, /^Draw something/)
    expect(await text(page, '#device')).toMatch(/1 thread/)
    await page.click('#from-camera')
    await expect.poll(() => text(page, '#certainty'), { timeout: 60_000 }).toMatch(/sure/)
    await addClass(page, 'disc')
    await teach(page, /^Learned/)
    expect(await page.locator('#thumbnails canvas').count()).toBe(8)
    await expect.poll(() => text(page, '#answer'), { timeout: 60_000 }).toBe('disc')
    expect(await faults(page)).toEqual([])
    await page.click('#from-sheet')
    await page.evaluate(`navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError') }`)
    await page.click('#from-camera')
    await expect.poll(() => text(page, '#camera-note'), { timeout: 30_000 }).toMatch(/not allowed here/)
    expect(complaints(opened)).toEqual([])
    await opened.close()
  })

  test.each(
    [
      ['weights are not found', /weights\.safetensors$/, false, /digits\/weights\.safetensors.*404/s],
      ['a module is another page', /\.wasm$/, true, /digits\/\S*\.wasm.*HTML/s],
      ['the manifest is another page', /bundle\.json$/, true, /digits\/.*HTML/s],
      ['examples are not found', /examples\.png$/, false, /examples\.png cannot be loaded \(404/],
    ] as const,
  )('on a host where %s it says so', async (_, lacking, html, wanted) => {
    const built = join(folder, 'page')
    const names = (await readdir(built, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).map((entry) =>
      join(entry.parentPath, entry.name).slice(built.length + 1).replaceAll('\\', '/')
    )
    const kept = await Promise.all(
      names.filter((name) => html || !lacking.test(name)).map(async (name) =>
        [name, lacking.test(name) ? '<!doctype html><title>my app</title>' : await readFile(join(built, name))] as const
      ),
    )
    expect(names.some((name) => lacking.test(name))).toBe(true)
    const opened = await openPage(join(folder, 'nothing'), { files: Object.fromEntries(kept), path: 'index.html', before: WITHOUT_WEBGPU })
    await says(opened.page, wanted)
    expect(await opened.page.locator('#loading').isVisible()).toBe(false)
    await opened.close()
  })
})
