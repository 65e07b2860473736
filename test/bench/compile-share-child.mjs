import { pathToFileURL } from 'node:url'

/**
 * A process that compiles with the build in the folder of its argument, when it is told to: `{ text, style, clear }`, `clear` for an empty cache.
 * Answers with milliseconds: of time, and of processor time of all its threads.
 */
const module = (path) => import(pathToFileURL(`${process.argv[2]}/dist/compiler/${path}`))
const { compile } = await module('index.js')
// Builds of before have it elsewhere, or remember nothing.
const { clearCompileCache = () => {} } = await module('compile-cache.js').catch(() => module('targets/compile-cache.js')).catch(() => ({}))

process.on('message', ({ text, style, clear }) => {
  if (clear) clearCompileCache()
  const [cpu, wall] = [process.cpuUsage(), performance.now()]
  compile(text, { style })
  process.send({ wall: performance.now() - wall, cpu: process.cpuUsage(cpu).user / 1000 })
})
process.send('ready')
