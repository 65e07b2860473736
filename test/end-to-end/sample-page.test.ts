import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createServer, type InlineConfig, preview } from 'vite'
import { compile } from '../../compiler/index.ts'
import { loadDataset, readBundle, writeBundle } from '../../runtime/node.ts'
import { open, wasm } from '../../runtime/index.ts'
import { chromiumRunsHere, openPage, openUrl } from '../devices/chromium.ts'

/*
 * The sample page as users build and serve it, in a real browser. The net is trained here for a few seconds: far enough to lose by
 * lessons that are badly given.
 */

const root = join(import.meta.dirname, '../..')
const STEPS = 150
/** Pictures that are counted. */
const TESTED = 2000
let folder: string
let test0: { image: Float32Array; label: Int32Array }

/** A net of a test machine, which has no graphics hardware, takes its adapter for such. */
const AS_HARDWARE = `Object.defineProperty(GPUAdapter.prototype, 'info', { get: () => ({ vendor: 'acme', architecture: 'one', device: '', description: '', isFallbackAdapter: false }) })`
const WITHOUT_WEBGPU = `Object.defineProperty(Navigator.prototype, 'gpu', { value: undefined })`

describe.runIf(chromiumRunsHere)('the sample page', () => {
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'fusenet-page-'))
    const text = await readFile(join(root, 'samples/mnist.net'), 'utf8')
    const net = await open(compile(text, { targets: ['wasm'], programs: ['infer', 'train'] }), { device: await wasm(), seed: 1 })
    for await (const _ of net.train(await loadDataset('mnist'), { steps: STEPS }));
    await writeBundle(await net.save(), join(folder, 'trained'))
    net.close()
    const { buildPage } = await import(pathToFileURL(join(root, 'samples/page/build.mjs')).href) as { buildPage(tools: object, bundle: string, folder: string): Promise<void> }
    await buildPage({ compile, loadDataset, readBundle, writeBundle, runtime: join(root, 'runtime/index.ts') }, join(folder, 'trained'), join(folder, 'page'))
    test0 = { image: new Float32Array(TESTED * 784), label: new Int32Array(TESTED) }
    await (await loadDataset('mnist', { split: 'test' })).read(Array.from({ length: TESTED }, (_, i) => i), test0)
    await writeFile(join(folder, 'page/test.bin'), Uint8Array.from(test0.image, (v) => Math.round(255 * v)))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const page = (): string => join(folder, 'page')
  const status = (on: Page): Promise<string | null> => on.textContent('#status')
  const runs = (on: Page) => expect.poll(() => status(on), { timeout: 60_000 }).toMatch(/^running on/)

  async function served(how: 'dev' | 'preview'): Promise<{ url: string; close(): Promise<void> }> {
    const config: InlineConfig = { configFile: false, root: page(), logLevel: 'silent', cacheDir: join(folder, 'vite') }
    const address = { host: '127.0.0.1', port: 0 }
    if (how === 'dev') {
      const server = await createServer({ ...config, server: { ...address, watch: null, hmr: false, ws: false }, optimizeDeps: { noDiscovery: true } })
      await server.listen()
      return { url: server.resolvedUrls!.local[0]!, close: () => server.close() }
    }
    const server = await preview({ ...config, build: { outDir: page() }, preview: address })
    return { url: server.resolvedUrls!.local[0]!, close: () => server.close() }
  }

  /** Draws a seven with the mouse, as somebody would. */
  async function drawSeven(on: Page): Promise<void> {
    const { x, y, width, height } = (await on.locator('#pad').boundingBox())!
    const at = ([u, v]: readonly [number, number]): [number, number] => [x + u * width, y + v * height]
    await on.mouse.move(...at([0.25, 0.2]))
    await on.mouse.down()
    for (const point of [[0.75, 0.2], [0.6, 0.5], [0.45, 0.85]] as const) await on.mouse.move(...at(point), { steps: 8 })
    await on.mouse.up()
  }

  /** Puts a test picture on the sheet, and clicks: it is a `digit`, learn. */
  async function lesson(on: Page, picture: number, digit: number): Promise<string> {
    await on.evaluate(`(async () => {
      const bytes = new Uint8Array(await (await fetch('test.bin')).arrayBuffer()).subarray(784 * ${picture}, 784 * ${picture + 1})
      const small = new OffscreenCanvas(28, 28)
      const data = new ImageData(28, 28)
      bytes.forEach((v, i) => { data.data[4 * i + 3] = v })
      small.getContext('2d').putImageData(data, 0, 0)
      const pad = document.getElementById('pad')
      const ink = pad.getContext('2d')
      ink.clearRect(0, 0, pad.width, pad.height)
      ink.drawImage(small, 0, 0, pad.width, pad.height)
    })()`)
    await on.selectOption('#label', String(digit))
    await on.click('#learn')
    await expect.poll(() => on.isEnabled('#learn'), { timeout: 60_000 }).toBe(true)
    return (await status(on))!
  }

  /** How many of the test pictures the page's net has right. */
  const right = (on: Page): Promise<number> => on.evaluate(`(async (labels) => {
    const bytes = new Uint8Array(await (await fetch('test.bin')).arrayBuffer())
    const found = await digits.predict(labels.map((_, i) => Float32Array.from(bytes.subarray(784 * i, 784 * (i + 1)), (v) => v / 255)))
    return found.filter((prob, i) => prob.every((p, k) => p <= prob[labels[i]] || k === labels[i])).length
  })(${JSON.stringify([...test0.label])})`)

  test('in Vite (dev), on WebGPU: draws, answers, learns', async () => {
    const vite = await served('dev')
    const opened = await openUrl(vite.url, { close: vite.close, before: AS_HARDWARE })
    await runs(opened.page)
    expect(await status(opened.page)).toBe('running on acme one')
    await drawSeven(opened.page)
    await expect.poll(() => opened.page.textContent('#answer'), { timeout: 60_000 }).toMatch(/^\d$/)
    expect(await opened.page.locator('.bar').count()).toBe(10)
    const bars = await opened.page.locator('#bars output').allTextContents()
    expect(bars.reduce((sum, text) => sum + parseFloat(text), 0)).toBeCloseTo(100, -1)
    await opened.page.selectOption('#label', '7')
    await opened.page.click('#learn')
    await expect.poll(() => status(opened.page), { timeout: 60_000 }).toMatch(/^(learned|known)/)
    expect(opened.errors).toEqual([])
    await opened.close()
  })

  test('in Vite (preview), without WebGPU: a wrong lesson costs next to nothing, right ones cost nothing', async () => {
    const vite = await served('preview')
    const opened = await openUrl(vite.url, { close: vite.close, before: WITHOUT_WEBGPU })
    await runs(opened.page)
    expect(await status(opened.page)).toMatch(/^running on WebAssembly SIMD, 1 thread/)
    const before = await right(opened.page)
    expect(before).toBeGreaterThan(0.93 * TESTED)

    for (const picture of [5, 777]) {
      const wrong = (test0.label[picture]! + 3) % 10
      expect(await lesson(opened.page, picture, wrong)).toMatch(/^learned/)
      expect(before - await right(opened.page), `picture ${picture}, a ${test0.label[picture]}, called ${wrong}`).toBeLessThanOrEqual(0.005 * TESTED)
      await opened.page.click('#undo')
      await expect.poll(() => status(opened.page)).toBe('the last lesson is taken back')
      await expect.poll(() => opened.page.isEnabled('#learn')).toBe(true)
      expect(await right(opened.page)).toBe(before)
    }

    for (let k = 0; k < 20; k++) expect(await lesson(opened.page, 40 * k + 8, test0.label[40 * k + 8]!)).toMatch(/^(learned|known)/)
    expect(await right(opened.page)).toBeGreaterThanOrEqual(before)
    expect(opened.errors).toEqual([])
    await opened.close()
  })

  test('what it misreads, it learns', async () => {
    const opened = await openPage(page(), { path: 'index.html' })
    await runs(opened.page)
    const before = await right(opened.page)
    const misread = await opened.page.evaluate(`(async (labels) => {
      const bytes = new Uint8Array(await (await fetch('test.bin')).arrayBuffer())
      const found = await digits.predict(labels.map((_, i) => Float32Array.from(bytes.subarray(784 * i, 784 * (i + 1)), (v) => v / 255)))
      return found.flatMap((prob, i) => (prob[labels[i]] < 0.3 ? [i] : [])).slice(0, 8)
    })(${JSON.stringify([...test0.label])})`) as number[]
    const lessons = [] as string[]
    for (const picture of misread) lessons.push(await lesson(opened.page, picture, test0.label[picture]!))
    // Brought into the middle of the sheet, some are read right.
    const percents = lessons.filter((said) => !said.startsWith('known')).map((said) => [...said.matchAll(/([\d.]+) %/g)].map((found) => Number(found[1])))
    expect(percents.length, lessons.join('\n')).toBeGreaterThanOrEqual(3)
    for (const [was, is] of percents) expect(is, lessons.join('\n')).toBeGreaterThanOrEqual(was!)
    expect(percents.filter(([, is]) => is! > 50).length, lessons.join('\n')).toBeGreaterThanOrEqual(2)
    expect(before - await right(opened.page)).toBeLessThanOrEqual(0.005 * TESTED)
    await opened.close()
  })

  const answer = `(async (base) => {
    const { open } = await import('./runtime.js')
    const net = await open(base, { batch: 1, programs: ['infer'] })
    const { prob } = await net.run({ image: Float32Array.from({ length: 784 }, (_, i) => (i % 28 > 11 && i % 28 < 16 ? 1 : 0)) })
    return { prob: [...prob], device: net.device.description }
  })`
  type Answer = { prob: number[]; device: string }

  test('its bundle opens in a worker and in an isolated page, with the same answers', async () => {
    const files = { 'worker.js': `onmessage = async ({ data }) => { try { postMessage(await ${answer}(data)) } catch (error) { postMessage(String(error)) } }` }
    const ask = (base: string): string => `new Promise((heard) => {
      const worker = new Worker('worker.js', { type: 'module' })
      worker.onmessage = ({ data }) => heard(data)
      worker.postMessage('${base}')
    })`
    const plain = await openPage(page(), { files })
    const isolated = await openPage(page(), { files, isolated: true })
    const here = await plain.page.evaluate(`${answer}('/mnist/')`) as Answer
    expect(here.device).toMatch(/1 thread/)
    expect(await plain.page.evaluate(ask('/mnist/'))).toEqual(here)
    expect(await plain.page.evaluate(ask('mnist'))).toEqual(here)
    const there = await isolated.page.evaluate(`${answer}('/mnist/')`) as Answer
    expect(there.device).toMatch(/[2-9] threads/)
    expect(there.prob).toEqual(here.prob)
    expect(((await isolated.page.evaluate(ask('/mnist/'))) as Answer).prob).toEqual(here.prob)
    expect([...plain.errors, ...isolated.errors]).toEqual([])
    await Promise.all([plain.close(), isolated.close()])
  })

  describe('on a host that lacks a file', () => {
    /** All files of the built page but one, from a server of ours: what is not there is not found, or answered with a page. */
    async function without(lacking: RegExp, html: boolean): Promise<string> {
      const names = await readdir(page(), { recursive: true, withFileTypes: true })
      const files = Object.fromEntries(await Promise.all(names.filter((entry) => entry.isFile()).map(async (entry) => {
        const path = join(entry.parentPath, entry.name)
        return [path.slice(page().length + 1).replaceAll('\\', '/'), await readFile(path)] as const
      })))
      const kept = Object.fromEntries(Object.entries(files).filter(([name]) => !lacking.test(name)))
      const lost = Object.fromEntries(Object.keys(files).filter((name) => lacking.test(name)).map((name) => [name, '<!doctype html><title>my app</title>']))
      expect(Object.keys(lost).length).toBeGreaterThan(0)
      const opened = await openPage(join(folder, 'nothing'), { files: html ? { ...kept, ...lost } : kept, path: 'index.html', before: WITHOUT_WEBGPU })
      await expect.poll(() => status(opened.page), { timeout: 60_000 }).not.toBe('loading')
      const said = (await status(opened.page))!
      await opened.close()
      return said
    }

    test.each([['weights', /weights\.safetensors$/], ['the manifest', /bundle\.json$/], ['a module', /\.wasm$/], ['a program', /wasm\/infer\.json$/]] as const)('%s: 404 is said with the address', async (_, lacking) => {
      const said = await without(lacking, false)
      expect(said).toMatch(/Error: /)
      expect(said).toMatch(/http:\/\/127\.0\.0\.1:\d+\/mnist\/\S*/)
      expect(said).toMatch(/404/)
    })

    test.each([['weights', /weights\.safetensors$/], ['the manifest', /bundle\.json$/], ['a module', /\.wasm$/], ['a program', /wasm\/infer\.json$/]] as const)('%s: a page instead of it is seen through', async (_, lacking) => {
      const said = await without(lacking, true)
      expect(said).toMatch(/Error: /)
      expect(said).toMatch(/http:\/\/127\.0\.0\.1:\d+\/mnist\/\S*/)
      expect(said).toMatch(/HTML/i)
    })
  })
})
