/**
 * What TypeScript knows of a net, and what it refuses. It is compiled as it stands: here by `npm run typecheck`, and in empty projects that
 * have nothing but the package, no types of a page and none of Node, with other compilers and module resolutions.
 */
import { arrays, type Device, type Evaluation, InputError, type Net, open, type OpenOptions, type Outputs, wasm, webgpu } from 'fusenet'
import type { Pets } from './pets/bundle.js'

declare function use(...values: unknown[]): void

export async function known(): Promise<void> {
  const net = await open<Pets>('/pets/', { batch: 1, programs: ['infer', 'step'] })
  const image = new Float32Array(3 * 8 * 8)
  const label = Int32Array.of(0)

  const out = await net.run({ image })
  const p: Float32Array = out.prob
  const { prob, embedding } = out
  // Of memory that is not shared: other interfaces of a page take it.
  const own: Float32Array<ArrayBuffer> = embedding
  await net.run({ image: [[[[0]]]], label }, { stats: 'batch' })
  // @ts-expect-error a name that is misspelt
  await net.run({ imgae: image })
  // @ts-expect-error nothing
  await net.run({})
  // @ts-expect-error integers for float32
  await net.run({ image: label })
  // @ts-expect-error an output that is misspelt
  out.prbo
  // @ts-expect-error an option that there is none of
  await net.run({ image }, { stat: 'batch' })

  const { loss, outputs, grads } = await net.step({ image, label: [2] }, { update: false, stats: 'global' })
  const numbers: readonly [number, Float32Array, Float32Array, Float32Array, Float32Array] = [
    loss,
    outputs.prob,
    outputs.accuracy,
    grads['conv1.weight'],
    grads.image,
  ]
  // @ts-expect-error no label
  await net.step({ image })
  // @ts-expect-error statistics have no gradient
  grads['bn1.running_mean']
  const started = await net.trainStep([{ image, label }], { rate: 0.01 })
  const later: number = await started.loss
  // @ts-expect-error no label in the second batch
  await net.trainStep([{ image, label }, { image }])

  const first: 'cat' = net.classes[0]
  const at: number = net.classes.indexOf('sea lion')
  const same: readonly ['cat', 'dog', 'sea lion'] = net.classesOf('label')
  // @ts-expect-error there is no such class
  net.classes.indexOf('dgo')
  // @ts-expect-error there are three
  net.classes[3]
  // @ts-expect-error no label of that name
  net.classesOf('lable')

  const pictures = arrays({
    image: { shape: [3, 8, 8], type: 'f32', data: new Uint8Array(192), scale: 1 / 255 },
    label: { shape: [], type: 'i32', data: label, classes: 3 },
  })
  for await (const event of net.train(pictures, { epochs: 1 })) use(event.step + event.loss)
  const { loss: mean, metrics }: Evaluation<Pets> = await net.evaluate(pictures)
  const sum: number = mean + metrics.accuracy + metrics.loss
  // @ts-expect-error a metric that is misspelt
  metrics.acuracy
  // @ts-expect-error no name of an option
  net.train(pictures, { epoch: 1 })

  const parameters = await net.parameters()
  const weight = parameters.get('head.weight')?.data
  // @ts-expect-error a parameter that is misspelt
  parameters.get('head.wieght')
  await net.setParameters({ 'head.bias': [0, 0, 0] }, { strict: false })
  await net.setParameters(parameters)
  // @ts-expect-error no such parameter
  await net.setParameters({ 'head.bais': [0, 0, 0] }, { strict: false })

  // @ts-expect-error no program of that name
  await open<Pets>('/pets/', { programs: ['infre'] })
  // @ts-expect-error no option of that name
  await open<Pets>('/pets/', { bacth: 1 })
  // @ts-expect-error no device of that name
  await open<Pets>('/pets/', { device: 'gpu' })
  await open<Pets>(await net.save(), { weights: parameters })

  // A net that is known is a net.
  const any: Net = net
  describe(net)
  show(out)
  use(p, prob, own, numbers, later, first, at, same, sum, weight, any)
}

function describe({ batch, steps }: Net): string {
  return `${batch} ${steps}`
}

const show = ({ prob }: Outputs<Pets>): number | undefined => prob[0]

/** Without its `bundle.d.ts` all names are allowed, and what is under them is checked as it runs. */
export async function unknown(url: string, options: OpenOptions): Promise<Float32Array | undefined> {
  const net = await open(url, { batch: 1, programs: ['infer'], onProgress: ({ loaded, total }) => use(loaded / total) })
  const { prob } = await net.run({ image: new Float32Array(4) })
  const { outputs, grads } = await net.step({ image: [1], label: Uint8Array.of(1) })
  const { loss, metrics } = await net.evaluate(arrays({ x: { shape: [1], type: 'f32', data: new Float32Array(1) } }))
  const name: string | undefined = net.classes?.[0] ?? net.classesOf('label')?.[0]
  use(outputs['prob'], grads['image'], loss, metrics['accuracy'], name)
  for (const [parameter, { shape }] of await net.parameters()) use(parameter, shape)
  net.close()
  await open(url, options)
  return prob
}

/** Shipped devices give float32; whichever device it is, both may come. */
export async function devices(device: Device): Promise<void> {
  const cpu = await wasm({ threads: 2 })
  const p: Float32Array = (await (await open<Pets>('/pets/', { device: cpu })).run({ image: [0] })).prob
  const q: Float32Array | Float64Array = (await (await open('/pets/', { device })).run({ image: [0] }))['prob']!
  // @ts-expect-error in what it computes is not known
  const r: Float32Array = (await (await open('/pets/', { device })).run({ image: [0] }))['prob']!
  const gpu = await webgpu({ gpu: { requestAdapter: async () => null }, powerPreference: 'low-power' })
  try {
    await open('/pets/', { device: gpu })
  } catch (error) {
    if (error instanceof InputError) use(error.message, p, q, r)
  }
}
