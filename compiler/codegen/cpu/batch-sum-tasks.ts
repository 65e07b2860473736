import { divisors } from '../../ir/divisors.ts'
import type { Axis } from '../../ir/affine.ts'
import { CPU, tailWaste } from './cost-model.ts'
import type { MicroTile } from './micro-tile.ts'

/** The numbers of threads between which tasks are to be shared. */
const THREADS = [2, 4, 8]
/** Tasks more than are wanted, so that each has fewer products, as a factor. */
const MORE_TASKS = 1.5
/** What one thread takes longer weighs so many times what several threads gain. */
const OF_ONE_THREAD = 10

/** The part of their time that threads compute, on average, where one takes as many of the tasks as it must. */
const balance = (tasks: number): number =>
  THREADS.reduce((sum, threads) => sum + tasks / threads / Math.ceil(tasks / threads), 0) / THREADS.length

/**
 * The block of one of its axes that cuts a sum over nothing but the batch into tasks: the gradient of an inner product's weights. The batch counts no tasks
 * there, so these are all that threads share, and three of them keep two threads busy for three quarters of the time. `wanted`: tasks of enough products.
 * Undefined where no block is better than the whole. Blocks of both axes took one thread 1.03 to 1.05 of the time: both factors are packed for each task.
 */
export function cutBatchSum(
  { broadcastAxis, broadcastCount, vectorAxis, vectorCount }: MicroTile,
  wanted: number,
): [Axis, number] | undefined {
  if (wanted < 2) return undefined
  const axes: readonly (readonly [Axis | undefined, number])[] = [[broadcastAxis, broadcastCount], [vectorAxis, CPU.lanes * vectorCount]]
  let best: [Axis, number] | undefined
  let most = balance(1)
  for (const [a, tile] of axes) {
    const all = (a?.extent ?? 1) as number
    // A tile that ends behind the block computes points twice; the other factor is packed for each block.
    const cost = (size: number): number => tailWaste({ extent: size }, tile) * (1 + 1 / size)
    for (const size of divisors(all).reverse().slice(1)) {
      const tasks = all / size
      if (!a || tasks > Math.min(CPU.mostTasks, MORE_TASKS * wanted)) break
      const score = balance(tasks) * (1 - OF_ONE_THREAD * (cost(size) / cost(all) - 1))
      if (score > most) [best, most] = [[a, size], score]
    }
  }
  return best
}
