import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

test('a script whose reader is slow ends when all of its text has been taken', () => {
  const script = `import { end } from ${JSON.stringify(new URL('../bench/end.mjs', import.meta.url).href)}
  console.log('x'.repeat(1e6))
  console.error('y'.repeat(1e6))
  await end(3)`
  // More than a pipe holds, 64 KB.
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    maxBuffer: 1e7,
  })
  expect([status, stdout.length, stderr.length]).toEqual([3, 1e6 + 1, 1e6 + 1])
})
