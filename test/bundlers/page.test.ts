import { createServer, type ViteDevServer } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import fusenet from '../../bundlers/vite.ts'
import { templateFiles } from '../../cli/templates.ts'
import { chromiumRunsHere, openUrl, type Opened } from '../devices/chromium.ts'
import { alias, type Project, project } from './project.ts'

/* What `fusenet init` begins, served by Vite, in a real browser: it runs, learns, and follows its net. */

describe.runIf(chromiumRunsHere)('the page of the template', () => {
  let page: Project
  let vite: ViteDevServer
  let opened: Opened
  let text: string
  const status = (): Promise<string> => opened.page.evaluate(`document.querySelector('output').value`) as Promise<string>
  const taken = (): number => opened.console.filter((line) => /spirals changed: \d+ parameters kept/.test(line)).length
  const says = (what: RegExp) => expect.poll(status, { timeout: 60_000 }).toMatch(what)

  beforeAll(async () => {
    const files = await templateFiles('vite', 'my-net')
    text = files.get('src/spirals.net')!
    page = project(Object.fromEntries(files))
    vite = await createServer({
      root: page.root,
      configFile: false,
      logLevel: 'silent',
      plugins: [fusenet()],
      resolve: { alias },
      server: { host: '127.0.0.1', port: 0, fs: { strict: false } },
    })
    await vite.listen()
    opened = await openUrl(vite.resolvedUrls!.local[0]!)
  })
  afterAll(async () => {
    await opened?.close()
    await vite?.close()
    page?.remove()
  })

  test('paints, and learns on the page', async () => {
    await says(/^on wasm$/)
    await opened.page.click('button')
    await says(/^(9\d|100)\.\d % are right$/)
  })

  test('takes over a changed net without a reload, with what it learned', async () => {
    await opened.page.evaluate('globalThis.samePage = true')
    page.write('src/spirals.net', text.replace('fc(2)', 'fc(2) as last'))
    await expect.poll(
      () => opened.console.filter((line) => /spirals changed: 4 parameters kept, .*last\.weight, last\.bias$/.test(line)).length,
      { timeout: 60_000 },
    ).toBe(2)
    page.write('src/spirals.net', text.replace('fc(2)', 'fcc(2)'))
    const overlay = await opened.page.waitForSelector('vite-error-overlay')
    expect(await overlay.evaluate((element: any) => element.shadowRoot.textContent)).toMatch(
      /did you mean `fc`[^]*spirals\.net:7:22[^]*\^\^\^ here/,
    )
    const before = taken()
    page.write('src/spirals.net', text)
    await opened.page.waitForSelector('vite-error-overlay', { state: 'detached' })
    // Both of the page's nets follow before the next change, which would be taken over together with this one.
    await expect.poll(taken, { timeout: 60_000 }).toBe(before + 2)
    expect(await opened.page.evaluate('globalThis.samePage')).toBe(true)
    // The browser's own word on the module that had a mistake.
    expect(opened.errors.filter((error) => !/spirals\.net\?.*: 500$/.test(error))).toEqual([])
  })

  test('says why a training stopped, and trains again', async () => {
    page.write('src/spirals.net', text.replace('lr: 0.01', 'lr: 1e38'))
    const changed = /spirals changed: 6 parameters kept/
    await expect.poll(() => opened.console.filter((line) => changed.test(line)).length, { timeout: 60_000 }).toBeGreaterThan(1)
    await opened.page.click('button')
    await says(/training stops at update \d+: .*try a lower rate/)
    expect(await opened.page.evaluate(`document.querySelector('button').disabled`)).toBe(false)
  })

  test('says why it does not start', async () => {
    await opened.page.addInitScript(`WebAssembly.compile = WebAssembly.instantiate = async () => { throw new Error('not allowed here') }`)
    await opened.page.reload()
    await says(/not allowed here/)
  })
})
