/**
 * A WebGPU adapter for machines without one, and a browser for machines without one.
 *
 * Both come from the npm package `@sparticuz/chromium`, which carries a headless Chromium for Linux on x64 and, with it,
 * SwiftShader (Vulkan on the CPU) and a Vulkan loader. Its own JavaScript is not used: it unpacks to fixed names in the
 * shared temporary folder. Here every version gets a folder of its own in node_modules/.cache, which appears complete or
 * not at all, so that any number of processes may ask at once.
 */
import { createReadStream, createWriteStream, existsSync, readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress } from 'node:zlib'

/** Whether the package is built for this machine. */
export const chromiumRunsHere = process.platform === 'linux' && process.arch === 'x64'

/**
 * The Vulkan driver that runs on the CPU: the folder of its libraries (libvulkan.so.1 among them) and the file that
 * tells a Vulkan loader about it.
 */
export async function softwareAdapter() {
  const libraryDir = await unpacked('swiftshader', ['swiftshader.tar.br'])
  return { libraryDir, icd: join(libraryDir, 'vk_swiftshader_icd.json') }
}

/**
 * SwiftShader compiles the zeroing of workgroup memory to a store a word, one after the other: 16 KiB take 9 s to
 * compile and slow down every workgroup. Told that the driver cannot, Dawn prints a loop into the kernel instead: 15 ms.
 */
const SLOW_ON_SWIFTSHADER = 'use_vulkan_zero_initialize_workgroup_memory_extension'

/**
 * Dawn keeps every index of a kernel within its buffer; told to analyse ranges first, it leaves those alone that cannot leave it. Subzero, SwiftShader's
 * compiler, then has a fifth less to do.
 */
const FEWER_CLAMPS = 'enable_integer_range_analysis_in_robustness'

/**
 * What to hand to `create` of the npm package `webgpu`. On Linux the driver is Vulkan's; asked for OpenGL too, Dawn complains where
 * there is none. Times of kernels are exact: rounded to 65 microseconds, as for pages, they say nothing of small ones.
 */
export const dawnFlags = process.platform === 'linux'
  ? ['backend=vulkan', `enable-dawn-features=${FEWER_CLAMPS}`, `disable-dawn-features=${SLOW_ON_SWIFTSHADER},timestamp_quantization`] : []

/**
 * What to start Chromium with. Without the first, it offers no adapter that runs on the CPU; without the second, it may
 * take another.
 */
export const chromiumFlags = [
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  `--disable-dawn-features=${SLOW_ON_SWIFTSHADER}`,
]

/**
 * What the environment of a process holds *before it starts*, so that WebGPU finds the software adapter in it. Nothing
 * on macOS and Windows: their WebGPU brings what it needs.
 */
export async function softwareAdapterEnvironment(environment = process.env) {
  if (process.platform !== 'linux') return {}
  const { libraryDir, icd } = await softwareAdapter()
  // Loaders since 1.3.207 prefer VK_DRIVER_FILES, older ones know VK_ICD_FILENAMES alone.
  return { LD_LIBRARY_PATH: prepend([libraryDir], environment.LD_LIBRARY_PATH), VK_DRIVER_FILES: icd, VK_ICD_FILENAMES: icd }
}

/**
 * The same for the process that is running. Call it before anything makes a GPU object. The dynamic linker reads
 * LD_LIBRARY_PATH only as a process starts, but a library that is loaded already is found by its name ever after.
 */
export async function useSoftwareAdapter() {
  const environment = await softwareAdapterEnvironment()
  if (process.platform !== 'linux') return
  Object.assign(process.env, environment)
  const { libraryDir } = await softwareAdapter()
  keepLoaded(join(libraryDir, 'libvulkan.so.1'))
  askLessOften()
}

/**
 * While the package `webgpu` waits for its adapter it asks anew at every turn, by the global setImmediate: it keeps a core
 * busy that a software adapter would compute on (on two cores a net opens in a third of the time without). Now it asks once
 * in a millisecond. Everybody else's setImmediate stays what it is: of functions made by native code, only those of addons
 * have a prototype.
 */
