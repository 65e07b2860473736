/** A process that compiles what it is told, with the compiler that it is told. Its answer is hashes alone: bundles are megabytes. */
import { pathToFileURL } from 'node:url'
import { hashesOrError } from './bundle-hash.mjs'

process.on('message', async ({ compiler, text, options }) => {
  const { compile } = await import(pathToFileURL(compiler).href)
  const hashes = hashesOrError(compile, text, options)
  // Who asked may have been ended meanwhile.
  process.send({ hashes }, () => {})
})
process.on('disconnect', () => process.exit())
