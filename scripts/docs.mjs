/*
 * npm run docs: builds the site of docs/ to docs/.vitepress/dist, files that any server serves, with a search that needs none.
 * `npm run docs -- --dev` shows it while it is written.
 */
import { join } from 'node:path'
import { build, createServer } from 'vitepress'
import { writeLibraryPages } from './library-pages.mjs'

const docs = join(import.meta.dirname, '../docs')
await writeLibraryPages(join(docs, 'library'))
if (process.argv.includes('--dev')) {
  const server = await createServer(docs)
  await server.listen()
  server.printUrls()
} else {
  await build(docs)
  console.log('the site is in docs/.vitepress/dist')
}
