import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { expect, test } from 'vitest'
import { VERBS } from '../../cli/verbs/index.ts'
import { sidebar } from '../../docs/.vitepress/sidebar.ts'
import { commandPage } from './docs/command-page.ts'
import { pages, root } from './docs/pages.ts'

const all = await pages()
const withoutBlocks = (text: string): string => text.replace(/^ *```[^]*?^ *```$/gm, '')

/** Anchors of the headings as the site and code hosts make them. */
function anchors(text: string): Set<string> {
  return new Set(
    [...withoutBlocks(text).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
      heading!.replace(/\[(.*?)\]\(.*?\)/g, '$1').toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s+/g, '-')
    ),
  )
}

test('every link leads somewhere', () => {
  const wrong: string[] = []
  for (const { file, text } of all) {
    for (const [, target] of withoutBlocks(text).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target!)) {
        if (!URL.canParse(target!)) wrong.push(`${file}: ${target}`)
        continue
      }
      const [path, anchor] = target!.split('#') as [string, string?]
      const to = path === '' ? file : normalize(join(dirname(file), path)).replaceAll('\\', '/')
      if (to.startsWith('docs/library')) continue // written as the site is built, which looks at it
      const page = all.find((one) => one.file === to)
      if (!page && !existsSync(join(root, to))) wrong.push(`${file}: ${target} is not there`)
      else if (anchor && page && !anchors(page.text).has(anchor)) wrong.push(`${file}: ${target} has no such heading`)
    }
  }
  expect(wrong).toEqual([])
})

test('every page is in the list at the side, and the list has no others', () => {
  const listed = sidebar.flatMap(({ items }) => items.map(({ link }) => `docs${link.endsWith('/') ? `${link}index` : link}.md`)).filter((
    file,
  ) => !file.startsWith('docs/library/'))
  const written = all.map(({ file }) => file).filter((file) => file.startsWith('docs/') && file !== 'docs/index.md')
  expect(listed.sort()).toEqual(written.sort())
})

test('the page of the command has every verb and option as the help has them', async () => {
  const page = all.find(({ file }) => file === 'docs/command.md')!
  const { text, verbs } = commandPage(page.text)
  if (process.env['UPDATE_DOCS']) await writeFile(join(root, page.file), text)
  else expect(page.text).toBe(text)
  expect(verbs.sort()).toEqual(VERBS.map(({ name }) => name).sort())
})
