/**
 * `npm test`: installs, builds, checks types and layout, runs every test. The last line is `N passed, N failed`. A step that
 * fails counts as one failure, and the rest is run all the same. Arguments go to vitest: `npm test -- test/dsl`.
 */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { build, checkNode, install, node, npm, root } from './steps.mjs'

checkNode()
let passed = 0
let failed = 0

/** Counts a step that failed, and says which. */
function step(name, worked) {
  if (!worked) {
    failed++
    console.error(`failed: ${name}`)
  }
  return worked
}

if (step('npm ci', install())) {
  // Tests of what is built take it as it is: `test/cli/built.test.ts`.
  if (step('npm run build', build())) process.env.FUSENET_BUILT = '1'
  step('npm run typecheck', npm('run', '--silent', 'typecheck'))
  step('npm run lint', npm('run', '--silent', 'lint'))
  runTests()
}
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1

function runTests() {
  const folder = join(root, 'node_modules', '.cache', 'fusenet')
  const report = join(folder, `test-report-${process.pid}.json`)
  mkdirSync(folder, { recursive: true })
  const worked = node(
    join('node_modules', 'vitest', 'vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...process.argv.slice(2),
  )
  const before = failed
  try {
    const { testResults } = JSON.parse(readFileSync(report, 'utf8'))
    showSlowest(testResults)
    for (const file of testResults) {
      const count = (status) => file.assertionResults.filter((result) => result.status === status).length
      passed += count('passed')
      failed += count('failed')
      // A file that cannot be loaded, or whose hooks fail, has no failed test.
      if (file.status === 'failed' && count('failed') === 0) failed++
    }
  } catch (error) {
    console.error(`no report of the tests: ${error.message}`)
  }
  rmSync(report, { force: true })
  // Errors outside of any test, or no tests at all.
  if (failed === before) step('vitest', worked)
}

/** Lists the files whose tests take longest, in seconds of the clock. */
function showSlowest(files, most = 12) {
  const seconds = ({ startTime, endTime }) => (endTime - startTime) / 1000
  const slowest = files.toSorted((a, b) => seconds(b) - seconds(a)).slice(0, most)
  if (slowest.length < 2) return
  console.log('\nwhat takes longest, in seconds:')
  for (const file of slowest) console.log(`${seconds(file).toFixed(1).padStart(8)}  ${relative(root, file.name)}`)
  console.log()
}
