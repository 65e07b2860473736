import type { ByteSource } from '../byte-source.ts'
import { ImportError } from '../import-error.ts'
import type { ModelNet } from '../model-net.ts'
import type { ReadOptions } from '../read-options.ts'
import { readCfg, type Section } from './cfg.ts'
import { type Made, NetBuilder } from './net-builder.ts'
import { type Findings, Options } from './options.ts'
import { connected } from './sections/connected.ts'
import { convolutional } from './sections/convolutional.ts'
import { detection, type Detection } from './sections/detection.ts'
import { product, route, shortcut } from './sections/joining.ts'
import { activation, batchnorm, l2norm } from './sections/normalization.ts'
import { avgpool, crop, dropout, maxpool, upsample } from './sections/pooling.ts'
import { reorg } from './sections/reorg.ts'
import { addLoss, cost, logistic, type Loss, softmax } from './sections/results.ts'
import { type NetSection, readNetSection } from './training.ts'
import { WeightPlan } from './weights.ts'

type Read = (net: NetBuilder, options: Options, x: Made) => Made

/** Sections by their names, the short ones of Darknet too. */
const SECTIONS: Readonly<Record<string, Read>> = {
  convolutional,
  conv: convolutional,
  deconvolutional: convolutional,
  deconv: convolutional,
  connected,
  conn: connected,
  maxpool,
  max: maxpool,
  avgpool,
  avg: avgpool,
  upsample,
  dropout,
  crop,
  route,
  shortcut,
  scale_channels: product,
  sam: product,
  empty: (_, __, x) => x,
  reorg,
  batchnorm,
  l2norm,
  activation,
}
const DETECTIONS = ['yolo', 'region', 'detection', 'iseg']

/** Sections that no layer of the language computes, and why. */
const REFUSED: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['rnn', 'gru', 'lstm', 'crnn', 'conv_lstm', 'history'].map((
      kind,
    ) => [kind, 'reads what it gave a step before; nets here have no state between samples']),
  ),
  local: 'has filters of its own for every place of the map; a convolution shares them',
  normalization: 'is not LRN: its windows over channels miss one of them (the sum forgets a channel too early), which no layer does',
  lrn: 'is not LRN: its windows over channels miss one of them (the sum forgets a channel too early), which no layer does',
}

/** Text of more bytes is no .cfg file: the largest of Darknet's own has 50 kB. */
const LONGEST_CFG = 16 * 2 ** 20

/**
 * Reads a net of Darknet: a `.cfg` file, and its `.weights` file where `options.weights` brings one. Defaults, order and arithmetic are those of
 * Darknet's parser of 2018; what later Darknets added and many files use (groups of `[route]`, mish, strides and dilations apart) is read too.
 * Values are called after sections: `layer12` is the output of section 12, counted as Darknet counts, and so are `options.outputs`.
 */
export function readDarknet(source: ByteSource, options: ReadOptions = {}): ModelNet {
  if (source.size > LONGEST_CFG)
    throw new ImportError([{
      where: source.name,
      what: `a .cfg file of ${source.size} bytes is none`,
      mend: 'weights are the second file',
    }])
  const { sections, problems } = readCfg(source.name, new TextDecoder().decode(source.read(0, source.size)))
  const findings: Findings = { file: source.name, problems, notes: [] }
  const [first, ...rest] = sections
  if (!first || (first.kind !== 'net' && first.kind !== 'network')) {
    const place = first ? `${source.name}:${first.line} [${first.kind}]` : source.name
    throw new ImportError([{ where: place, what: 'the first section of a .cfg file is [net]' }, ...problems])
  }
  const cut = cutOf(rest, options.outputs, source.name)
  const kept = rest.slice(0, cut)
  if (kept.length === 0) problems.push({ where: source.name, what: 'there is no section behind [net]' })

  const netOptions = new Options(withShape(first, options, findings), findings)
  const head = readNetSection(netOptions)
  netOptions.finish()
  const weights = new WeightPlan(options.weights)
  const frozen = kept.findLastIndex(({ options: lines }) =>
    lines.some(({ key, value }) => key === 'stopbackward' && Number.parseInt(value, 10) !== 0)
  )
  const net = new NetBuilder(findings, weights, { decays: head.decays, batch: head.batch, frozen })
  const map = head.input.length === 3 ? head.input as [number, number, number] : undefined
  const value = map ? 'image' : 'x'
  net.inputs.push({ value, shape: head.input })
  const read = readSections(net, kept, { value, shape: head.input, map }, options)
  if (problems.length === 0) weights.finish(findings, cut < rest.length)
  if (options.outputs) chooseOutputs(net, options.outputs)
  else addResults(net, read)
  if (problems.length > 0) throw new ImportError(problems)
  return finish(net, head, read, frozen)
}

