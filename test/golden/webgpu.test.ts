import { webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { goldenSuite } from './suite.ts'

goldenSuite('webgpu', async () => webgpu({ gpu: await softwareGpu() }), false)
