import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fusenet, json } from './helper.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusenet-import-'))

test('tells what is no model, and what to do', async () => {
  const file = join(folder, 'net.weights')
  writeFileSync(file, 'x')
  const said = await fusenet(['import', file, '-o', join(folder, 'out')])
  expect(said).toMatchObject({ code: 1, out: '' })
  expect(said.err).toContain('a .weights file holds weights; the net is in a .cfg')
  expect(json(await fusenet(['import', file, '-o', join(folder, 'out'), '--json'])).error.problems).toEqual([
    { where: 'net.weights', what: expect.any(String), mend: expect.stringContaining('net.cfg net.weights') },
  ])
})

test.each([
  [['--shape', 'data=3x'], /say it as NAME=3x224x224/],
  [['--shape', 'data=3x0'], /sizes are whole numbers from 1 on/],
  [['--name', '3d'], /no digit in front/],
])('refuses %j', async (options, message) => {
  const said = await fusenet(['import', 'model.onnx', '-o', join(folder, 'out'), ...options])
  expect(said.code).toBe(2)
  expect(said.err).toMatch(message)
})

test('writes into no folder of others', async () => {
  const file = join(folder, 'net.cfg')
  writeFileSync(file, '[net]\n')
  const used = join(folder, 'used')
  mkdirSync(used)
  writeFileSync(join(used, 'thesis.txt'), 'x')
  const said = await fusenet(['import', file, '-o', used])
  expect(said).toMatchObject({ code: 1, err: expect.stringContaining('holds other files (thesis.txt)') })
  // A file was meant.
  expect(await fusenet(['import', file, '-o', join(folder, 'mine.net')])).toMatchObject({
    code: 2,
    err: expect.stringContaining('an import is a folder, of a text and its weights; name it without the ending'),
  })
})

test("a solver's net has its own name, and a net that of its file", async () => {
  const at = join(folder, 'caffe')
  mkdirSync(at)
  writeFileSync(
    join(at, 'train_val.prototxt'),
    `name: "Small Net" input: "x" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4
     layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" inner_product_param { num_output: 2 } }`,
  )
  writeFileSync(join(at, 'solver.prototxt'), 'net: "train_val.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 10')
  const written = async (file: string, ...options: string[]): Promise<string[]> => {
    const out = join(at, `out-${file}-${options.length}`)
    expect(await fusenet(['import', join(at, file), '-o', out, ...options])).toMatchObject({ code: 0 })
    return readdirSync(out).filter((name) => name.endsWith('.net'))
  }
  expect(await written('solver.prototxt')).toEqual(['Small_Net.net'])
  expect(await written('train_val.prototxt')).toEqual(['train_val.net'])
  expect(await written('solver.prototxt', '--name', 'mine')).toEqual(['mine.net'])
})

test('writes text, weights and what became what; a text that was changed since is not written over', async () => {
  const file = join(folder, 'tiny.cfg')
  writeFileSync(file, '[net]\nheight=2\nwidth=2\nchannels=1\n\n[convolutional]\nfilters=2\nsize=1\nstride=1\nactivation=linear\n')
  // Of version 0.2: three numbers, 64 bits of pictures seen; then two biases and two weights.
  const weights = new Uint8Array(20 + 16)
  new DataView(weights.buffer).setInt32(4, 2, true)
  weights.set(new Uint8Array(Float32Array.of(0.5, -1, 3, 4).buffer), 20)
  writeFileSync(join(folder, 'tiny.weights'), weights)
  const out = join(folder, 'tiny')
  const said = await fusenet(['import', file, join(folder, 'tiny.weights'), '-o', out, '--json'])
  expect(said.err).toBe('')
  const result = json(said)
  expect(result).toMatchObject({ name: 'tiny', parameters: 4, written: ['tiny.net', 'weights.safetensors', 'import.json'] })
  expect(readdirSync(out).sort()).toEqual(['import.json', 'tiny.net', 'weights.safetensors'])
  const bundle = join(folder, 'bundle')
  const compiled = await fusenet(['compile', join(out, 'tiny.net'), '--weights', join(out, 'weights.safetensors'), '-o', bundle])
  expect(compiled).toMatchObject({ code: 0 })
  const net = readFileSync(join(out, 'tiny.net'), 'utf8')

  // Of damaged weights it is told.
  const nan = new Uint8Array(weights)
  nan.set(new Uint8Array(Float32Array.of(NaN, -1, 3, 4).buffer), 20)
  writeFileSync(join(folder, 'nan.weights'), nan)
  expect((await fusenet(['import', file, join(folder, 'nan.weights'), '-o', join(folder, 'nan')])).out)
    .toMatch(/differs {2}\w+\.bias: 1 of its 2 values are NaN or infinite/)

  // Once more: the same again, without weights, which then are gone.
  expect((await fusenet(['import', file, '-o', out])).code).toBe(0)
  expect(existsSync(join(out, 'weights.safetensors'))).toBe(false)
  writeFileSync(join(out, 'tiny.net'), `// mine\n${net}`)
  expect(await fusenet(['import', file, '-o', out])).toMatchObject({
    code: 1,
    err: expect.stringContaining('was changed since it was imported'),
  })
  expect(readFileSync(join(out, 'tiny.net'), 'utf8')).toContain('// mine')
  expect(await fusenet(['import', file, '-o', out, '--name', 'other'])).toMatchObject({
    code: 1,
    err: expect.stringContaining('holds tiny.net, another net'),
  })
})

test('says what to type next: to train where the model brings a training, to compile where it brings weights', async () => {
  const net = '[net]\nheight=2\nwidth=2\nchannels=1\n'
  const layers = '[connected]\noutput=2\nactivation=linear\n[softmax]\n'
  writeFileSync(join(folder, 'trained.cfg'), `${net}batch=8\nlearning_rate=0.1\nmax_batches=50\n\n${layers}`)
  const next = async (...given: string[]): Promise<string[]> => {
    const { out } = await fusenet(['import', ...given, '-o', join(folder, 'next')])
    return [...out.slice(out.indexOf('What to type next:')).matchAll(/^ {2}fusenet (\w+)/gm)].map(([, verb]) => verb!)
  }
  expect(await next(join(folder, 'trained.cfg'))).toEqual(['train'])
  // Four weights of each of two outputs, and two biases.
  const weights = new Uint8Array(20 + 40)
  new DataView(weights.buffer).setInt32(4, 2, true)
  writeFileSync(join(folder, 'trained.weights'), weights)
  expect(await next(join(folder, 'trained.cfg'), join(folder, 'trained.weights'))).toEqual(['train', 'compile'])
  // As a shell takes it.
  const { out } = await fusenet(['import', join(folder, 'trained.cfg'), '-o', join(folder, 'my ü')])
  expect(out).toContain(`fusenet train "${join(folder, 'my ü', 'trained.net')}" --data my-data -o "${join(folder, 'my ü-bundle')}"`)
})

test('other verbs lead to import, and from its folder to what is in it', async () => {
  const model = join(folder, 'model.onnx')
  writeFileSync(model, 'x')
  const imported = join(folder, 'imported')
  mkdirSync(imported)
  for (const name of ['import.json', 'model.net', 'weights.safetensors']) writeFileSync(join(imported, name), '')
  const said = async (path: string) => (await fusenet(['compile', path, '-o', join(folder, 'none')])).err
  expect(await said(model)).toContain(`fusenet import ${model} -o DIR`)
  expect(await said(imported)).toContain(
    `its net is ${join(imported, 'model.net')}, its weights are ${join(imported, 'weights.safetensors')}`,
  )
})
