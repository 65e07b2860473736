#!/usr/bin/env node
import { main } from './command.ts'
import { processTerminal } from './terminal.ts'

// The GPU object keeps a process alive for as long as anything refers to it, so the end is said aloud; but only once the
// pipes have taken everything, or a reader would miss the last lines.
const code = await main(process.argv.slice(2), processTerminal())
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise<void>((done) => { stream.write('', () => done()) })))
process.exit(code)
