import { expect, test } from 'vitest'
import { bytesSource, ImportError, importModel } from '../../import/index.ts'

const file = (name: string, text: string) => bytesSource(name, Uint8Array.from(text, (c) => c.charCodeAt(0)))

test.each([
  ['version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n', /pointer of Git LFS.*\n.*git lfs pull/],
  ['\n<!DOCTYPE html><html>', /page of the web/],
  ['PK\x03\x04archive/data.pkl', /zip archive.*\n.*torch\.onnx\.export/],
  ['\x80\x02\x8a\x0al\xfc\x9c', /pickle of Python/],
  ['\x89HDF\r\n\x1a\n\0', /HDF5/],
  ['{"format": "layers-model", "modelTopology": {', /TensorFlow\.js.*\n.*--tfjs/],
  ['\x1c\0\0\0TFL3\x14', /TensorFlow Lite/],
  ['\x1f\x8b\x08\0', /packed/],
  ['', /empty/],
])('tells what %j is, whatever the name says', async (text, message) => {
  for (const name of ['net.onnx', 'net.prototxt', 'net.cfg', 'net'])
    await expect(importModel(file(name, text))).rejects.toThrow(message)
  await expect(importModel(file('net.cfg', '[net]'), { weights: file('net.weights', text) })).rejects.toThrow(message)
})

test('refuses weights of another format, and any beside ONNX', async () => {
  const importWith = (name: string, weights: string) => importModel(file(name, '[net]'), { weights: file(weights, 'x') })
  await expect(importWith('net.onnx', 'net.weights')).rejects.toThrow(/net\.weights: net\.onnx is ONNX, which brings its weights itself/)
  await expect(importWith('net.cfg', 'net.caffemodel')).rejects.toThrow(/no weights of Darknet.*\n.*a \.weights/)
  await expect(importWith('net.prototxt', 'net.onnx')).rejects.toThrow(/no weights of Caffe.*\n.*a \.caffemodel/)
})

test('names of files stand in commands as a shell takes them', async () => {
  for (
    const [name, mend] of [['a b.caffemodel', /deploy\.prototxt "a b\.caffemodel" -o/], [
      'a b.weights',
      /net\.cfg "a b\.weights" -o/,
    ]] as const
  )
    await expect(importModel(file(name, ''))).rejects.toThrow(mend)
  await expect(importModel(file('$x.net', ''))).rejects.toThrow(/compile '\$x\.net' -o/)
})

test('says how bytes become a source', async () => {
  await expect(importModel(new Uint8Array(4) as never)).rejects.toThrow("importModel takes a ByteSource, bytesSource('net.onnx', bytes)")
})

test('tells once what many tensors miss', () => {
  const missing = { where: 'net.onnx', what: 'it needs the file net.onnx.data' }
  expect(new ImportError([missing, { ...missing }, { ...missing, mend: 'fetch it' }]).problems).toHaveLength(2)
})
