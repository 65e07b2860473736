import { wasm } from '../../runtime/index.ts'
import { goldenSuite } from './suite.ts'

// One thread and several run the same module.
goldenSuite('wasm', () => Promise.all([wasm({ threads: 1 }), wasm({ threads: 2 })]))
