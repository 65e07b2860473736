import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { progress } from '../../cli/progress.ts'
import { Screen, showBytes, showCount, showDuration, showFlops } from '../../cli/screen.ts'

function screenOf(isTTY: boolean, json = false, columns = 100): { screen: Screen; said: () => string } {
  let said = ''
  const stream = {
    write(text: string) {
      said += text
      return true
    },
    isTTY,
    columns,
  }
  return {
    screen: new Screen({ out: stream, err: stream, env: {}, readInput: async () => '', onInterrupt: () => () => {} }, json),
    said: () => said,
  }
}

test('on a terminal a bar with loss, rate and ETA, gone at the end', () => {
  const { screen, said } = screenOf(true)
  const bar = progress(screen, 'train', 10)
  bar.update(5, 500, 'loss 0.25')
  bar.line('step 5: test accuracy 99 %')
  bar.stop()
  bar.stop()
  expect(said()).toMatch(/train .*5\/10 loss 0\.25 .*\d+ samples\/s {2}ETA \d+:\d\d/)
  expect(said()).toContain('\r\u001b[Kstep 5: test accuracy 99 %\n')
  expect(said()).toMatch(/\r\u001b\[K$/)
})

test.each([60, 30, 20])('on a terminal of %i columns no line wraps', (columns) => {
  const { screen, said } = screenOf(true, false, columns)
  progress(screen, 'train', 1000).update(500, 50000, 'loss 0.25')
  const line = stripVTControlCharacters(said()).trim()
  expect(line).toMatch(/^train 500\/1000/)
  expect(line.length).toBeLessThan(columns)
})

test('columns of a table stand below one another, in any script and color', () => {
  const { screen, said } = screenOf(true)
  screen.table(['class', 'n'], [['猫', 5], [screen.colors.dim('dog'), 12], ['', 1]], [1])
  // A Chinese character takes two places.
  expect(stripVTControlCharacters(said())).toBe('class   n\n猫      5\ndog    12\n        1\n')
})

test('elsewhere no control characters, and nothing with --json', () => {
  const plain = screenOf(false)
  const bar = progress(plain.screen, 'train', 10)
  for (let i = 0; i < 10; i++) bar.update(i, i)
  bar.line('step 5: snapshot')
  bar.stop()
  expect(plain.said()).toBe('step 5: snapshot\n')
  const silent = screenOf(true, true)
  const none = progress(silent.screen, 'train', 10)
  none.update(5, 5)
  none.line('x')
  none.stop()
  expect(silent.said()).toBe('')
})

test('colors: only on terminals, NO_COLOR wins', () => {
  const { screen } = screenOf(true)
  expect(screen.colors.bold('x')).not.toBe('x')
  expect(screenOf(false).screen.colors.bold('x')).toBe('x')
  const forbidden = new Screen({ ...screen.terminal, env: { NO_COLOR: '1', FORCE_COLOR: '1' } }, false)
  expect(forbidden.colors.bold('x')).toBe('x')
})

test('amounts', () => {
  expect([0, 1023, 1536, 3 * 2 ** 30].map(showBytes)).toEqual(['0 B', '1023 B', '1.50 KiB', '3.00 GiB'])
  expect([999, 2470000].map(showCount)).toEqual(['999', '2.47 M'])
  expect([0, 999, 662000].map(showFlops)).toEqual(['0 FLOP', '999 FLOP', '662 kFLOP'])
  expect([0.4, 75, 3661, Infinity].map(showDuration)).toEqual(['0:00', '1:15', '1:01:01', '?'])
})
