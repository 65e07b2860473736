import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

/**
 * A process that compiles with the build in the folder of its argument, when it is told to: `{ text, style, clear }`, `clear` for an empty cache.
 * Answers with milliseconds: of time, of processor time of all its threads, and of that of the thread that compiles alone, without the engine's
 * that optimize and collect garbage beside it (`thread`, where the system tells).
 */
const module = (path) => import(pathToFileURL(`${process.argv[2]}/dist/compiler/${path}`))
const { compile } = await module('index.js')
// Builds of before have it elsewhere, or remember nothing.
const { clearCompileCache = () => {} } = await module('compile-cache.js').catch(() => module('targets/compile-cache.js')).catch(() => ({}))

function threadMs() {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6
  } catch {
    return NaN
  }
}

process.on('message', ({ text, style, clear }) => {
  if (clear) clearCompileCache()
  const [cpu, thread, wall] = [process.cpuUsage(), threadMs(), performance.now()]
  compile(text, { style })
  process.send({ wall: performance.now() - wall, thread: threadMs() - thread, cpu: process.cpuUsage(cpu).user / 1000 })
})
process.send('ready')
