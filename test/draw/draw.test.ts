import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { draw } from '../../cli/draw/draw.ts'
import { FAMILIES, labelOf } from '../../cli/draw/labels.ts'
import { layered } from '../../cli/draw/layered.ts'
import { PICTURES, picture } from '../../cli/draw/pictures.ts'
import { sceneOf, type Shape } from '../../cli/draw/scene.ts'
import { svgOf } from '../../cli/draw/svg.ts'
import { type Item, treeOf } from '../../cli/draw/tree.ts'
import { entries } from '../../compiler/manual/table.ts'
import { summarize } from '../../compiler/summary.ts'
import { fusenet, json } from '../cli/helper.ts'

const sample = (name: string) => summarize({ file: `${name}.net`, text: readFileSync(`samples/${name}.net`, 'utf8') })
const net = (body: string, before = '') => summarize(`${before}\nnet t {\n  input x: f32[8, 16, 16]\n  ${body}\n}`)

describe('summaries', () => {
  // What torchvision says of its models; 0.27 million: He et al. 2015, table 6; 1.0: Huang et al. 2017, table 2.
  test.each([['resnet18', 11_689_512], ['mobilenet_v2', 3_504_872]])(
    '%s has as many parameters as the published model',
    (name, parameters) => {
      expect(sample(name).totals.parameters).toBe(parameters)
    },
  )
  test.each([['resnet20', 0.27], ['densenet40', 1.0]])('%s has about as many as its paper says', (name, millions) => {
    expect(sample(name).totals.parameters / 1e6).toBeCloseTo(millions, 1)
  })

  test('layers by hand', () => {
    const { layers, totals } = net(
      'h = x -> conv(4, 3) as c -> batch_norm -> relu\n  output y = h -> fc(10) as first\n  loss = sum(h -> fc(10, weights: first))',
    )
    const [conv, norm, relu, first, second] = layers
    expect(conv).toMatchObject({
      name: 'c',
      op: 'conv',
      call: 'conv(4, 3)',
      inputs: ['x'],
      shape: ['n', 4, 14, 14],
      parameters: 4 * 8 * 9 + 4,
      kept: 0,
      inferred: true,
    })
    // Each of 4 x 14 x 14 outputs: 72 products and sums, and a bias.
    expect(conv!.flops).toBe(4 * 14 * 14 * (2 * 72 + 1))
    expect(norm).toMatchObject({ parameters: 8, kept: 8 })
    expect(relu).toMatchObject({ parameters: 0, flops: 784 })
    // Shared parameters count once.
    expect([first!.parameters, second!.parameters]).toEqual([7850, 0])
    expect(second!.inferred).toBe(false)
    expect(totals).toMatchObject({ layers: 6, parameters: 292 + 8 + 7850, kept: 8, weightBytes: 4 * (292 + 8 + 7850 + 8) })
  })

  test('FLOPs grow with the batch, and dropout has none', () => {
    const one = net('output y = x -> dropout(0.5) -> conv(4, 3)')
    const ten = summarize('net t { input x: f32[8, 16, 16] output y = x -> dropout(0.5) -> conv(4, 3) }', { batch: 10 })
    expect(one.layers[0]!.flops).toBe(0)
    expect(ten.totals.flops).toBe(10 * one.totals.flops)
  })

  test('the command', async () => {
    const said = await fusenet(['summary', 'samples/mnist.net'])
    expect(said.out).toMatch(/conv1 +conv +\[n, 20, 24, 24\] +520 +588 k/)
    expect(said.out).toContain('432220 parameters + 1140 running statistics')
    expect(json(await fusenet(['summary', 'samples/mnist.net', '--batch', '100', '--json'])).batch).toBe(100)
    expect((await fusenet(['summary', 'nothing.net'])).code).toBe(1)
  })
})

const outline = (items: readonly Item[]): unknown[] =>
  items.map((
    item,
  ) => (item.kind === 'block' ? [item.block, item.count, outline(item.items)]
    : item.kind === 'input' ? item.name : `${item.layers.map(({ op }) => op).join(' ')}${item.count > 1 ? ` x${item.count}` : ''}`)
  )

