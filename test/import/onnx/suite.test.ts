import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { OPSETS, onnxOperators } from '../../../import/onnx/operators/table.ts'
import { type CaseResult, ROOMS, runRoom, SUITE } from './suite.ts'

const PAGE = join(import.meta.dirname, '../../../docs/onnx-operators.md')

const ALIGNED =
  'Resize: the case keeps no corner: it divides by the size before it is rounded down, 2.4; onnxruntime by the size itself, as here'

/** Cases whose numbers cannot be equal, and why. */
const DIFFERS: Readonly<Record<string, string>> = {
  test_training_dropout: 'Dropout: what it drops is drawn by chance',
  test_training_dropout_default: 'Dropout: what it drops is drawn by chance',
  test_resize_downsample_scales_linear_align_corners: ALIGNED,
  test_resize_downsample_scales_cubic_align_corners: ALIGNED,
}

if (!existsSync(SUITE)) {
  test.skip(`${SUITE} is not here: apt-get install libonnx-testdata brings ONNX's own cases`, () => {})
} else {
  test('the cases of ONNX: what passes and what is refused is what docs/onnx-operators.md says', async () => {
    const results = (await Promise.all(ROOMS.map(runRoom))).flat()
    expect(results.filter(({ name, outcome }) => outcome === 'differs' && !DIFFERS[name])).toEqual([])
    const page = pageOf(results)
    if (process.env['UPDATE_ONNX_CASES']) writeFileSync(PAGE, page)
    expect(readFileSync(PAGE, 'utf8'), 'UPDATE_ONNX_CASES=1 npx vitest run test/import/onnx/suite.test.ts writes it anew').toBe(page)
  }, 120_000)
}

function pageOf(results: readonly CaseResult[]): string {
  const told = results.map((
    result,
  ) => (result.outcome === 'differs' ? { ...result, outcome: 'refused', reason: DIFFERS[result.name]! } : result))
  const passes = told.filter(({ outcome }) => outcome === 'passes')
  const refused = told.filter(({ outcome, listed }) => outcome !== 'passes' && listed)
  const reasons = [...new Set(refused.map(({ reason }) => reason))].sort()
  const operators = (layers: boolean): string =>
    [...onnxOperators].filter(([, rows]) => rows.some((row) => row.map) === layers).map(([op]) => `\`${op}\``).sort().join(', ')
  const names = (of: readonly { readonly name: string }[]): string => of.map(({ name }) => `\`${name.replace(/^test_/, '')}\``).join(', ')
  return `# ONNX: operators and cases

<!-- Made by \`UPDATE_ONNX_CASES=1 npx vitest run test/import/onnx/suite.test.ts\`: change the reader or the test. -->

What [\`fusenet import\`](import.md) reads of ONNX, opsets ${OPSETS.first} to ${OPSETS.last}, as operators of layers:

${operators(true)}

Of constants and shapes these too; they are gone when a model is read:

${operators(false)}

ONNX brings cases with inputs and expected outputs (Debian's \`libonnx-testdata\` 1.12). Each is imported, compiled and run in float64; weights, shapes and axes, which the cases have as inputs, are given as initializers.
${passes.length} pass, within 2e-5 of the largest expected value. ${
    told.length - passes.length - refused.length
  } use operators that are not read.

## Refused

${refused.length} cases of operators of layers, by reason.

| reason | cases |
| --- | --- |
${reasons.map((reason) => `| ${reason.replaceAll('|', '\\|')} | ${names(refused.filter((one) => one.reason === reason))} |`).join('\n')}

## Passed

${ROOMS.map((room) => `**${room}**: ${names(passes.filter((one) => one.room === room))}`).join('\n\n')}
`
}