/** What sections leave for the end. */
interface Ends {
  readonly detections: Detection[]
  /** The loss of the section that was read last, where it has one. */
  loss: Loss | undefined
  /** The last section but for `[cost]`: the output of the net. */
  last: Made
  lastOptions: Options | undefined
}

function readSections(net: NetBuilder, sections: readonly Section[], input: Made, options: ReadOptions): Ends {
  const read: Ends = { detections: [], loss: undefined, last: input, lastOptions: undefined }
  let x = input
  for (const [i, section] of sections.entries()) {
    const lines = new Options(section, net.findings)
    if (x.closed !== undefined && section.kind !== 'route') lines.problem(`reads section ${i - 1}: ${x.closed}`)
    // Said once.
    x = { value: x.value, shape: x.shape, map: x.map }
    const before = read.loss
    read.loss = undefined
    x = readOne(net, lines, x, before, read)
    lines.take('truth', 'onlyforward', 'stopbackward', 'smooth', 'learning_rate', 'dontload', 'numload', 'dontloadscales')
    lines.finish()
    const closed = net.close(x)
    read.loss = withScores(read.loss, x.value, closed.value)
    x = closed
    if (section.kind !== 'cost') read.last = x
    read.lastOptions = lines
    if (net.findings.problems.length >= 100) break
    if (i % 64 === 63) options.progress?.(i / sections.length)
  }
  return read
}

const withScores = (loss: Loss | undefined, from: string, to: string): Loss | undefined =>
  loss?.scores === from ? { ...loss, scores: to } : loss

function readOne(net: NetBuilder, lines: Options, x: Made, before: Loss | undefined, read: Ends): Made {
  const { kind } = lines.section
  const plain = Object.hasOwn(SECTIONS, kind) ? SECTIONS[kind] : undefined
  if (plain) return plain(net, lines, x)
  if (kind === 'softmax' || kind === 'soft') {
    const { made, loss } = softmax(net, lines, x)
    read.loss = loss
    return made
  }
  if (kind === 'logistic') {
    const { made, loss } = logistic(net, lines, x)
    read.loss = loss
    return made
  }
  if (kind === 'cost') {
    const { made, loss } = cost(lines, x, before)
    read.loss = loss
    return made
  }
  if (DETECTIONS.includes(kind)) {
    const { made, facts } = detection(net, lines, x)
    if (facts) read.detections.push(facts)
    return made
  }
  lines.take(...lines.section.options.map(({ key }) => key))
  const why = Object.hasOwn(REFUSED, kind) ? REFUSED[kind]! : undefined
  const cut = net.index === 0 || net.findings.problems.length > 0 ? undefined
    : `--outputs layer${net.index - 1} cuts the net in front of it`
  lines.problem(why ?? 'is no section that is known', why === undefined ? undefined : cut)
  // Later sections are looked at all the same: with what an output= or filters= says, as far as it can be known.
  const outputs = lines.has('output') ? lines.count('output', 1) : undefined
  return outputs !== undefined ? { ...x, shape: [outputs], map: [outputs, 1, 1] } : x
}

/** How many sections are needed for the values that are asked for; all where none are. */
function cutOf(sections: readonly Section[], outputs: readonly string[] | undefined, file: string): number {
  if (!outputs) return sections.length
  const unknown = outputs.filter((name) => numberIn(name) === undefined || numberIn(name)! >= sections.length)
  if (unknown.length > 0) {
    throw new ImportError(unknown.map((name) => ({
      where: file,
      what: `there is no value ${name.slice(0, 40)}`,
      mend: `layer0 to layer${sections.length - 1}: the outputs of the sections, counted from the one behind [net]`,
    })))
  }
  return Math.max(...outputs.map((name) => numberIn(name)! + 1))
}

/** The section that `layer12`, `12` or `yolo12` means. */
const numberIn = (name: string): number | undefined => {
  const digits = /^(?:layer|yolo|region|detection|iseg)?(\d{1,6})$/.exec(name)?.[1]
  return digits === undefined ? undefined : Number(digits)
}

