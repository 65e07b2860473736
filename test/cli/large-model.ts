import { PbfWriter } from 'pbf'

type Sizes = readonly [out: number, channels: number, kernel: number]

/** A model of ONNX with the convolutions of resnet18, one behind the other, and nothing else: 44 MB of weights. */
export function largeModel(): Uint8Array {
  const stage = (out: number, channels: number): Sizes[] => [[out, channels, 3], [out, out, 3], [out, out, 3], [out, out, 3]]
  const sizes: readonly Sizes[] = [[64, 3, 7], ...stage(64, 64), ...stage(128, 64), ...stage(256, 128), ...stage(512, 256)]
  const graph = new PbfWriter()
  sizes.forEach(([out, channels, kernel], i) => {
    const values = new Float32Array(out * channels * kernel * kernel).fill(i / 8)
    graph.writeMessage(5, (_: undefined, tensor: PbfWriter) => {
      for (const dim of [out, channels, kernel, kernel]) tensor.writeVarintField(1, dim)
      tensor.writeVarintField(2, 1)
      tensor.writeStringField(8, `layer${i}.weight`)
      tensor.writeBytesField(9, new Uint8Array(values.buffer))
    }, undefined)
    graph.writeMessage(1, (_: undefined, node: PbfWriter) => {
      for (const input of [i === 0 ? 'image' : `x${i}`, `layer${i}.weight`]) node.writeStringField(1, input)
      node.writeStringField(2, i === sizes.length - 1 ? 'y' : `x${i + 1}`)
      node.writeStringField(4, 'Conv')
    }, undefined)
  })
  graph.writeStringField(2, 'large')
  for (const [field, name, dims] of [[11, 'image', [1, 3, 64, 64]], [12, 'y', []]] as const) {
    graph.writeMessage(field, (_: undefined, info: PbfWriter) => {
      info.writeStringField(1, name)
      info.writeMessage(2, (_: undefined, type: PbfWriter) => {
        type.writeMessage(1, (_: undefined, tensor: PbfWriter) => {
          tensor.writeVarintField(1, 1)
          if (dims.length > 0)
            tensor.writeMessage(2, (_: undefined, shape: PbfWriter) => {
              for (const dim of dims) shape.writeMessage(1, (_: undefined, one: PbfWriter) => one.writeVarintField(1, dim), undefined)
            }, undefined)
        }, undefined)
      }, undefined)
    }, undefined)
  }
  const model = new PbfWriter()
  model.writeVarintField(1, 8)
  model.writeBytesField(7, graph.finish())
  model.writeMessage(8, (_: undefined, opset: PbfWriter) => opset.writeVarintField(2, 13), undefined)
  return model.finish()
}
