import { didYouMean } from '../bundle/nearest.ts'
import { quoted } from '../bundle/quoted.ts'
import { FORMAT_ROWS } from '../import/formats.ts'
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

/** The verb that is none, and what was likely meant: another one, or a file that something is to be done with. */
export function unknownVerb(argv: readonly string[]): string {
  const [word = '', ...more] = argv.filter((arg) => !arg.startsWith('-') && arg !== 'help')
  const ending = /\.(\w+)$/.exec(word)?.[1]?.toLowerCase()
  const file = quoted(word)
  const isFile = (todo: string): string => `${word} is a file, and what to do with it stands before it: ${todo}; ${REST}`
  if (ending === 'net') return isFile(`fusenet check ${[word, ...more].map(quoted).join(' ')}, fusenet train ${file}`)
  if (FORMAT_ROWS.some(([, { endings }]) => ending !== undefined && (endings as readonly string[]).includes(ending)))
    return isFile(`fusenet import ${file} -o DIR`)
  return word === '' ? REST : `there is no verb ${word}${verbMeant(word) || `; ${REST}`}`
}