function chooseOutputs(net: NetBuilder, outputs: readonly string[]): void {
  net.results.length = 0
  for (const name of outputs) {
    const made = net.made[numberIn(name)!]
    if (made) net.results.push({ kind: 'output', name: /^\d/.test(name) ? `layer${name}` : name, value: made.value })
  }
}

/** The output of the net, unless it is a detector's; a loss where the last section has one. */
function addResults(net: NetBuilder, { last, lastOptions, loss }: Ends): void {
  if (last.closed === undefined) net.results.push({ kind: 'output', name: loss?.kind === 'softmax' ? 'prob' : 'output', value: last.value })
  if (loss && lastOptions) addLoss(net, lastOptions, loss)
}

/** `--shape image=3x224x224` in place of the file's channels, height and width. */
function withShape(section: Section, options: ReadOptions, findings: Findings): Section {
  const has = (key: string): boolean => section.options.some((option) => option.key === key)
  const name = has('height') && has('width') && has('channels') ? 'image' : 'x'
  for (const other of options.shapes?.keys() ?? [])
    if (other !== name)
      findings.problems.push({ where: findings.file, what: `there is no input ${other.slice(0, 40)}`, mend: `the input is called ${name}` })
  const shape = options.shapes?.get(name)
  if (!shape) return section
  const keys = name === 'image' ? ['channels', 'height', 'width'] : ['inputs']
  if (shape.length !== keys.length) {
    findings.problems.push({
      where: findings.file,
      what: `${name} has ${keys.length} dimensions, ${keys.join(', ')}`,
      mend: `--shape ${name}=${name === 'image' ? '3x224x224' : '100'}`,
    })
    return section
  }
  const others = section.options.filter(({ key }) => ![...keys, 'inputs'].includes(key))
  return { ...section, options: [...keys.map((key, i) => ({ key, value: String(shape[i]), line: section.line })), ...others] }
}

/** Drops what no result needs, and puts the record together. */
function finish(net: NetBuilder, head: NetSection, { detections }: Ends, frozen: number): ModelNet {
  const { findings, weights } = net
  const { layers } = net
  const trains = net.results.some(({ kind }) => kind === 'loss')
  const about = findings.file
  const notes = [...findings.notes]
  if (trains) {
    notes.push(...head.notes)
    if (net.hasOneValue) {
      const text =
        'batch 2, not 1: with one value a channel the variance of a batch is 0, and nothing in front of a normalization would learn'
      notes.push({ about, kind: 'changed', text })
    }
    if (frozen >= 0)
      notes.push({
        about,
        kind: 'differs',
        text: `stopbackward: sections up to ${frozen} have lr_mult 0 and stay; Darknet goes on with their decay`,
      })
  } else {
    notes.push({
      about,
      kind: 'left out',
      text:
        'there is no train block: the loss of this net is none of the language. import.json has the numbers of [net]; write a loss, then solver and schedule',
    })
  }
  if (layers.some(({ op }) => op === 'batch_norm')) notes.push({ about, kind: 'differs', text: batchNormNote(net) })
  const { header } = weights
  return {
    name: findings.file.replace(/\.[^.]*$/, ''),
    inputs: net.inputs,
    layers,
    results: net.results,
    ...(trains && { training: net.hasOneValue ? { ...head.training, batch: 2 } : head.training }),
    notes,
    facts: {
      format: 'darknet',
      ...(header && { weights: { version: `${header.major}.${header.minor}.${header.revision}`, seen: header.seen } }),
      ...(!trains && { training: head.training }),
      ...(detections.length > 0 && { detections }),
    },
  }
}

function batchNormNote(net: NetBuilder): string {
  const [variance, eps] = [
    'In training it divides the variance of a batch by N - 1, batch_norm by N (N = batch x height x width): (x - mean) / deviation differs by a share of 1 / (2 N).',
    net.laterBatchNorm,
  ]
  return eps
    ? `weights of version 0.2.5 are of later Darknets, which add 1e-5 to the variance: eps: 1e-5, and running_var is the file's. ${variance}`
    : 'Darknet adds 1e-6 to the deviation on a CPU (1e-5 to the variance on a GPU). running_var is v + 2e-6 sqrt(v), so that with eps: 1e-12 outputs are those of the CPU; '
      + `in training the deviation of a batch differs by less than 1e-6. ${variance}`
}
