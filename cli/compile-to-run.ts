import type { Diagnostic } from '../dsl/diagnostic.ts'
import type { Bundle, Storage } from '../bundle/format.ts'
import { PLAN_KINDS, planKind, WASM } from '../bundle/plans.ts'
import { programFor } from '../bundle/programs.ts'
import { planHere } from './devices.ts'
import type { NetCompileOptions, NetSource } from './net-source.ts'

/** The programs that the work at hand runs, and the name of the device that it runs them on. */
export interface Runs {
  readonly programs: readonly string[]
  readonly device: string
}

/**
 * Compiles the programs that run, for the device that runs them: others would cost time and memory, and nobody asks for them. What the net
 * lacks is missed by who runs it, who says what it has: then it is compiled whole.
 */
export async function compileToRun(net: NetSource, asked: NetCompileOptions, runs: Runs | undefined): Promise<Bundle> {
  if (!runs) return net.compile(asked)
  const { programs, device } = runs
  const { wide, ...rest } = asked
  const targets = await targetsToRun(net, device, asked.storage ?? net.lowering.storage)
  // A bundle may not be for the CPU: who runs it says so.
  const options = wide && targets.includes(WASM) ? asked : rest
  const bundle = await unlessNone(net.compile({ ...options, programs, targets }))
  return bundle && holdsAll(bundle, programs) ? bundle : net.compile(options)
}

/** What a device of that name runs here, if the net is for such devices: a bundle is for those that it was made for. */
export async function targetsToRun({ lowering: { targets } }: NetSource, device: string, storage?: Storage): Promise<readonly string[]> {
  const held = PLAN_KINDS.filter(({ name }) => targets?.includes(name) ?? true)
  const target = await planHere(device, storage ?? 'f32', held.map(({ name }) => name))
  return held.some((kind) => kind.device === planKind(target)?.device) ? [target] : targets ?? [target]
}

/** Gives those of some programs that the bundle that a net comes from was not compiled without. */
export const knownTo = ({ lowering }: NetSource, programs: readonly string[]): readonly string[] =>
  programs.filter((name) => lowering.programs?.includes(name) ?? true)

/** Undefined where the net has none of the programs that it was to be compiled for. */
const unlessNone = (compiling: Promise<Bundle>): Promise<Bundle | undefined> =>
  compiling.catch((error: Error & { diagnostics?: readonly Diagnostic[] }) => {
    const errors = error.diagnostics?.filter(({ severity }) => severity === 'error') ?? []
    if (errors.length === 0 || errors.some(({ code }) => code !== 'option/no-program')) throw error
    return undefined
  })

const holdsAll = ({ manifest }: Bundle, programs: readonly string[]): boolean =>
  Object.values(manifest.plans).every((plan) => programs.every((program) => plan.programs[programFor(manifest, program)]))
