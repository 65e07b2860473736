import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { doors, pages, root } from './docs/pages.ts'

const site = join(root, 'docs/.vitepress/dist')
let html: Map<string, string>
beforeAll(async () => {
  // Fails where a page has a link within the site that leads nowhere.
  await promisify(execFile)(process.execPath, ['scripts/docs.mjs'], { cwd: root })
  const files = (await readdir(site, { recursive: true })).map((file) => file.replaceAll('\\', '/')).filter((file) =>
    file.endsWith('.html')
  )
  html = new Map(await Promise.all(files.map(async (file) => [file, await readFile(join(site, file), 'utf8')] as const)))
})

test('every page is built, the library from its doc comments too', async () => {
  const wanted = (await pages()).filter(({ file }) => file.startsWith('docs/')).map(({ file }) =>
    file.replace(/^docs\/(.*)\.md$/, '$1.html')
  )
  expect(wanted.filter((file) => !html.has(file))).toEqual([])
  expect(html.get('library/fusenet/runtime.html')).toMatch(/A bundle that is loaded on a device/)
  // Every name that users import, as they write it.
  for (const door of (await doors()).keys())
    if (door !== 'fusenet/vite/hot') expect(html.get('library/index.html')).toContain(`<code>${door}</code>`)
})

test('what links to a heading finds it', () => {
  const wrong: string[] = []
  for (const [file, text] of html) {
    for (const [, target] of text.matchAll(/href="([^"]*#[^"]+)"/g)) {
      if (/^https?:/.test(target!)) continue
      const [path, anchor] = target!.split('#') as [string, string]
      const to = path === '' ? file : path.startsWith('/') ? path.slice(1) || 'index.html' : normalize(join(dirname(file), path))
      if (html.get(to)?.includes(`id="${decodeURIComponent(anchor)}"`) === false) wrong.push(`${file}: ${target}`)
    }
  }
  expect(wrong).toEqual([])
})

test('the search has its index in the site', async () => {
  const chunks = await readdir(join(site, 'assets/chunks'))
  const index = await readFile(join(site, 'assets/chunks', chunks.find((name) => name.startsWith('@localSearchIndex'))!), 'utf8')
  expect(index).toMatch(/Winograd/i)
})
