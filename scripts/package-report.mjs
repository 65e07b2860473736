/**
 * `node scripts/package-report.mjs` packs what would be published, installs it in an empty project and uses it there as people do: compilers,
 * bundlers, a server without a window, the command. It prints sizes, and fails where a check does. `test/end-to-end/package.test.ts` runs
 * the same checks.
 */
import { realpathSync, rmSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { CONTENTS } from './package-report/contents.mjs'
import { NODE } from './package-report/node.mjs'
import { PAGES } from './package-report/pages.mjs'
import { prepare } from './package-report/project.mjs'
import { TYPES } from './package-report/types.mjs'

export { prepare }
/** What is checked, and a figure where there is one. They throw an Error that says what is wrong. */
export const CHECKS = { ...CONTENTS, ...TYPES, ...PAGES, ...NODE }

if (process.argv[1] && import.meta.url === pathToFileURL(realpathSync(process.argv[1])).href) {
  const prepared = prepare()
  for (const [name, check] of Object.entries(CHECKS)) {
    try {
      const figure = await check(prepared)
      console.log(`ok      ${name}${figure ? `\n        ${figure}` : ''}`)
    } catch (error) {
      process.exitCode = 1
      console.log(`FAILED  ${name}\n        ${error.message}`)
    }
  }
  if (process.argv.includes('--keep')) console.log(prepared.folder)
  else rmSync(prepared.folder, { recursive: true, force: true })
}