describe('boxes', () => {
  const tree = (body: string, before = '') => outline(treeOf(net(body, before), { depth: 9 }))

  test('layers that follow each other are one box, a weight begins the next', () => {
    expect(tree('output y = x -> conv(4, 3) -> batch_norm -> relu -> conv(4, 3) -> relu')).toEqual([
      'x',
      'conv batch_norm relu',
      'conv relu',
    ])
  })
  test('what is read twice ends a box', () => {
    expect(tree('h = x -> relu\n  output y = add(h -> tanh, h)')).toEqual(['x', 'relu', 'tanh', 'add'])
  })
  test('equal blocks of a loop are one with a count, unequal ones are not', () => {
    const block = 'block b(x, n) { h = x -> conv(n, 3, pad: 1) -> relu\n return add(h, x -> conv(n, 1)) -> relu }'
    expect(tree('for i in 0..5 { x = x -> b(8) }\n  output y = x -> b(4)', block)).toEqual(['x', ['b', 5, [
      'conv relu',
      'conv',
      'add relu',
    ]], ['b', 1, ['conv relu', 'conv', 'add relu']]])
  })
  test('loops without blocks too', () => {
    expect(tree('for i in 0..4 { x = x -> conv(8, 3, pad: 1) -> relu }\n  output y = x')).toEqual(['x', 'conv relu x4'])
  })
  test('nothing is folded whose inside is read elsewhere', () => {
    expect(
      tree(
        'a = x -> conv(8, 3, pad: 1) -> relu\n  b = a -> conv(8, 3, pad: 1) -> relu\n  c = b -> conv(8, 3, pad: 1) -> relu\n  output y = add(c, a)',
      ),
    ).toEqual(['x', 'conv relu', 'conv relu x2', 'add'])
    expect(tree('output a = x -> conv(8, 3, pad: 1)\n  output b = a -> conv(8, 3, pad: 1)')).toEqual(['x', 'conv', 'conv'])
  })
  test('resnet20 is five blocks, densenet40 three of twelve', () => {
    const counts = (name: string) => treeOf(sample(name), { depth: 9 }).flatMap((item) => (item.kind === 'block' ? [item.count] : []))
    expect(counts('resnet20')).toEqual([3, 1, 2, 1, 2])
    expect(counts('densenet40')).toEqual([12, 1, 12, 1, 12])
  })
  test.each(['resnet20', 'densenet40', 'mobilenet_v2', 'cifar10_quick'])('%s: every layer is in one box', (name) => {
    const summary = sample(name)
    const all = treeOf(summary, { depth: 9 }).flatMap((item) => item.all)
    expect([...all].sort()).toEqual([...summary.inputs.map((i) => i.name), ...summary.layers.map((l) => l.name)].sort())
  })
})

test('a color says what kind of work a layer does: every layer of the language has its own', () => {
  const kinds: Readonly<Record<string, string>> = {
    'Convolution and inner product': 'weight',
    Normalization: 'normalize',
    Activations: 'activate',
    Reductions: 'pool',
    'Losses and metrics': 'result',
  }
  for (const { signature: { name }, group } of entries.filter(({ kind }) => kind === 'layer')) {
    expect(FAMILIES.has(name), name).toBe(true)
    expect(FAMILIES.get(name), name).toBe(kinds[group.title] ?? FAMILIES.get(name))
  }
})

test('a layer with the parameters of another names it', () => {
  const { layers } = net('a = x -> conv(8, 3, pad: 1) as first -> relu\n  output y = a -> conv(8, 3, pad: 1, weights: first)')
  expect(layers.map(labelOf)).toEqual(['first: conv 8, 3×3', 'relu', 'conv 8, 3×3, weights of first'])
})

const meets = (a: Shape, b: Shape): boolean => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
const within = (a: Shape, b: Shape): boolean =>
  a.x >= b.x && a.y >= b.y && a.x + a.width <= b.x + b.width && a.y + a.height <= b.y + b.height

