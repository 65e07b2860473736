import { SOFTWARE_PLAN, WEBGPU } from '../../bundle/plans.ts'
import { webgpu } from '../../runtime/index.ts'
import { softwareGpu } from '../devices/webgpu.ts'
import { goldenSuite } from './suite.ts'

// What graphics hardware is given, staging and all, which any adapter runs; beside it what a software adapter is given. Both spellings run on
// the CPU. One device for both plans: what is the same kernel is compiled once.
goldenSuite('webgpu', async () => webgpu({ gpu: await softwareGpu() }), {
  targets: [WEBGPU],
  beside: [SOFTWARE_PLAN],
  bothSpellings: false,
  fewTrainings: true,
})
