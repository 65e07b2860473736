/**
 * A WebGPU adapter for machines without one, and a browser for machines without one.
 *
 * Both come from the npm package `@sparticuz/chromium`, which carries a headless Chromium for Linux on x64 and, with it,
 * SwiftShader (Vulkan on the CPU) and a Vulkan loader. Its own JavaScript is not used: it unpacks to fixed names in the
 * shared temporary folder. Here every version gets a folder of its own in node_modules/.cache, which appears complete or
 * not at all, so that any number of processes may ask at once.
 */
import { createReadStream, createWriteStream, existsSync, readFileSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createBrotliDecompress } from 'node:zlib'

/**
 * The Vulkan driver that runs on the CPU: the folder of its libraries (libvulkan.so.1 among them) and the file that
 * tells a Vulkan loader about it.
 */
export async function softwareAdapter() {
  const libraryDir = await unpacked('swiftshader.tar.br')
  return { libraryDir, icd: join(libraryDir, 'vk_swiftshader_icd.json') }
}

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
}

/**
 * The headless Chromium: its executable and the environment that it needs. A machine with nothing but Node lacks some
 * of its libraries (nss, nspr, expat) and all fonts; the package carries both.
 */
export async function headlessChromium(environment = process.env) {
  const [executable, libraries, fonts, { libraryDir }] = await Promise.all([
    unpacked('chromium.br'), unpacked('al2023.tar.br'), unpacked('fonts.tar.br'), softwareAdapter(),
  ])
  return {
    executable,
    environment: {
      LD_LIBRARY_PATH: prepend([libraryDir, join(libraries, 'lib')], environment.LD_LIBRARY_PATH),
      FONTCONFIG_PATH: fonts,
    },
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

const prepend = (folders, list) => [...folders, ...(list ?? '').split(delimiter).filter((folder) => folder && !folders.includes(folder))].join(delimiter)

/** One unpacking a file and process. */
const unpacking = new Map()

/** Where the content of a packed file lies: a folder for `NAME.tar.br`, a file for `NAME.br`. */
function unpacked(name) {
  if (!unpacking.has(name)) unpacking.set(name, unpack(name))
  return unpacking.get(name)
}

async function unpack(name) {
  const from = chromiumPackage()
  const cache = join(from.modules, '.cache', 'fusenet', `chromium-${from.version}`)
  const target = join(cache, basename(name, '.br').replace(/\.tar$/, ''))
  if (existsSync(target)) return target
  await mkdir(cache, { recursive: true })
  // Next to the target: a rename is atomic within one file system only.
  const temporary = await mkdtemp(`${target}.partial-`)
  try {
    const { extract } = await import('tar-fs')
    const packed = createReadStream(join(from.folder, 'bin', name))
    const result = join(temporary, 'result')
    if (name.endsWith('.tar.br')) {
      // Not to the owner that the archive names, even as root.
      await pipeline(packed, createBrotliDecompress(), extract(result, { chown: false }))
    } else {
      await pipeline(packed, createBrotliDecompress({ chunkSize: 1 << 20 }), createWriteStream(result))
      await chmod(result, 0o755)
    }
    await rename(result, target).catch((error) => {
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
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`the software adapter and the browser are built for Linux on x64, this is ${process.platform} on ${process.arch}`)
  }
  // package.json is not among the package's exports; its entry point is, a few folders deep.
  let folder = dirname(createRequire(import.meta.url).resolve('@sparticuz/chromium'))
  while (basename(folder) !== 'chromium') folder = dirname(folder)
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return { folder, version, modules: join(folder, '..', '..') }
}