describe('places', () => {
  test.each(['mnist', 'resnet20', 'densenet40', 'mobilenet_v2', 'resnet18'])(
    '%s: boxes meet only where one holds the other, and lie within the picture',
    (name) => {
      const summary = sample(name)
      const { shapes, width, height, edges } = sceneOf(treeOf(summary, { depth: 9 }), [], { net: summary, kernelsOf: () => [] }, 1000)
      expect(
        shapes.flatMap((a, i) =>
          shapes.slice(i + 1).filter((b) => meets(a, b) && !within(a, b) && !within(b, a)).map((b) => [a.title, a.rows, b.title, b.rows])
        ),
      ).toEqual([])
      for (const shape of shapes)
        expect(shape.x >= -0.5 && shape.y >= -0.5 && shape.x + shape.width <= width + 0.5 && shape.y + shape.height <= height + 0.5).toBe(
          true,
        )
      for (const { path } of edges)
        expect(path).not.toMatch(/NaN|undefined/)
    },
  )
  test('an edge that passes others has a lane of its own', () => {
    const box = (id: string) => ({ id, width: 60, height: 20 })
    const long = { from: 'a', to: 'd' }
    const { bends, nodes } = layered(['a', 'b', 'c', 'd'].map(box), [
      { from: 'a', to: 'b' },
      { from: 'b', to: 'c' },
      { from: 'c', to: 'd' },
      long,
    ])
    for (const { x } of bends.get(long)!) for (const id of ['b', 'c']) expect(x < nodes.get(id)!.x || x > nodes.get(id)!.x + 60).toBe(true)
    expect(bends.get(long)).toHaveLength(2)
  })
})

test('--depth closes blocks, and what a closed one holds is counted', () => {
  const svg = draw(sample('mobilenet_v2'), { depth: 0 })
  // stage2: 8 layers, and 9 with the sum.
  expect(svg).not.toContain('inverted_residual')
  expect(svg).toContain('17 layers')
})

test('texts are escaped, and the picture is a whole one', () => {
  const svg = draw(
    summarize('net t { input x: f32[4] input label: class["<b>&", "c"] output y = x -> fc(2) loss = softmax_loss(y, label) }'),
  )
  expect(svg).not.toContain('<b>')
  const open = [...svg.matchAll(/<([a-z]+)\b[^>]*?(\/?)>|<\/([a-z]+)>/g)].reduce((stack: string[], [, begun, closed, ended]) => {
    if (ended) {
      expect(stack.pop()).toBe(ended)
      return stack
    }
    return closed ? stack : [...stack, begun!]
  }, [])
  expect(open).toEqual([])
})

test.each(Object.keys(PICTURES))('docs/pictures/%s is what draw makes: npm run docs:pictures', async (name) => {
  const svg = await picture(name, '.')
  expect(readFileSync(`docs/pictures/${name}`, 'utf8') === svg).toBe(true)
  // conv, batch_norm and relu are one kernel in the merged style.
  if (PICTURES[name]!.kernels) expect(svg).toMatch(/merged: 7 kernels[^]*split: 16 kernels/)
})

test('the line under the name is small, and the picture no wider than that needs', () => {
  // 0.6 em a letter, as of a wide font, and 24 pixels at each side.
  const summary = net('output y = x')
  const panel = { title: '', scene: sceneOf(treeOf(summary, { depth: 9 }), [], { net: summary, kernelsOf: () => [] }, 1000) }
  const width = Number(/width="(\d+)"/.exec(svgOf('n', 'x'.repeat(100), [panel]))![1])
  expect(width).toBeLessThan(100 * 0.6 * 10.5 + 2 * 24)
  expect(width).toBeGreaterThan(100 * 0.52 * 10.5)
})

test('drawings need no CSS variables, and their names are their own: they are printed, and held in the text of a page', () => {
  const svg = readFileSync(new URL('../../docs/pictures/mnist-kernels.svg', import.meta.url), 'utf8')
  expect(svg).not.toMatch(/var\(/)
  const sheet = /<style>([\s\S]*)<\/style>/.exec(svg)![1]!
  const used = new Set([...svg.matchAll(/class="([^"]*)"/g)].flatMap(([, names]) => names!.split(' ')))
  for (const name of used) {
    expect(name).toMatch(/^net-/)
    expect(sheet).toContain(`.${name} `)
  }
})
