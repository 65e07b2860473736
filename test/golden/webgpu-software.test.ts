import { webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { goldenSuite } from './suite.ts'

goldenSuite('webgpu-software', async () => webgpu({ gpu: await softwareGpu() }), { bothSpellings: false, brief: true })
