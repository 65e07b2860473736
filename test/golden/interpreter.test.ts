import { interpreter } from '../../compiler/index.ts'
import { goldenSuite } from './suite.ts'

goldenSuite('interpreter', async () => interpreter(), { float64: true })
