import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll } from 'vitest'
import { chromiumFlags, headlessChromium } from '../../scripts/software-adapter.mjs'
import { type Serving, serve } from './serve.ts'

let browser: Promise<Browser> | undefined
const closing: (() => Promise<void>)[] = []

/** A page in a headless Chromium whose WebGPU runs on SwiftShader. */
export interface Opened {
  /**
   * The page, for clicking and looking. Hand `page.evaluate` a *text* where it imports modules or calls what is not in
   * it: the text of a function has been rewritten by the test runner, and the page has none of its helpers.
   */
  readonly page: Page
  readonly url: string
  /** What the page wrote to its console, a line a call: 'log: hello'. */
  readonly console: readonly string[]
  /** Exceptions that nobody caught, and what was asked for and not there. */
  readonly errors: readonly string[]
  close(): Promise<void>
}

/** Tests that open pages are for machines that Chromium is built for: `test.runIf(chromiumRunsHere)`. */
export { chromiumRunsHere } from '../../scripts/software-adapter.mjs'

/** What a page runs before anything of its own. */
interface Before {
  readonly before?: string
}

/** Serves `folder` (and `files`) and opens `path` of it; by default a page with nothing on it. Closed after the test file at the latest. */
export async function openPage(
  folder: string,
  { path = 'blank.html', before, ...serving }: Serving & Before & { readonly path?: string } = {},
): Promise<Opened> {
  const { url, close } = await serve(folder, {
    ...serving,
    files: { 'blank.html': '<!doctype html><title>blank</title>', ...serving.files },
  })
  return openUrl(new URL(path, url).href, { url, close, before })
}

/** Opens what another server serves, which is closed with the page. */
export async function openUrl(
  address: string,
  { url = address, close: closeServer, before }: Before & { readonly url?: string; close?(): Promise<void> } = {},
): Promise<Opened> {
  const page = await (await sharedBrowser()).newPage()
  if (before !== undefined) await page.addInitScript(before)
  const said: string[] = []
  const errors: string[] = []
  page.on('console', (message) => {
    said.push(`${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', (error) => {
    errors.push(String(error))
  })
  page.on('response', (response) => {
    if (response.status() >= 400) errors.push(`${response.url()}: ${response.status()}`)
  })
  const close = async (): Promise<void> => {
    await page.close()
    await closeServer?.()
  }
  closing.push(close)
  await page.goto(address)
  return { page, url, console: said, errors, close }
}

/** One browser a test file; pages share nothing but it. */
function sharedBrowser(): Promise<Browser> {
  return browser ??= headlessChromium().then(({ executable, environment }) =>
    chromium.launch({
      executablePath: executable,
      env: { ...process.env, ...environment } as Record<string, string>,
      // It opens no page but ours, and containers rarely let it have a sandbox.
      chromiumSandbox: false,
      // Pages that ask for a camera get one that shows a disc, turning and opening like a mouth.
      args: [...chromiumFlags, '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
    })
  )
}

afterAll(async () => {
  await Promise.all(closing.splice(0).map((close) => close().catch(() => {})))
  await (await browser)?.close()
  browser = undefined
})
