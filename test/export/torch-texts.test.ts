import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

test('the texts of Python that the exporter carries are those of export/torch/python', async () => {
  const { moduleText } = await import('../../scripts/torch-python.mjs')
  const carried = readFileSync(new URL('../../export/torch/python-texts.ts', import.meta.url), 'utf8')
  expect(carried === moduleText(), 'stale: node scripts/torch-python.mjs').toBe(true)
})
