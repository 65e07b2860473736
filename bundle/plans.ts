import type { Storage } from './format.ts'

/** Names of devices that run bundles. Also the names of the plans that are made for all devices of that name. */
export const WEBGPU = 'webgpu'
export const WASM = 'wasm'
/** The plan for WebGPU that stores f16 where it can: programs `prepare`, `infer` and `eval`, for adapters with `shader-f16`. */
export const HALF_PLAN = 'webgpu-f16'
/** The plan for adapters that a CPU pretends to be. They run `webgpu` as well, slowly. */
export const SOFTWARE_PLAN = 'webgpu-software'

/** A kind of plan: a target of the compiler writes it, a device runs it. */
export interface PlanKind {
  /** Its key among the plans of a bundle, the name of its target, and the folder of its files. */
  readonly name: string
  /** The name of the devices that run it. */
  readonly device: string
  /** Whether its kernels are texts of WGSL, or functions of WebAssembly modules. */
  readonly kernels: 'texts' | 'module'
  /** The number format of weights and of values between layers. A plan with f16 holds HALF_PROGRAMS alone. */
  readonly storage: Storage
  /** Whether it is made for adapters that a CPU pretends to be. */
  readonly software: boolean
}

const kind = (name: string, device: string, kernels: PlanKind['kernels'], more: Partial<PlanKind> = {}): PlanKind => ({
  name,
  device,
  kernels,
  storage: 'f32',
  software: false,
  ...more,
})

/** Every kind of plan that a bundle may hold. `compiler/targets/targets.ts` has the target of each, `runtime/devices.ts` the devices. */
export const PLAN_KINDS: readonly PlanKind[] = [
  kind(WEBGPU, WEBGPU, 'texts'),
  kind(WASM, WASM, 'module'),
  kind(HALF_PLAN, WEBGPU, 'texts', { storage: 'f16' }),
  kind(SOFTWARE_PLAN, WEBGPU, 'texts', { software: true }),
]

/** Names of the targets of a compilation, each of which writes the plan of its name. */
export const TARGET_NAMES: readonly string[] = PLAN_KINDS.map(({ name }) => name)

interface DeviceKind {
  readonly name: string
  readonly software: boolean
}

const find = (device: string, storage: Storage, software: boolean): string | undefined =>
  PLAN_KINDS.find((kind) => kind.device === device && kind.storage === storage && kind.software === software)?.name

/** The plan that is made for a device: the one to compile where it alone is to run a net. */
export const planFor = ({ name, software }: DeviceKind): string => find(name, 'f32', software) ?? name

/** The plan of a bundle that a device runs: the one that is made for it, else the one for all devices of its name. */
export const planIn = (plans: readonly string[], device: DeviceKind): string =>
  plans.includes(planFor(device)) ? planFor(device) : device.name

/** The plan with which a device stores f16. Undefined where devices of its name have none. */
export const halfPlanFor = (device: string): string | undefined => find(device, 'f16', false)

/** The kind of a plan, by its name. Undefined where another version of the compiler wrote it, or somebody else. */
export const planKind = (name: string): PlanKind | undefined => PLAN_KINDS.find((kind) => kind.name === name)
