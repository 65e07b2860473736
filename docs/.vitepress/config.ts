import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitepress'
import { sidebar } from './sidebar.ts'

const root = join(import.meta.dirname, '../..')
const { version, repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string, repository?: { url: string } }
const code = repository?.url.replace(/^git\+/, '').replace(/\.git$/, '')

/** The colours of `.net` blocks are those that editors have. */
const grammar = join(root, 'editors/fusenet.tmLanguage.json')
const net = existsSync(grammar) ? [{ ...JSON.parse(readFileSync(grammar, 'utf8')), name: 'net' }] : []

export default defineConfig({
  title: 'fusenet',
  description: 'Small nets as text, compiled to fused kernels that infer and train in a page and in Node.',
  lang: 'en',
  // Where the site lies below a host: FUSENET_DOCS_BASE=/fusenet/ npm run docs.
  base: process.env['FUSENET_DOCS_BASE'] ?? '/',
  cleanUrls: false,
  lastUpdated: false,
  // Every link within the site must have a page.
  ignoreDeadLinks: false,
  markdown: { languages: net, languageAlias: { prototxt: 'txt', math: 'txt', ...(net.length > 0 ? {} : { net: 'js' }) } },
  themeConfig: {
    siteTitle: `fusenet ${version}`,
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'First hour', link: '/first-hour' },
      { text: 'Language', link: '/language/' },
      { text: 'Library', link: '/library/' },
      { text: 'Command', link: '/command' },
    ],
    sidebar,
    ...(code ? { socialLinks: [{ icon: 'github', link: code }] } : {}),
  },
})
