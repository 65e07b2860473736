import { describe, expect, test } from 'vitest'
import { KernelBuilder } from '../../../compiler/codegen/builder.ts'
import type { Loop, LoopNest } from '../../../compiler/codegen/cpu/loop-nest.ts'
import { TileLoops } from '../../../compiler/codegen/cpu/tile-loops.ts'
import * as operands from '../../../compiler/codegen/operands.ts'
import { float } from '../../../compiler/codegen/operands.ts'
import { Point } from '../../../compiler/codegen/point.ts'
import * as statements from '../../../compiler/codegen/statements.ts'
import { type Axis, axis, type Index, index, plus, times } from '../../../compiler/ir/affine.ts'
import { tensor } from '../../../compiler/ir/tensor.ts'
import { runKernelFunction } from '../run-kernel-function.ts'

/** How often loops come to each element; `placeOf` tells the element of a point, `block` counts the tasks, with their images. */
function visits(
  loops: readonly Loop[],
  exact: boolean,
  count: number,
  placeOf: (point: Point) => Index,
  block: Axis = axis('block', 1),
  images?: LoopNest['images'],
): number[] {
  const builder = new KernelBuilder('k')
  builder.openScope()
  const task = builder.loopVariable(block, 1, 0)
  const start = Point.empty.with(block, index(task))
  new TileLoops(builder, images).emit(loops, exact, [start], (points) => {
    for (const point of points) {
      for (const p of point.lanes ? [0, 1, 2, 3].map((lane) => point.lane(lane)) : [point]) {
        const at = builder.indexOperand(placeOf(p))
        const more = operands.operation('add', [operands.load(0, at), float(1)], 'f32', 1)
        builder.innermost.statements.push(statements.store(0, at, more))
      }
    }
  })
  const y = tensor('y', [count])
  const numbers = new Float64Array(count)
  const grid = [{ name: builder.name(task), extent: task.extent }]
  const binding = { name: 'y', tensor: y, access: 'read_write' as const }
  runKernelFunction(
    { name: 'k', layers: [], summary: [], bindings: [binding], packBuffers: [], grid, body: builder.scopes[0]!.statements },
    new Map([[y, numbers]]),
    count,
  )
  return [...numbers]
}

describe.each([1, 3, 4, 7, 16, 21])('an axis of %i points', (extent) => {
  const a = axis('a', extent)
  const loops = [1, 2, 3, 5].flatMap((tile): Loop[] => [{ axis: a, tile }, { axis: a, tile, vectorized: true }])
    .filter(({ vectorized }) => !vectorized || extent >= 4)

  test('tiles cover each point, and where they divide the axis each of them once', () => {
    for (const loop of loops) {
      const found = visits([loop], false, extent, (p) => p.get(a)!)
      expect(Math.min(...found)).toBeGreaterThanOrEqual(1)
      if (extent % (loop.tile * (loop.vectorized ? 4 : 1)) === 0) expect(new Set(found)).toEqual(new Set([1]))
    }
  })

  test('what must not be computed twice is not', () => {
    for (const loop of loops) expect(new Set(visits([loop], true, extent, (p) => p.get(a)!))).toEqual(new Set([1]))
  })
})

test.each([1, 2, 3, 4])('no tile of %i images begins behind the batch, and each image is in one', (tile) => {
  const [image, block] = [axis('image', 4), axis('block', { chunks: 4 })]
  const images = { axis: image, first: times(block, 4) }
  // Six images: the second block of four holds two.
  const found = visits([{ axis: image, tile }], false, 6, (p) => plus(times(p.get(block)!, 4), p.get(image)!), block, images)
  expect(Math.min(...found)).toBeGreaterThanOrEqual(1)
})
