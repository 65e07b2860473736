import { wasm } from '../../runtime/index.ts'
import { goldenSuite } from './suite.ts'

goldenSuite('wasm', () => wasm({ threads: 1 }))
