import { wasm } from '../../runtime/index.ts'
import { goldenSuite } from './suite.ts'

goldenSuite('wasm, 2 threads', () => wasm({ threads: 2 }), false)
