#!/usr/bin/env node
import { fileError } from '../runtime/loading/file-error.ts'
import { main } from './command.ts'
import { EXIT } from './exit.ts'
import { processTerminal } from './terminal.ts'

// The GPU object keeps a process alive for as long as anything refers to it, so the end is said aloud; but only once the
// pipes have taken everything, or a reader would miss the last lines.
const terminal = processTerminal()
const code = await main(process.argv.slice(2), terminal)
const flush = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((done) => {
    stream.write('', () => done())
  })
await flush(process.stdout)
const failure = terminal.outFailure?.()
if (failure) process.stderr.write(`error: ${fileError(failure, 'standard output', 'written')?.message ?? failure.message}\n`)
await flush(process.stderr)
process.exit(failure && code === EXIT.done ? EXIT.input : code)
