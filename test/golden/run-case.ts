import type { Comparison, Run } from './comparison.ts'
import type { GoldenCase } from './golden-file.ts'
import { runNet } from './run-net.ts'
import { runSolver } from './run-solver.ts'
import { runStatistics } from './run-statistics.ts'
import { runTraining } from './run-training.ts'

/** Runs a case and compares every tensor that it expects. */
export async function runCase(golden: GoldenCase, run: Run): Promise<Comparison[]> {
  switch (golden.kind) {
    case 'net':
      return runNet(golden, run)
    case 'bn_stats':
      return runStatistics(golden, run)
    case 'solver':
      return runSolver(golden, run)
    case 'train':
      return runTraining(golden, run)
    default:
      throw new Error(`${golden.name}: ${golden.kind} is not run on a device`)
  }
}
