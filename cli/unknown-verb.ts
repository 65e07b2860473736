import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { didYouMean } from '../bundle/nearest.ts'
import { quoted } from '../bundle/quoted.ts'
import { FORMAT_ROWS } from '../import/formats.ts'
import { endingOf } from '../import/foreign-endings.ts'
import { MANIFEST_FILE } from '../runtime/loading/files.ts'
import { isPicture } from '../runtime/data/node/walk.ts'
import { foreignModel } from './imported.ts'
import { VERBS } from './verbs/index.ts'

/** Words that other commands have for what a verb does, or for what several do. */
const ELSEWHERE: readonly (readonly [meant: string, words: readonly string[]])[] = [
  ['init', ['new', 'create', 'scaffold', 'start', 'setup']],
  ['check', ['validate', 'verify', 'lint', 'parse']],
  ['fmt', ['format', 'prettify']],
  ['train', ['fit', 'learn', 'finetune', 'fine-tune', 'resume']],
  ['eval', ['test', 'evaluate', 'score', 'accuracy']],
  ['run', ['predict', 'infer', 'inference', 'classify', 'detect', 'forward', 'exec']],
  ['compile', ['build', 'bundle', 'make', 'deploy', 'pack']],
  ['import or export', ['convert', 'load', 'save', 'onnx', 'caffe', 'darknet', 'torch', 'pytorch']],
  ['summary or inspect', ['info', 'show', 'describe', 'print', 'stats', 'params', 'dump', 'kernels', 'profile']],
  ['draw', ['plot', 'graph', 'visualize', 'view', 'picture']],
  ['bench', ['benchmark', 'time', 'speed']],
  ['devices', ['gpu', 'gpus', 'device', 'backends']],
  ['layers', ['list', 'ls', 'ops', 'operators', 'losses', 'solvers']],
]
const REST = 'fusenet --help lists the verbs'

/** What was likely meant by a verb that is none: `; did you mean X?`, or nothing. */
export function verbMeant(word: string): string {
  const found = ELSEWHERE.find(([, words]) => words.includes(word.toLowerCase()))
  return found ? `; did you mean ${found[0]}?` : didYouMean(word, VERBS.map(({ name }) => name))
}

/** The verb that is none, and what was likely meant: another one, or a file or a bundle that something is to be done with. */
export function unknownVerb(argv: readonly string[]): string {
  const [word = '', ...more] = argv.filter((arg) => !arg.startsWith('-') && arg !== 'help')
  if (word === '') return REST
  const file = quoted(word)
  const before = (what: string, todo: string): string => `${word} is ${what}, and what to do with it stands before it: ${todo}; ${REST}`
  const ending = endingOf(word)
  if (ending === 'net') return before('a file', `fusenet check ${[word, ...more].map(quoted).join(' ')}, fusenet train ${file}`)
  if (FORMAT_ROWS.some(([, { endings }]) => (endings as readonly string[]).includes(ending)))
    return before('a file', `fusenet import ${file} -o DIR`)
  if (isPicture(word)) return before('a picture', `fusenet run BUNDLE --input ${file}`)
  if (existsSync(join(word, MANIFEST_FILE))) return before('a bundle', `fusenet run ${file}, fusenet eval ${file}`)
  return foreignModel(word) ?? `there is no verb ${word}${verbMeant(word) || `; ${REST}`}`
}
