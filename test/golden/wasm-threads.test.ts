import { wasm } from '../../runtime/index.ts'
import { goldenSuite } from './suite.ts'

// The module is that of one thread, where both spellings run.
goldenSuite('wasm, 2 threads', () => wasm({ threads: 2 }), { bothSpellings: false })
