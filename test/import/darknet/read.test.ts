import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { readDarknet } from '../../../import/darknet/read.ts'
import { bytesSource, writeNet } from '../../../import/index.ts'
import { problemsOf, readText, weightsFile } from './cfg-net.ts'

const NET = '[net]\nwidth=4\nheight=4\nchannels=2\n'
const CONV = '[convolutional]\nfilters=3\nsize=3\npad=1\nactivation=leaky\n'
const notes = (text: string, about = ''): string[] =>
  readText(text).notes.filter((note) => note.about.includes(about)).map(({ kind, text: said }) => `${kind}: ${said}`)
const SOFT = `${CONV}[avgpool]\n[softmax]\n`

test('the page from/darknet shows what is written', () => {
  const page = readFileSync(fileURLToPath(new URL('../../../docs/from/darknet.md', import.meta.url)), 'utf8')
  const block = (kind: string): string => page.split(`\`\`\`${kind}\n`)[1]!.split('```')[0]!
  const { text } = writeNet(readDarknet(bytesSource('small.cfg', new TextEncoder().encode(block('ini')))))
  // How it is laid out and what layers are called is the writer's.
  const bare = (net: string): string => net.replace(/ as \w+|\s/g, '')
  expect(bare(text)).toBe(bare(block('net')))
})

