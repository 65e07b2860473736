import type { Evaluation } from '../../../runtime/evaluate-options.ts'
import type { BestEntry, InputEntry } from '../../../bundle/format.ts'
import { showMetric, showMetrics } from '../../metrics.ts'
import { type Progress, progress, sayLoss } from '../../progress.ts'
import { type Screen, showDuration } from '../../screen.ts'
import { countOf } from '../../../bundle/plain.ts'

/** What train.py tells, a line an event; the same as those of `fusenet train --json`. */
export interface Told {
  readonly event: string
  readonly step?: number
  readonly epoch?: number
  readonly loss?: number
  readonly rate?: number
  readonly path?: string
  readonly part?: string
  readonly best?: boolean
  readonly metric?: string
  readonly value?: number
  readonly samples?: number
  readonly batch?: number
  readonly seed?: number
  readonly data?: string
  readonly net?: string
  readonly device?: string
  readonly processes?: number
  readonly steps?: number
  readonly tests?: number
  readonly runs?: readonly TorchResult[]
  readonly snapshots?: string
  /** What the data say of the net's inputs, by their names. */
  readonly inputs?: Readonly<Record<string, Pick<InputEntry, 'classNames' | 'columns'>>>
}

export interface TorchResult {
  readonly seed: number
  readonly steps: number
  readonly loss?: number
  readonly seconds: number
  readonly best?: BestEntry
  readonly test: Evaluation
}

/** Shows a training by PyTorch as one of fusenet is shown. */
export class Report {
  /** What the data say of the net's inputs, by their names. */
  inputs: Told['inputs'] = {}
  /** The folder of this training's snapshots. */
  snapshots: string | undefined
  /** The result of a training that came to its end. */
  result: TorchResult | undefined
  step = 0
  readonly #screen: Screen
  readonly #version: string
  readonly #output: string
  #bar: Progress | undefined
  #began = { step: 0, at: performance.now() }
  #steps = 0
  #perEpoch = 1
  #perStep = 1

  constructor(screen: Screen, version: string, output: string) {
    this.#screen = screen
    this.#version = version
    this.#output = output
  }

  take(told: Told): void {
    const screen = this.#screen
    this.step = told.step ?? this.step
    switch (told.event) {
      case 'start':
        this.#start(told)
        break
      case 'step':
        this.#bar ??= progress(screen, 'train', this.#steps)
        this.#bar.update(
          told.step!,
          (told.step! - this.#began.step) * this.#perStep,
          `epoch ${told.epoch! + 1}/${Math.ceil(this.#steps / this.#perEpoch)}  ${sayLoss(told.loss!)}`,
        )
        break
      case 'test':
        if (told.part !== undefined)
          this.#line(
            `step ${told.step}: ${told.part} ${showMetrics(told as unknown as Evaluation)}${told.best === true ? ', the best so far' : ''}`,
          )
        break
      case 'snapshot':
        this.#line(`step ${told.step}: snapshot ${told.path}`)
        break
      case 'best':
        this.#line(
          `best ${told.metric} of ${told.part}: ${showMetric(told.metric!, told.value!)}, after epoch ${told.epoch} (step ${told.step})`,
        )
        break
      case 'patience':
        this.#line(`ended after step ${told.step}: no better for ${countOf(Number(told.tests), 'test')}`)
        break
      case 'complete':
        this.#line(
          `nothing is left to do: this training is complete after ${
            countOf(Number(told.step), 'update')
          }; --epochs or --steps makes it longer`,
        )
        break
      case 'done':
        this.result = told.runs![0]
        return
    }
    screen.event(told.event === 'start' ? { ...told, torch: this.#version, bundle: this.#output } : told)
  }

  /** Tells of something that train.py does not know. */
  say(text: string): void {
    this.#line(text)
  }

  /** All updates are made. */
  stop(): void {
    this.#bar?.stop()
    this.#bar = undefined
    const steps = this.step - this.#began.step
    const seconds = (performance.now() - this.#began.at) / 1000
    if (!this.#screen.json && steps > 0)
      this.#screen.note(
        `${countOf(steps, 'step')} in ${showDuration(seconds)}, ${Math.round((steps * this.#perStep) / Math.max(seconds, 1e-3))} samples/s`,
      )
  }

  #start(told: Told): void {
    this.snapshots = told.snapshots
    this.inputs = told.inputs
    this.#steps = told.steps ?? 0
    this.#perStep = told.batch! * ((told as { accumulate?: number }).accumulate ?? 1)
    this.#perEpoch = Math.max(1, Math.floor(told.samples! / this.#perStep))
    this.#began = { step: told.step!, at: performance.now() }
    this.#line(
      `${told.net} on ${told.data}: ${countOf(Number(told.samples), 'sample')}, batch ${told.batch}, seed ${told.seed}, ${
        told.processes! > 1 ? `${told.processes} processes of ` : ''
      }PyTorch ${this.#version} on ${told.device}${told.step! > 0 ? `, from step ${told.step}` : ''}`,
    )
  }

  #line(text: string): void {
    if (this.#bar) this.#bar.line(text)
    else if (!this.#screen.json) this.#screen.note(text)
  }
}
