import { expect, test } from 'vitest'
import { expectClose, freshBuffers, graphOf, net, noise, opsOf, passed, programOf, reasonsOf, run } from './nets.ts'

// A convolution with two readers: nothing folds into it.
const BODY = net('a = x -> conv(3, 3) as c\n output y = a -> batch_norm as b -> relu\n output z = a -> tanh')

test('what was not folded is prepared: coefficients once, and no root an element', () => {
  const { graph } = programOf(BODY, 'infer')
  expect(graph.prepare!.map(({ op }) => op)).toEqual(['fold_statistics'])
  expect(opsOf(graph)).toEqual(['conv', 'normalize_folded', 'relu', 'tanh'])
})

test('the numbers are those of the layer', () => {
  const base = graphOf(BODY)
  const set = { 'b.running_mean': [0.5, -1, 2], 'b.running_var': [4, 0.25, 1], 'b.gamma': [2, 1, -1], 'b.beta': [0, 1, 3] }
  const outcome = (without?: string): number[] =>
    run(passed(base, 'infer', without ? { without } : {}).graph, freshBuffers(base, 2, set), {
      batch: 2,
      inputs: { x: noise(288, 3) },
    })['y']!
  expectClose(outcome(), outcome('prepare-batch-norm'))
})

test.each([
  ['split style', net('style split\n output y = x -> batch_norm as b'), []],
  ['statistics of the batch', net('output y = x -> batch_norm(stats: batch) as b'), ['test batches use their own statistics']],
])('left alone: %s', (_, text, reasons) => {
  const result = programOf(text, 'infer')
  expect(result.graph.prepare).toBeUndefined()
  expect(reasonsOf(result, 'b').slice(-1)).toEqual(reasons)
})
