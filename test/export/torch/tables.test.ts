import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Table } from '../../../runtime/data/node/csv.ts'
import { columnsOf } from '../../../runtime/data/node/table.ts'
import type { InputEntry } from '../../../bundle/format.ts'
import { InputError } from '../../../bundle/errors.ts'
import { hasTorch, PYTHON } from './cases.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusenet-tables-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const SCRIPT = `import json, sys
sys.path.insert(0, sys.argv[1])
from training.tables import Table
from training.errors import InputError
said = []
for text, inputs in json.load(open(sys.argv[2])):
  notes = []
  try:
    found = Table(text, 't.csv').columns_for(inputs, notes)
    said.append([{name: [float(v) for v in column.data.reshape(-1)] for name, column in found.items()}, notes])
  except InputError as error:
    said.append('refused')
print(json.dumps(said))
`
const x = (columns?: string[]): InputEntry => ({ name: 'x', type: 'f32', shape: ['n', 3], ...(columns && { columns }) })
const t: InputEntry = { name: 't', type: 'i32', shape: ['n'], classes: 12 }
const head = (names: string) => `${names}\n1,2,3,4\n5,6,7,8\n`
const TABLES: readonly [string, string, InputEntry[]][] = [
  ['names in another order', head('x2,x0,t,x1'), [x(), t]],
  ['counted from 1', head('x3,x2,t,x1'), [x(), t]],
  ['zeros and capitals', head('X02,X00,T,X01'), [x(), t]],
  ['some and not all', head('x2,x0,t,id'), [x(), t]],
  ['more than all', 'x0,x1,x2,x3,t\n1,2,3,4,5\n', [x(), t]],
  ['by position', head('a,b,c,t'), [x(), t]],
  ['by the names of the training', head('c,a,b,t'), [x(['a', 'b', 'c']), t]],
  ['other names than those of the training', head('c,a,bb,t'), [x(['a', 'b', 'c']), t]],
  ['the own names in spite of the training', head('x2,x0,t,x1'), [x(['a', 'b', 'c']), t]],
  ['whole numbers', 'x0,x1,x2,t\n1,2,3,2.0\n1,2,3,1e1\n1,2,3,0\n', [x(), t]],
  ['names that are numbers', 'x0,x1,x2,t\n1,2,3,2.5\n1,2,3,b\n1,2,3,10\n', [x(), t]],
  ['classes that are called by numbers', 'x0,x1,x2,t\n1,2,3,3\n1,2,3,-1\n', [x(), { ...t, classes: 3, classNames: ['1', '2', '3'] }]],
  ['a number that is no class', 'x0,x1,x2,t\n1,2,3,0\n', [x(), { ...t, classes: 3, classNames: ['1', '2', '3'] }]],
  ['a number that is not decimal', 'x0,x1,x2,t\n0x1,2,3,4\n', [x(), t]],
  ['a number that float32 has no room for', 'x0,x1,x2,t\n1e39,2,3,4\n', [x(), t]],
]

test.skipIf(!hasTorch())('train.py reads tables as fusenet does', () => {
  writeFileSync(join(folder, 'tables.json'), JSON.stringify(TABLES.map(([, text, inputs]) => [text, inputs])))
  const python = join(import.meta.dirname, '../../../export/torch/python')
  const there = JSON.parse(
    execFileSync(PYTHON, ['-B', '-c', SCRIPT, python, join(folder, 'tables.json')], { encoding: 'utf8' }),
  ) as unknown[]
  const here = TABLES.map(([, text, inputs]) => {
    const notes: string[] = []
    try {
      const found = columnsOf(new Table(text, 't.csv'), inputs, notes)
      return [Object.fromEntries(Object.entries(found).map(([name, { data }]) => [name, Array.from(data)])), notes]
    } catch (error) {
      expect(error).toBeInstanceOf(InputError)
      return 'refused'
    }
  })
  TABLES.forEach(([what], i) => expect(there[i], what).toEqual(here[i]))
  expect(TABLES.filter((_, i) => here[i] === 'refused').map(([what]) => what)).toEqual([
    'some and not all',
    'more than all',
    'other names than those of the training',
    'a number that is no class',
    'a number that is not decimal',
    'a number that float32 has no room for',
  ])
})