export function askLessOften() {
  const { setImmediate, setTimeout } = globalThis
  const ofAddon = (call) => Object.hasOwn(call, 'prototype') && Function.prototype.toString.call(call).endsWith('{ [native code] }')
  globalThis.setImmediate = Object.assign(
    (call, ...values) => (ofAddon(call) ? setTimeout(call, 1, ...values) : setImmediate(call, ...values)),
    setImmediate,
  )
}

/**
 * The headless Chromium: its executable and the environment that it needs. A machine with nothing but Node lacks some
 * of its libraries (nss, nspr, expat) and all fonts; the package carries both.
 */
export async function headlessChromium(environment = process.env) {
  // SwiftShader once more: Chromium looks for it next to its executable.
  const folder = await unpacked(
    'chromium',
    ['chromium.br', 'swiftshader.tar.br', 'al2023.tar.br', 'fonts.tar.br'],
    async (made, target) => {
      // The package's own looks for fonts where a cloud function has them.
      await writeFile(
        join(made, 'fonts.conf'),
        `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>${target}/fonts</dir><cachedir>${target}/fonts-cache</cachedir></fontconfig>
`,
      )
    },
  )
  return {
    executable: join(folder, 'chromium'),
    environment: { LD_LIBRARY_PATH: prepend([folder, join(folder, 'lib')], environment.LD_LIBRARY_PATH), FONTCONFIG_PATH: folder },
  }
}

/** glibc's RTLD_NODELETE: Node closes again what turns out to be no addon; with it, the library stays. */
const NODELETE = 0x1000

function keepLoaded(library) {
  try {
    process.dlopen({ exports: {} }, library, constants.dlopen.RTLD_NOW | NODELETE)
  } catch (error) {
    // This complaint comes after loading: the library is there, and is no addon of Node's.
    if (!/did not self-register/.test(String(error))) throw error
  }
}

const prepend = (folders, list) =>
  [...folders, ...(list ?? '').split(delimiter).filter((folder) => folder && !folders.includes(folder))].join(delimiter)

/** One unpacking a folder and process. */
const unpacking = new Map()

/** The folder of that name in the cache, with the content of these files of the package; `finish` adds to it before anybody sees it. */
function unpacked(name, files, finish) {
  if (!unpacking.has(name)) unpacking.set(name, unpack(name, files, finish))
  return unpacking.get(name)
}

async function unpack(name, files, finish) {
  const from = chromiumPackage()
  const cache = join(from.modules, '.cache', 'fusenet', `chromium-${from.version}`)
  const target = join(cache, name)
  if (existsSync(target)) return target
  const { extract } = await import('tar-fs')
  await mkdir(cache, { recursive: true })
  // Next to the target: a rename is atomic within one file system only.
  const temporary = await mkdtemp(`${target}.partial-`)
  try {
    await chmod(temporary, 0o755)
    await Promise.all(files.map((file) =>
      pipeline(
        createReadStream(join(from.folder, 'bin', file)),
        createBrotliDecompress({ chunkSize: 1 << 20 }),
        // Not to the owner that the archive names, even as root.
        file.endsWith('.tar.br') ? extract(temporary, { chown: false })
          : createWriteStream(join(temporary, basename(file, '.br')), { mode: 0o755 }),
      )
    ))
    await finish?.(temporary, target)
    await rename(temporary, target).catch((error) => {
      // Another process was faster; what it made is the same.
      if (!existsSync(target)) throw error
    })
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  return target
}

/** Where the package lies, its version, and the node_modules that holds it. */
function chromiumPackage() {
  if (!chromiumRunsHere) {
    throw new Error(`the software adapter and the browser are built for Linux on x64, this is ${process.platform} on ${process.arch}`)
  }
  // package.json is not among the package's exports; its entry point is, a few folders deep.
  let folder = dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium'))
  while (basename(folder) !== 'chromium') folder = dirname(folder)
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return { folder, version, modules: join(folder, '..', '..') }
}
