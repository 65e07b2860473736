import type { Verb } from '../verb.ts'
import { bench } from './bench.ts'
import { check } from './check.ts'
import { compile } from './compile.ts'
import { devices } from './devices.ts'
import { evaluate } from './eval.ts'
import { exportVerb } from './export.ts'
import { fmt } from './fmt.ts'
import { importVerb } from './import.ts'
import { init } from './init.ts'
import { inspect } from './inspect.ts'
import { layers } from './layers.ts'
import { run } from './run.ts'
import { draw } from './draw.ts'
import { step } from './step.ts'
import { summary } from './summary.ts'
import { train } from './train.ts'
import { tune } from './tune.ts'

/** The verbs in the order in which `fusenet --help` lists them. */
export const VERBS: readonly Verb[] = [
  init,
  importVerb,
  check,
  fmt,
  inspect,
  compile,
  exportVerb,
  run,
  step,
  train,
  evaluate,
  bench,
  tune,
  devices,
  layers,
  summary,
  draw,
]
