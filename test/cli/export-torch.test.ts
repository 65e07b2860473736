import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { TensorData } from '../../bundle/format.ts'
import { compile, interpreter } from '../../compiler/index.ts'
import { open, readSafetensors, writeSafetensors } from '../../runtime/index.ts'
import { hasTorch, PYTHON } from '../export/torch/cases.ts'
import { fusenet, json } from './helper.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusenet-torch-'))
const text = `net tiny {
  input image: f32[2, 4, 4]
  input label: class[3]
  logits = image -> conv(3, 3) as conv1 -> batch_norm as bn1 -> relu -> fc(3)
  output prob = softmax(logits)
  loss = softmax_loss(logits, label)
}
train { solver sgd(lr: 0.1)  seed 5 }
`
const file = join(folder, 'tiny.net')
writeFileSync(file, text)
const out = join(folder, 'new', 'tiny')
const tensorsOf = (path: string) => readSafetensors(Uint8Array.from(readFileSync(path))).tensors

test('writes a folder, and again over its own; what else lies in it stays', async () => {
  const said = await fusenet(['export', file, '--to', 'torch', '-o', out])
  expect(said).toMatchObject({ code: 0, err: '' })
  expect(said.out).toMatch(
    /tiny for PyTorch, 8 tensors.*\n  forward  image \[n, 2, 4, 4\], label \[n\]\n  results  prob, loss\n  weights  as they start/,
  )
  expect(readdirSync(out)).toEqual(
    expect.arrayContaining(['net.py', 'weights.py', 'weights.safetensors', 'settings.json', 'README.md', 'train.py']),
  )
  writeFileSync(join(out, 'notes.txt'), 'mine')
  const again = json(await fusenet(['export', file, '--to', 'torch', '-o', out, '--style', 'split', '--json']))
  expect(again).toMatchObject({ folder: out, trained: false, inputs: [{ argument: 'image' }, { argument: 'label' }] })
  expect(readFileSync(join(out, 'notes.txt'), 'utf8')).toBe('mine')
  expect(readFileSync(join(out, 'net.py'), 'utf8')).toContain('self.bn1.scale(self.bn1.normalize(logits))')
  expect(readdirSync(out).filter((name) => name.endsWith('.tmp'))).toEqual([])
})

test('a net without outputs, which trains, and one without losses, which infers', async () => {
  const nets = { loss: text.replace(/  output .*\n/, ''), prob: text.slice(0, text.indexOf('  loss')) + '}\n' }
  for (const [name, net] of Object.entries(nets)) {
    const path = join(folder, `${name}.net`)
    writeFileSync(path, net)
    const said = await fusenet(['export', path, '--to', 'torch', '-o', join(folder, name)])
    expect(said).toMatchObject({ code: 0, err: '', out: expect.stringContaining(`results  ${name}\n`) })
  }
})

test('writes over no folder of others, takes no options of other formats, and tells what PyTorch cannot hold', async () => {
  const other = join(folder, 'other')
  mkdirSync(other)
  writeFileSync(join(other, 'net.py'), 'x')
  expect(await fusenet(['export', file, '--to', 'torch', '-o', other]))
    .toMatchObject({ code: 1, err: expect.stringContaining('fusenet did not write it: name another folder') })
  const plain = join(folder, 'plain')
  writeFileSync(plain, '')
  expect(await fusenet(['export', file, '--to', 'torch', '-o', plain])).toMatchObject({
    code: 1,
    err: expect.stringContaining('is a file'),
  })
  expect(await fusenet(['export', file, '--to', 'torch', '-o', file]))
    .toMatchObject({ code: 2, err: expect.stringContaining('.net ends the name of a file') })
  for (const option of [['--fold'], ['--opset', '17'], ['--batch', '2']])
    expect(await fusenet(['export', file, '--to', 'torch', '-o', join(folder, 'no'), ...option])).toMatchObject({ code: 2 })
  expect(await fusenet(['export', file, '--to', 'torch', '-o', ''])).toMatchObject({ code: 2 })
  const named = join(folder, 'named.net')
  writeFileSync(named, text.replace('as bn1', 'as training'))
  const said = json(await fusenet(['export', named, '--to', 'torch', '-o', join(folder, 'no'), '--json']))
  expect(said.error.problems).toEqual([{
    where: 'training',
    what: expect.stringContaining('train() and eval()'),
    mend: expect.any(String),
  }])
  expect(existsSync(join(folder, 'no'))).toBe(false)
})

test('weights: those that a net starts with for its seed, those that are given, those of a state_dict', async () => {
  const first = tensorsOf(join(out, 'weights.safetensors'))
  const opened = await open(compile(text, { targets: [], programs: ['infer'] }), { device: interpreter(), batch: 1, programs: ['infer'] })
  for (const [name, { data }] of await opened.parameters())
    expect(first.get(name)!.data, name).toEqual(Float32Array.from(data as Float32Array))
  opened.close()
  const bundle = join(folder, 'bundle')
  expect(await fusenet(['compile', file, '-o', bundle])).toMatchObject({ code: 0 })
  const changed = new Map([...first].map(([name, { data, ...rest }]): [string, TensorData] => [
    name,
    { ...rest, data: Float32Array.from(data as Float32Array, (x) => x + 1) },
  ]))
  const wrapped = new Map([...changed].map(([name, tensor]) => [`module._orig_mod.${name}`, tensor]))
  wrapped.set('module._orig_mod.bn1.num_batches_tracked', { shape: [], type: 'i64', data: new BigInt64Array(1) })
  const given = join(folder, 'given.safetensors')
  writeFileSync(given, writeSafetensors(wrapped))
  expect(await fusenet(['export', bundle, '--weights', given, '--to', 'torch', '-o', out])).toMatchObject({ code: 0, err: '' })
  const taken = tensorsOf(join(out, 'weights.safetensors'))
  expect([...taken.keys()]).toEqual([...first.keys()])
  for (const [name, { data }] of taken) expect(data, name).toEqual(changed.get(name)!.data)
  expect(JSON.parse(readFileSync(join(out, 'settings.json'), 'utf8'))).toMatchObject({ trained: true, name: 'tiny' })
})

test.skipIf(!hasTorch())('what a user does by hand: load, compute, save, and back (python3-torch)', async () => {
  const script = `
import torch
from net import Net
from weights import load, save
net = Net()
net.load_state_dict(load("weights.safetensors"))
net.eval()
image = torch.arange(64.).reshape(2, 2, 4, 4) / 64
assert list(net(image)) == ["prob"]
assert list(net(image, torch.tensor([0, 2]))) == ["prob", "loss"]
with torch.no_grad():
    for value in net.parameters():
        value.mul_(2)
save(net.double().state_dict(), "doubled.safetensors")
try:
    load("net.py")
except ValueError as problem:
    print(problem)
`
  const said = execFileSync(PYTHON, ['-c', script], { cwd: out, encoding: 'utf8' })
  expect(said).toContain('net.py is no safetensors file')
  const back = join(folder, 'back')
  expect(await fusenet(['export', file, '--weights', join(out, 'doubled.safetensors'), '--to', 'torch', '-o', back]))
    .toMatchObject({ code: 0, err: '' })
  const before = tensorsOf(join(out, 'weights.safetensors'))
  for (const [name, { data }] of tensorsOf(join(back, 'weights.safetensors'))) {
    const factor = name.includes('running') ? 1 : 2
    expect(data, name).toEqual((before.get(name)!.data as Float32Array).map((x) => factor * x))
  }
})
