import { describe, expect, test } from 'vitest'
import { fusenet, json } from './helper.ts'

describe('a wrong command line gives exit code 2 and says what was meant', () => {
  test.each([
    ['an unknown verb', ['trian'], /there is no verb trian; did you mean train\?/],
    ['help of an unknown verb', ['help', 'trian'], /there is no verb trian; did you mean train\?/],
    ['a verb that is like none', ['frobnicate'], /there is no verb frobnicate; fusenet --help lists the verbs/],
    ['a file and no verb', ['a.net'], /a\.net is a file, and what to do with it stands before it: fusenet check a\.net/],
    ['a model and no verb', ['a b.onnx'], /a b\.onnx is a file, .*: fusenet import "a b\.onnx" -o DIR/],
    ['a model of PyTorch and no verb', ['m.pt'], /m\.pt: .*; export it: torch\.onnx\.export\(.*, then fusenet import model\.onnx -o DIR/],
    ['weights of Caffe and no verb', ['m.caffemodel'], /: fusenet import deploy\.prototxt m\.caffemodel -o DIR brings it/],
    ['weights of Darknet and no verb', ['m.weights'], /: fusenet import net\.cfg m\.weights -o DIR brings it/],
    [
      'a model of Keras and no verb',
      ['m.h5'],
      /m\.h5: .*; convert it to ONNX: python -m tf2onnx\.convert --keras m\.h5 .*, then fusenet import/,
    ],
    ['a model of TensorFlow Lite and no verb', ['m.TFLITE'], /tf2onnx\.convert --tflite m\.TFLITE/],
    ['weights alone and no verb', ['m.safetensors'], /m\.safetensors: .*; weights go to a \.net file with --weights/],
    ['a picture and no verb', ['cat.jpeg'], /cat\.jpeg is a picture, .*: fusenet run BUNDLE --input cat\.jpeg/],
    ['a verb of another command', ['predict'], /there is no verb predict; did you mean run\?/],
    ['two verbs for one', ['help', 'convert'], /there is no verb convert; did you mean import or export\?/],
    ['a layer behind layers', ['layers', 'conv'], /too many arguments for 'layers'.*; all of one: fusenet help conv$/m],
    ['an unknown option', ['train', 'a.net', '--epoch', '3'], /unknown option '--epoch'[^]*Did you mean --epochs\?/],
    [
      'a rate',
      ['train', 'a.net', '--lr', '0.1'],
      /unknown option '--lr'; this is said in the file, in its train block: train \{ solver sgd\(lr: 0\.1/,
    ],
    ['a solver', ['train', 'a.net', '--weight-decay=0.1'], /unknown option '--weight-decay.*in its train block/],
    ['a length, by another name', ['train', 'a.net', '-e', '5'], /unknown option '-e'; how long is --epochs or --steps, of train/],
    [
      'a limit of what is run',
      ['run', 'out/a', '--limit', '5'],
      /unknown option '--limit'; a part of the data is --limit, of train and eval/,
    ],
    ['a batch, by another name', ['train', 'a.net', '--batch-size', '3'], /unknown option '--batch-size'[^]*--batch/],
    ['a device, by its name', ['eval', 'a', '--gpu'], /unknown option '--gpu'; where it runs is --device webgpu/],
    ['an option that nothing is like', ['eval', 'a', '--frobnicate'], /unknown option '--frobnicate'$/m],
    ['a module, without its format', ['compile', 'a.net', '-o', 'a.js'], /-o a\.js: a bundle is a folder; .*--format esm/],
    ['weights for a bundle', ['train', 'a.net', '-o', 'a.safetensors'], /-o a\.safetensors: a bundle is a folder; its weights are/],
    ['a model for a bundle', ['tune', 'a.net', '-o', 'a.onnx'], /-o a\.onnx: a bundle is a folder; .*fusenet export/],
    ['a missing file', ['check'], /missing required argument 'file.net'; fusenet check --help tells/],
    ['too many files', ['compile', 'a.net', 'b.net', '-o', 'x'], /too many arguments/],
    ['a missing output', ['compile', 'a.net'], /required option '-o, --output <path>'/],
    ['a style that is none', ['inspect', 'a.net', '--style', 'fused'], /Allowed choices are merged, split/],
    ['a device that is none', ['run', 'a', '--device', 'cuda'], /Allowed choices are auto, webgpu, wasm, interpreter/],
    ['a number that is none', ['train', 'a.net', '--epochs', 'two'], /whole number from 1 on/],
    ['zero epochs', ['train', 'a.net', '--epochs', '0'], /whole number from 1 on/],
    ['a fraction', ['train', 'a.net', '--batch', '1.5'], /whole number from 1 on/],
    ['a negative seed', ['train', 'a.net', '--seed', '-1'], /whole number from 0 on/],
    ['no minutes', ['train', 'a.net', '--minutes', '0'], /number above 0/],
    ['two lengths', ['train', 'a.net', '--epochs', '1', '--steps', '2'], /cannot be used with/],
    ['an option without its value', ['train', 'a.net', '--data'], /argument missing/],
    ['results to a text file', ['run', 'a', '--input', 'x.npy', '-o', 'y.txt'], /written to \.csv, \.safetensors or \.npy/],
    ['a module that is no .js', ['compile', 'a.net', '--format', 'esm', '-o', 'out'], /ends in \.js or \.mjs/],
    ['two data sets, of which the last would be taken', ['train', 'a.net', '--data', 'a', '--data', 'b'], /--data is given twice: a and b/],
    [
      'f16 on the CPU',
      ['eval', 'a', '--storage', 'f16', '--device', 'wasm'],
      /--storage f16 is for WebGPU: leave it out with --device wasm/,
    ],
    [
      'a folder with the name of a file',
      ['export', 'a.net', '--to', 'torch', '-o', 'a.onnx'],
      /-o a\.onnx: a net for PyTorch is a folder, .*: -o a-torch/,
    ],
    ['several seeds of one snapshot', ['train', 'a.net', '--resume', 'x', '--seeds', '3'], /--resume goes on with one training/],
  ])('%s', async (_, argv, message) => {
    const { code, out, err } = await fusenet(argv)
    expect(err).toMatch(message)
    expect(code).toBe(2)
    expect(out).toBe('')
  })

  test('with --json it is JSON', async () => {
    const said = await fusenet(['train', 'a.net', '--epoch', '3', '--json'])
    expect(said.code).toBe(2)
    expect(json(said).error).toEqual({ exitCode: 2, message: expect.stringContaining("unknown option '--epoch'") })
  })
})

describe('nothing at all', () => {
  test('says what it is and three commands to try, whose file is there', async () => {
    const { code, out, err } = await fusenet([])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(/^fusenet \d+\.\d+\.\d+ compiles/)
    expect(out.match(/^ {2}fusenet \w+ /gm)).toEqual(['  fusenet inspect ', '  fusenet train ', '  fusenet eval '])
    const file = /^ {2}fusenet inspect (\S+\.net)/m.exec(out)![1]!
    expect((await fusenet(['check', file])).code).toBe(0)
  })

  test('with --json it is JSON', async () => {
    const said = await fusenet(['--json'])
    expect(said.code).toBe(0)
    expect(json(said)).toEqual({
      fusenet: expect.any(String),
      try: [1, 2, 3].map(() => ({ command: expect.stringMatching(/^fusenet /), what: expect.any(String) })),
    })
  })
})

describe('help', () => {
  test('lists all verbs, exit code 0', async () => {
    const { code, out } = await fusenet(['--help'])
    expect(code).toBe(0)
    for (const verb of ['init', 'check', 'fmt', 'inspect', 'compile', 'run', 'step', 'train', 'eval', 'bench', 'tune', 'devices'])
      expect(out).toMatch(new RegExp(`^  ${verb} `, 'm'))
  })

  test.each([[['train', '--help']], [['help', 'train']]])('of a verb: %s', async (argv) => {
    const { code, out } = await fusenet(argv)
    expect(code).toBe(0)
    for (
      const option of [
        '--data',
        '--epochs',
        '--steps',
        '--seed ',
        '--seeds',
        '--batch',
        '--limit',
        '--output',
        '--resume',
        '--snapshot-dir',
        '--device',
        '--json',
      ]
    ) expect(out).toContain(option)
  })

  test('the version is that of package.json', async () => {
    const { code, out } = await fusenet(['--version'])
    expect(code).toBe(0)
    expect(out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })
})

describe('a wrong input gives exit code 1', () => {
  test.each([
    [
      'a file that is not there',
      ['check', 'samples/mnits.net'],
      /there is no file samples\/mnits\.net; did you mean samples\/mnist\.net\?/,
    ],
    ['a folder', ['check', 'samples'], /samples is a folder; a program ends in \.net/],
    ['a file of another kind', ['check', 'README.md'], /README\.md is no \.net file/],
    ['a bundle that is none', ['run', 'samples', '--input', 'x.npy'], /bundle\.json: is not there/],
  ])('%s', async (_, argv, message) => {
    const { code, err } = await fusenet(argv)
    expect(err).toMatch(message)
    expect(code).toBe(1)
  })
})
