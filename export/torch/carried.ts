import { LAYERS } from './python-texts.ts'

/** A class or function of the texts that net.py carries. */
interface Definition {
  readonly name: string
  readonly text: string
}

/** Definitions of a Python text: each begins at the margin and reaches to the next. */
function definitionsOf(text: string): Definition[] {
  const parts = `\n\n\n${text}`.split(/\n{3,}(?=(?:class|def) )/).slice(1)
  return parts.map((part) => ({ name: /^(?:class|def) (\w+)/.exec(part)![1]!, text: part.trimEnd() }))
}

const DEFINITIONS: readonly Definition[] = Object.values(LAYERS).flatMap(definitionsOf)

/** Names of all that may be carried. */
export const CARRIED_NAMES: readonly string[] = DEFINITIONS.map(({ name }) => name)

/** Python without its comments and strings, docstrings among them: what is said there is not used. */
const codeOf = (text: string): string => text.replace(/"""(?:\\[^]|[^\\])*?"""|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|#.*/g, '')

const uses = (code: string, name: string): boolean => new RegExp(`(?<![.\\w])${name}\\b`).test(code)

/** What a Python text names and does not have: lines to stand in front of it, and definitions to stand behind. */
export function carriedFor(written: string): { readonly imports: readonly string[]; readonly definitions: readonly string[] } {
  const needed = new Set<Definition>()
  const open = [codeOf(written)]
  for (let text = open.pop(); text !== undefined; text = open.pop()) {
    for (const definition of DEFINITIONS) {
      if (needed.has(definition) || !uses(text, definition.name)) continue
      needed.add(definition)
      open.push(codeOf(definition.text))
    }
  }
  const carried = DEFINITIONS.filter((definition) => needed.has(definition))
  const all = codeOf([written, ...carried.map(({ text }) => text)].join('\n'))
  const plain = ['math', 'struct'].filter((name) => all.includes(`${name}.`))
  return {
    imports: [
      'from __future__ import annotations',
      '',
      ...(plain.length > 0 ? [...plain.map((name) => `import ${name}`), ''] : []),
      'import torch',
      ...(all.includes('F.') ? ['import torch.nn.functional as F'] : []),
      'from torch import Tensor, nn',
      ...exchangeOf(all),
    ],
    definitions: carried.flatMap(({ text }) => ['', '', ...text.split('\n')]),
  }
}

/** What net.py says of one process, by the name that exchange.py says it of many. */
const ALONE: Readonly<Record<string, string>> = {
  all_sum: 'def all_sum(tensor):\n        return tensor',
  all_sum_: 'def all_sum_(tensor):\n        return tensor',
  world: 'def world():\n        return 1',
}

/** Sums over processes; net.py by itself knows one. */
function exchangeOf(text: string): readonly string[] {
  const names = Object.keys(ALONE).filter((name) => new RegExp(`\\b${name}\\(`).test(text))
  if (names.length === 0) return []
  return [
    '',
    'try:',
    `    from exchange import ${names.join(', ')}  # over all processes of a training`,
    'except ImportError:  # this file by itself: there is one',
    ...names.flatMap((name, i) => [...(i > 0 ? [''] : []), ...`    ${ALONE[name]!}`.split('\n')]),
  ]
}
