import { rmSync } from 'node:fs'
import { afterAll, beforeAll, test } from 'vitest'
import { CHECKS, type Prepared, prepare } from '../../scripts/package-report.mjs'

/** What would be published, packed and installed in an empty project: one installation for all that is asked of it. */
let prepared: Prepared
beforeAll(() => {
  prepared = prepare()
})
afterAll(() => {
  if (prepared) rmSync(prepared.folder, { recursive: true, force: true })
})

test.each(Object.entries(CHECKS))('%s', async (_, check) => {
  const figure = await check(prepared)
  if (figure) console.log(figure)
})
