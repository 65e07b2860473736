import { expect, test } from 'vitest'
import { TARGET_NAMES } from '../../bundle/plans.ts'
import { TARGETS } from '../../compiler/targets/targets.ts'

test('each kind of plan has its target, in the order in which they are told', () => {
  expect(TARGETS.map(({ name }) => name)).toEqual(TARGET_NAMES)
})
