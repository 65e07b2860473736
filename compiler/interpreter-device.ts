import { type Device, DeviceError } from '../bundle/device.ts'
import { compileFor } from './compile.ts'
import { InterpreterSession } from './interpreter-session.ts'
import { interpreterTarget } from './targets/interpreter/target.ts'

/**
 * A device that runs a bundle's net in float64, as its text says, with the fusions of its style: for `open(bundle, { device:
 * interpreter() })`. It compiles the text that the bundle carries, so it needs no kernels.
 */
export function interpreter(): Device<'f64'> {
  return {
    name: 'interpreter',
    description: 'float64, one point after another',
    precision: 'f64',
    software: true,
    load: async (bundle, batch, wanted) => {
      const { plans, programs: asked = [] } = bundle.manifest
      const compiled = new Set([...asked, ...Object.values(plans).flatMap((plan) => Object.keys(plan.programs))])
      const programs = wanted ?? (compiled.size > 0 ? [...compiled] : undefined)
      const [main, ...others] = bundle.manifest.source.files
      if (!main) throw new DeviceError('this bundle carries no text, which the interpreter needs')
      const { pipelines } = compileFor({ file: main.name, text: main.text }, [interpreterTarget], {
        style: bundle.manifest.style,
        // Whoever opens it decides at which batch, and is told there.
        allowOneValue: true,
        ...(bundle.manifest.memory && { memory: bundle.manifest.memory }),
        ...(bundle.manifest.freeze && { freeze: bundle.manifest.freeze }),
        ...(programs && { programs }),
        readImport: (path) => {
          const found = others.find((f) => f.name.endsWith(path.replace(/^\.\//, '')))
          return found && { file: found.name, text: found.text }
        },
      })
      const [pipeline] = pipelines as [(typeof pipelines)[number]]
      const equations = new Map(pipeline.programs.map((p) => [p.name, p.steps.map((s) => s.fused.equation)]))
      return new InterpreterSession(pipeline.plan, equations, batch)
    },
    close: () => {},
  }
}
