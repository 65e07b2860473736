import { type Device, DeviceError, type Numbers, type Session, type StepScalars } from '../../bundle/device.ts'
import type { Bundle, Plan } from '../../bundle/format.ts'
import { placesAt } from '../../bundle/layout.ts'
import { contents, elementCount } from '../../bundle/sizes.ts'

type Kernel = (bind: Record<string, Numbers>, n: number, step: StepScalars) => void

/** The fixture's kernels again, in float64: what its WGSL is compared with. */
export const KERNELS = (accumulate: number): Record<string, Kernel> => {
  const dw: Kernel = ({ x, y, label, dw }, n) => {
    for (let k = 0; k < n; k++) {
      const c = label![k]!
      if (c >= 0) dw![c]! += ((y![k * 3 + c]! - 1) * 2 * x![k * 3 + c]!) / n
    }
  }
  const sgd: Kernel = ({ dw, w, h }, _, { rate }) => {
    for (let c = 0; c < 3; c++) {
      h![c] = 0.9 * h![c]! + (rate * dw![c]!)
      w![c]! -= h![c]!
    }
  }
  return {
    double: ({ w, two, w2 }) => w2!.set(w!.map((v) => two![0]! * v)),
    scale: ({ x, w2, y }) => y!.set(x!.map((v, i) => v * w2![i % 3]!)),
    scale_train: ({ x, w, y }) => y!.set(x!.map((v, i) => v * 2 * w![i % 3]!)),
    loss: ({ y, label, loss, hit }, n) => {
      const chosen = Array.from(label!).flatMap((c, k) => c < 0 ? [] : [y![k * 3 + c]!])
      loss![0] = chosen.reduce((sum, v) => sum + (v - 1) ** 2 / 2, 0) / n
      hit![0] = chosen.filter((v) => v > 0.5).length / n
    },
    dw: (bind, n, step) => {
      bind['dw']!.fill(0)
      dw(bind, n, step)
    },
    dw_add: dw,
    dx: ({ y, label, w, dx }, n) =>
      dx!.set(dx!.map((_, i) => label![Math.floor(i / 3)] === i % 3 ? ((y![i]! - 1) * 2 * w![i % 3]!) / n : 0)),
    sgd,
    sgd_all: (bind, n, step) => {
      sgd(bind, n, { ...step, rate: step.rate / accumulate })
      bind['dw']!.fill(0)
    },
    count: ({ seen }) => {
      seen![0]! += 1
    },
  }
}

/** A device that runs those kernels in memory, and writes down what it was asked. */
export class FakeDevice implements Device {
  readonly name = 'fake'
  readonly description = 'memory'
  readonly software = true
  readonly log: string[] = []
  readonly scalars: StepScalars[] = []
  closed = false
  fail: string | undefined

  async load(bundle: Bundle, batch: number, programs?: readonly string[]): Promise<Session> {
    this.log.push(`load ${batch}${programs ? ` ${programs.join()}` : ''}`)
    const plan = bundle.manifest.plans['webgpu']!
    return new FakeSession(this, plan, batch, KERNELS(bundle.manifest.train?.accumulate ?? 1))
  }

  close(): void {
    this.closed = true
  }
}

class FakeSession implements Session {
  readonly plan: Plan
  readonly batch: number
  readonly allocatedBytes = 0
  readonly #device: FakeDevice
  readonly #kernels: Record<string, Kernel>
  readonly #buffers: Float64Array[]
  readonly #offsets: readonly number[]
  #isClosed = false

  constructor(device: FakeDevice, plan: Plan, batch: number, kernels: Record<string, Kernel>) {
    this.#device = device
    this.plan = plan
    this.batch = batch
    this.#kernels = kernels
    const { offsets, sizes } = placesAt(plan, batch)
    this.#offsets = offsets
    this.#buffers = plan.buffers.map((b, i) => {
      const data = new Float64Array(sizes[i]!)
      if (b.data) data.set(contents(b))
      return data
    })
  }

  #view(tensor: number): Float64Array {
    const { buffer, shape } = this.plan.tensors[tensor]!
    const offset = this.#offsets[tensor]!
    return this.#buffers[buffer]!.subarray(offset, offset + elementCount(shape, this.batch))
  }

  write(tensor: number, data: Numbers): void {
    const view = this.#view(tensor)
    if (view.length !== data.length) throw new Error(`tensor ${tensor} holds ${view.length} numbers, not ${data.length}`)
    view.set(data)
  }

  async run(program: string, scalars: StepScalars): Promise<void> {
    if (this.#isClosed) throw new Error('a session that was closed runs nothing')
    if (this.#device.fail) throw new DeviceError(this.#device.fail)
    this.#device.log.push(`${program}${this.batch === 4 ? '' : `@${this.batch}`}`)
    if (program !== 'prepare') this.#device.scalars.push(scalars)
    for (const { kernel, tensors } of this.plan.programs[program]!.dispatches) {
      const { name, bindings } = this.plan.kernels[kernel]!
      this.#kernels[name]!(Object.fromEntries(bindings.map((b, i) => [b.name, this.#view(tensors[i]!)])), this.batch, scalars)
    }
  }

  async read(tensors: readonly number[]): Promise<Numbers[]> {
    return tensors.map((t) => this.#view(t).slice())
  }

  close(): void {
    this.#isClosed = true
    this.#device.log.push(`close ${this.batch}`)
  }
}
