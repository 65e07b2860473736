import { webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { goldenSuite } from './suite.ts'

// What graphics hardware is given, staging and all; any adapter runs it. Both spellings run on the CPU.
goldenSuite('webgpu', async () => webgpu({ gpu: await softwareGpu() }), { targets: ['webgpu'], bothSpellings: false })
