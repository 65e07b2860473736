import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const worker = fileURLToPath(new URL('worker.mjs', import.meta.url))

/** Answers of so many processes to messages, as they come; none is sent after `until`, of the clock of `performance`. A process that dies ends all. */
export async function eachAnswer(messages, { jobs, until }, take) {
  const left = [...messages]
  const children = []
  const run = () =>
    new Promise((done, failed) => {
      const child = fork(worker, { execArgv: ['--max-semi-space-size=64'] })
      children.push(child)
      let current
      const next = () => {
        current = performance.now() < until ? left.shift() : undefined
        if (current) child.send(current.message)
        else child.disconnect()
      }
      child.on('message', (answer) => {
        take(current, answer)
        next()
      })
      child.on('error', failed)
      child.on(
        'exit',
        (
          code,
          signal,
        ) => (current ? failed(new Error(`a process that compiled ${current.label} ended by ${signal ?? `code ${code}`}`)) : done()),
      )
      next()
    })
  try {
    await Promise.all(Array.from({ length: Math.min(jobs, left.length) }, run))
  } finally {
    for (const child of children) child.kill()
  }
}
