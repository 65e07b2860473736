import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeNpy, parseNpy } from '../../runtime/loading/npy.ts'
import { readInputs } from '../../cli/inputs.ts'
import { writeTensors } from '../../cli/tensors.ts'
import { readBytes } from '../../cli/files.ts'
import type { Bundle, InputEntry, TensorData } from '../../bundle/format.ts'
import { readSafetensors, writeSafetensors } from '../../runtime/loading/safetensors.ts'

const image: InputEntry = { name: 'image', type: 'f32', shape: ['n', 3, 2, 2] }
const label: InputEntry = { name: 'label', type: 'i32', shape: ['n'], classes: 10 }
const bundleOf = (augment: readonly unknown[] = []): Bundle =>
  ({ manifest: { name: 'net', inputs: [image, label], train: { augment } }, files: new Map() }) as unknown as Bundle
const bundle = bundleOf()

let folder: string
const at = (name: string): string => join(folder, name)
const pixels: TensorData = { shape: [2, 3, 2, 2], type: 'f32', data: Float32Array.from({ length: 24 }, (_, i) => i) }
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fusenet-tensors-'))
  await writeFile(at('image.npy'), encodeNpy(pixels))
  await writeFile(at('one.npy'), encodeNpy({ shape: [3, 2, 2], type: 'f32', data: Float32Array.from({ length: 12 }, (_, i) => i) }))
  await writeFile(at('label.npy'), encodeNpy({ shape: [2], type: 'i64', data: BigInt64Array.of(3n, 7n) }))
  await writeFile(at('half.npy'), encodeNpy({ shape: [2], type: 'f32', data: Float32Array.of(1, 2.5) }))
  await writeFile(
    at('both.safetensors'),
    writeSafetensors(new Map([['image', pixels], ['label', { shape: [2], type: 'i32', data: Int32Array.of(3, 7) }]])),
  )
  await writeFile(at('wrong.safetensors'), writeSafetensors(new Map([['imgae', pixels]])))
  await sharp({ create: { width: 5, height: 9, channels: 3, background: { r: 255, g: 51, b: 0 } } }).png().toFile(at('red.png'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('inputs', () => {
  test('by name from .npy, labels of any integer type', async () => {
    const { values, samples } = await readInputs([`image=${at('image.npy')}`, `label=${at('label.npy')}`], bundle, [image, label])
    expect(samples).toBe(2)
    expect(values['image']).toEqual(pixels.data)
    expect(values['label']).toEqual(Int32Array.of(3, 7))
  })

  test('all at once from .safetensors; what the program does not read is left out', async () => {
    expect(Object.keys((await readInputs([at('both.safetensors')], bundle, [image, label])).values)).toEqual(['image', 'label'])
    expect(Object.keys((await readInputs([at('both.safetensors')], bundle, [image])).values)).toEqual(['image'])
  })

  test('without a name where one is wanted; one sample may leave out the batch', async () => {
    expect((await readInputs([at('one.npy')], bundle, [image])).samples).toBe(1)
  })

  test('pictures make a batch, values 0..1, of the middle where the train block crops', async () => {
    const plain = await readInputs([at('red.png'), at('red.png')], bundle, [image])
    expect(plain.samples).toBe(2)
    const planes = [1, 1, 1, 1, 0.2, 0.2, 0.2, 0.2, 0, 0, 0, 0]
    expect(Array.from(plain.values['image']!, (v) => Math.round(v * 1e6) / 1e6)).toEqual([...planes, ...planes])
    const changed = await readInputs([at('red.png')], bundleOf([{ call: 'mirror', args: {} }, { call: 'crop', args: { size: [2, 2] } }]), [
      image,
    ])
    expect(Array.from(changed.values['image']!, (v) => Math.round(v * 1e6) / 1e6)).toEqual(planes)
  })

  test.each([
    ['nothing', () => [], /inputs are missing.*image \[n, 3, 2, 2\]/],
    ['no name where two are wanted', () => [at('image.npy')], /which input is it\?/],
    ['an unknown name', () => [`imaeg=${at('image.npy')}`], /no input imaeg; did you mean image\?/],
    ['an unknown tensor', () => [at('wrong.safetensors')], /holds imgae.*did you mean image\?/],
    ['fractions as labels', () => [`image=${at('image.npy')}`, `label=${at('half.npy')}`], /label holds integers, the file has 2\.5/],
    ['another extension', () => ['image=x.txt'], /not from \.txt/],
    ['two in one option', () => ['image=a.npy,label=b.npy'], /several options: --input image=a\.npy --input label=b\.npy$/],
    [
      'a file that is not there',
      () => [`image=${at('imag.npy')}`, `label=${at('label.npy')}`],
      /there is no file.*did you mean .*image\.npy\?/,
    ],
  ])('%s is refused', async (_, given, message) => {
    await expect(readInputs(given(), bundle, [image, label])).rejects.toThrow(message)
  })

  test('all that does not fit is told at once', async () => {
    const refusal = readInputs([`image=${at('label.npy')}`], bundle, [image, label])
    await expect(refusal).rejects.toThrow(/image is \[2\], the net takes \[n, 3, 2, 2\]/)
    await expect(refusal).rejects.toThrow(/label \[n\] is missing/)
    await expect(readInputs([`image=${at('one.npy')}`, `label=${at('label.npy')}`], bundle, [image, label])).rejects.toThrow(
      /different numbers of samples: image 1, label 2/,
    )
  })
})

describe('results', () => {
  const results = new Map<string, TensorData>([['prob', { shape: [2], type: 'f32', data: Float32Array.of(1, 2) }], ['grad/x', {
    shape: [1],
    type: 'f64',
    data: Float64Array.of(3),
  }]])

  test('all into .safetensors, one by name into .npy', async () => {
    await writeTensors([at('all.safetensors'), `grad/x=${at('x.npy')}`], results)
    expect([...readSafetensors(await readBytes(at('all.safetensors'))).tensors.keys()].sort()).toEqual(['grad/x', 'prob'])
    expect(parseNpy(await readBytes(at('x.npy')), 'x')).toEqual(results.get('grad/x'))
  })

  test('refusals', async () => {
    await expect(writeTensors([at('y.npy')], results)).rejects.toThrow(/holds one result, there are prob, grad\/x/)
    await expect(writeTensors([`porb=${at('y.npy')}`], results)).rejects.toThrow(/no result porb; did you mean prob\?/)
  })
})