describe('the text of a .cfg file', () => {
  test('spaces, remarks, returns, short names', () => {
    const { layers } = readText(
      ' [network] \r\n# a remark\r\n; another\r\nwidth = 4\r\nheight=\t4\r\nchannels=2 # two\r\n[conv]\r\nfilters = 5\r\nactivation = linear\r\n[max]\r\nsize=2\r\nstride=2\r\n',
    )
    expect(layers.map(({ op, arguments: { out, kernel } }) => [op, out, kernel])).toEqual([['conv', 5, 1], ['max_pool', undefined, 2]])
  })

  test("defaults are Darknet's; what nobody knows is told, and of two equal keys the first counts", () => {
    const text = `${NET}[convolutional]\nfilters=2\nsize=1\nfilters=7\ntriplets=4\nactivation=linear\nsize=1x\n`
    expect(readText(text).layers[0]!.arguments).toMatchObject({ out: 2, kernel: 1, stride: 1, pad: 0, groups: 1, bias: true })
    expect(notes(text, '[convolutional]')).toEqual([
      'left out: filters=7 of line 8: line 6 says 2, and Darknet takes the first',
      'left out: size=1x of line 11: line 7 says 1, and Darknet takes the first',
      "left out: unknown here and to Darknet's parser of 2018: triplets=4",
    ])
    expect(notes(`${NET}[maxpool]\nsize=2.7\n`)).toContain('changed: size=2.7 is read as 2, as Darknet reads it')
  })

  test('a key that is nearly the name of one that is absent is told as a difference: Darknet goes on with a default', () => {
    const text = `${NET}[convolutional]\nfiters=8\nsize=1\nstide=2\nactivation=linear\n`
    expect(readText(text).layers[0]!.arguments).toMatchObject({ out: 1, stride: 1 })
    expect(notes(text, '[convolutional]')).toEqual([
      'differs: fiters=8 is no key that is known, and Darknet goes on without it; did you mean filters?',
      'differs: stide=2 is no key that is known, and Darknet goes on without it; did you mean stride?',
    ])
    // Another is like none.
    expect(notes(`${NET}[convolutional]\nfilters=8\ntriplets=4\nactivation=linear\n`, '[convolutional]')).toEqual([
      expect.stringMatching(/^left out: .*: triplets=4$/),
    ])
  })

  test('all that is wrong is told at once, with its line', () => {
    expect(
      problemsOf(
        `${NET}[convolutional]\nfilters=none\n[rnn]\n[local]\nfilters\n[normalization]\n[route]\nlayers=9\n[foo]\n[convolutional]\nxnor=1\nactivation=stairs\n`,
      ),
    ).toEqual([
      "net.cfg:9: 'filters' is neither a section nor key=value",
      'net.cfg:5 [convolutional]: filters=none is not a number',
      expect.stringMatching(/^net.cfg:7 \[rnn\]: reads what it gave a step before; [^|]*$/),
      expect.stringMatching(/^net.cfg:8 \[local\]: has filters of its own for every place/),
      expect.stringMatching(/^net.cfg:10 \[normalization\]: is not LRN: its windows over channels miss one/),
      'net.cfg:11 [route]: 9 means section 9, and this is section 4 | numbers from 0 to 3, or from -1 to -4',
      'net.cfg:13 [foo]: is no section that is known',
      expect.stringMatching(/^net.cfg:14 \[convolutional\]: xnor=1: weights and inputs are rounded to two values/),
      expect.stringMatching(/^net.cfg:14 \[convolutional\]: activation=stairs/),
    ])
    expect(problemsOf('[convolutional]\n')).toEqual(['net.cfg:1 [convolutional]: the first section of a .cfg file is [net]'])
    expect(problemsOf('')).toEqual(['net.cfg: the first section of a .cfg file is [net]'])
    expect(problemsOf(`${NET}[yolo]\nclasses=80\n[convolutional]\n`)).toEqual([
      'net.cfg:5 [yolo]: wants a map of 85 channels, and [2, 4, 4] comes | filters=85 in the section in front of it',
      expect.stringMatching(/^net.cfg:7 \[convolutional\]: reads section 0: Darknet's own numbers of \[yolo\]/),
    ])
  })

  test('sizes that Darknet could not count are refused before anything is made', () => {
    expect(problemsOf(`[net]\nwidth=100000\nheight=100000\nchannels=3\n${CONV}`)[0]).toContain('more than Darknet can count')
    expect(problemsOf(`${NET}[convolutional]\nfilters=2000000000\nsize=3\n`)[0]).toContain('more than Darknet can count')
    expect(problemsOf(`${NET}[convolutional]\nsize=7\n`)[0]).toContain('its output would be')
    expect(problemsOf(`${NET}[connected]\noutput=2000000000\n`)[0]).toContain('more than Darknet can count')
  })

  test('outputs cut a net; another input may be asked for', () => {
    const text = `${NET}${CONV}[rnn]\n`
    expect(problemsOf(text)).toEqual([expect.stringMatching(/^net.cfg:\d+ \[rnn\]: .* \| --outputs layer0 cuts the net in front of it$/)])
    expect(readText(text, { outputs: ['layer0'] }).results).toEqual([{ kind: 'output', name: 'layer0', value: 'layer0' }])
    expect(problemsOf(text, { outputs: ['layer7'] })).toEqual([
      'net.cfg: there is no value layer7 | layer0 to layer1: the outputs of the sections, counted from the one behind [net]',
    ])
    expect(readText(`${NET}${CONV}`, { shapes: new Map([['image', [1, 9, 9]]]) }).inputs).toEqual([{ value: 'image', shape: [1, 9, 9] }])
    expect(problemsOf(`${NET}${CONV}`, { shapes: new Map([['data', [1, 9, 9]]]) })).toEqual([
      'net.cfg: there is no input data | the input is called image',
    ])
  })
})

describe('.weights', () => {
  const text = `${NET}${CONV}${CONV}`
  // 3 + 3 x 2 x 9 and 3 + 3 x 3 x 9 numbers behind 20 bytes.
  const numbers = Array.from({ length: 57 + 84 }, (_, i) => i)
  const read = (bytes: Uint8Array, options = {}): string[] => problemsOf(text, { weights: bytesSource('net.weights', bytes), ...options })

  test('arrays follow each other, behind 20 bytes or, before version 0.2, 16', () => {
    for (const version of [{}, { major: 0, minor: 1, seen: 5 }]) {
      const { layers, facts } = readText(text, { weights: bytesSource('net.weights', weightsFile(numbers, { seen: 5, ...version })) })
      const { weight, bias } = layers.filter(({ op }) => op === 'conv')[1]!.parameters!
      expect([weight!.shape, weight!.values()[0], bias!.values()]).toEqual([[3, 3, 3, 3], 60, Float32Array.of(57, 58, 59)])
      expect(facts!['weights']).toMatchObject({ seen: 5 })
    }
  })

  test('bytes that are missing or over are counted', () => {
    expect(read(weightsFile(numbers))).toEqual([])
    expect(read(weightsFile(numbers).subarray(0, -3))[0]).toBe(
      'net.weights: 3 of 584 bytes are missing: the file ends within net.cfg:10 [convolutional] | the .cfg file must be the one that the weights were trained with',
    )
    expect(read(weightsFile([...numbers, 0]))[0]).toContain('4 bytes are left behind the 584 that the sections of net.cfg read')
    expect(read(weightsFile(numbers.slice(0, 57)))[0]).toContain(
      'the file holds the weights of the sections up to 0: cut the net there, --outputs layer0',
    )
    expect(read(weightsFile(numbers.slice(0, 57)), { outputs: ['layer0'] })).toEqual([])
    expect(read(weightsFile(numbers), { outputs: ['layer0'] })).toEqual([])
    expect(read(new Uint8Array(7))[0]).toContain('7 bytes are too few for the head of a .weights file')
  })
})

describe('[net] as a train block', () => {
  const train = (lines: string, sections = SOFT): string => {
    const { text } = writeNet(readText(`${NET}${lines}\n${sections}`))
    return text.slice(text.indexOf('train {')).replace(/\s+/g, ' ').trim()
  }

  test('subdivisions are batches that are added up; decay is on weights alone', () => {
    expect(train('batch=64\nsubdivisions=16\nlearning_rate=0.1\ndecay=0.0005\nmax_batches=500'))
      .toBe('train { batch 4 accumulate 16 steps 500 solver sgd(lr: 0.1, momentum: 0.9, weight_decay: 5e-4) }')
    const normalized = CONV.replace('pad=1', 'pad=1\nbatch_normalize=1')
    const args = (text: string): unknown[] =>
      readText(text).layers.filter(({ parameters, op }) => parameters ?? ['conv', 'batch_norm'].includes(op)).map((
        { arguments: { decay_mult } },
      ) => decay_mult)
    expect(args(`${NET}${normalized}${CONV}`)).toEqual([undefined, 0, [1, 0]])
    expect(args(`${NET}decay=0\n${normalized}${CONV}`)).toEqual([undefined, undefined, undefined])
  })

  test.each([
    ['policy=steps\nsteps=100,200,300\nscales=.1,.1,.5', 'schedule multistep(0.1, [100, 200]) -> multistep(0.5, [300])'],
    ['policy=steps\nsteps=-1,100\nscales=.1,10', ''],
    ['policy=poly\npower=4\nmax_batches=500', 'schedule poly(power: 4)'],
    ['policy=step\nstep=100\nscale=.5\nburn_in=10\npower=1', 'schedule warmup(10) -> step(0.5, 100)'],
    ['policy=exp\ngamma=.99', 'schedule exp(0.99)'],
    ['policy=sigmoid\ngamma=.01\nstep=50', 'schedule sigmoid(-0.01, 50)'],
    ['policy=random', ''],
  ])('%s', (lines, schedule) => {
    const said = train(lines).replace('steps 500 ', '')
    expect(said).toBe(
      `train { batch 1 solver sgd(1e-3, 0.9, 1e-4)${schedule ? ` ${schedule}` : ''} }`.replace(
        'sgd(1e-3, 0.9, 1e-4)',
        /sgd\([^)]*\)/.exec(said)![0],
      ),
    )
  })

  test('what differs is told, with by how much', () => {
    const said = notes(`${NET}burn_in=1000\npolicy=steps\nsteps=-1\nscales=.1\nangle=7\nhue=.1\n${SOFT}`, '[net]').join('\n')
    expect(said).toContain('within some 30 updates')
    expect(said).toContain('by up to 47 % of the full rate more, at update 630')
    expect(said).toContain('steps=-1: compared without sign it is never reached')
    expect(said).toContain('angle=7, hue=.1: pictures are not turned, scaled or coloured here')
  })

  test('losses: softmax, with cost behind it twice, logistic, cost', () => {
    const loss = (sections: string): string => /loss +=.*/.exec(writeNet(readText(`${NET}${sections}`)).text)![0].replace(/ +/g, ' ')
    expect(loss(SOFT)).toBe('loss = softmax_loss(logits, label)')
    expect(loss(`${SOFT}[cost]\n`)).toBe('loss = softmax_loss(logits, label, weight: 2)')
    expect(loss(`${CONV}[logistic]\n`)).toMatch(/^loss = sigmoid_loss\(\w+, truth\)$/)
    expect(loss(`${CONV}[cost]\nscale=3\n`)).toMatch(/^loss = squared_loss\(\w+, truth, weight: 3\)$/)
    expect(loss(`${CONV}[cost]\ntype=L1\n`)).toBe('loss = sub(layer0, truth) -> abs -> sum')
    const detector = readText(
      `${NET}[convolutional]\nfilters=14\nactivation=linear\n[yolo]\nmask=1,2\nanchors=1,2, 3,4, 5,6\nnum=3\nclasses=2\n`,
    )
    expect(detector.training).toBeUndefined()
    expect(detector.results).toEqual([{ kind: 'output', name: 'yolo1', value: 'layer0' }])
    expect(detector.facts!['detections']).toMatchObject([{
      output: 'yolo1',
      classes: 2,
      boxes: 2,
      anchors: [[3, 4], [5, 6]],
      shape: [14, 4, 4],
    }])
  })

  test('rates of sections, and those that are not trained', () => {
    const mults = readText(`${NET}${CONV}[convolutional]\nstopbackward=1\n${CONV}learning_rate=2\n`).layers.filter(({ op }) =>
      op === 'conv'
    ).map(({ arguments: { lr_mult } }) => lr_mult)
    expect(mults).toEqual([[0, 0], [0, 0], [2, 2]])
  })
})
