import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { format } from '../../dsl/index.ts'
import { said, scattered } from './texts.ts'

const samples = readdirSync('samples').filter((name) => name.endsWith('.net')).map((name) => ({
  name,
  text: readFileSync(join('samples', name), 'utf8'),
}))
const commentsOf = (text: string): string[] =>
  (text.match(/"[^"\n]*"|\/\/[^\n]*|\/\*[^]*?\*\//g) ?? []).filter((match) => match.startsWith('/')).map((c) =>
    c.split('\n').map((l) => l.trimEnd()).join('\n')
  )

/** What `format` makes of a text, which is made of itself as well. */
function laidOut(text: string): string {
  const once = format(text)
  expect(format(once)).toBe(once)
  expect(said(once)).toEqual(said(text))
  return once
}

describe('layout', () => {
  test('a statement a line, two blanks a level', () => {
    expect(laidOut('net a{input x:f32[1,28,28] style split h=x->conv(20,5,pad:1)as c->relu for i,j in 0..3{h=h->relu}output y=h}')).toBe(`\
net a {
  input x: f32[1, 28, 28]
  style split
  h = x -> conv(20, 5, pad: 1) as c -> relu
  for i, j in 0..3 {
    h = h -> relu
  }
  output y = h
}
`)
  })

  test('items with an empty line around them, imports and constants without', () => {
    expect(laidOut('import "./a.net" import "./b.net" k=3\nblock b(x,n:2){return x}// of b\n// of n\nnet n{}train{}')).toBe(`\
import "./a.net"
import "./b.net"
k = 3

block b(x, n: 2) {
  return x
}  // of b

// of n
net n {}

train {}
`)
  })

  test('signs', () => {
    expect(
      laidOut(
        'net n { a = -1 b = 3- -2*( 4+x )%5 c = not(a==b)or a!=b and a<=b d = [-1,2 , [ 3 ]] input m:class[10][ 32,32 ]whole e=f(-a, b-a)}',
      ),
    ).toBe(`\
net n {
  a = -1
  b = 3 - -2 * (4 + x) % 5
  c = not (a == b) or a != b and a <= b
  d = [-1, 2, [3]]
  input m: class[10][32, 32] whole
  e = f(-a, b - a)
}
`)
  })

  test('names with counters stay in one piece', () => {
    expect(laidOut('net n { for i in 0..3 { x = x -> relu   as stage{i}_{i} } }')).toContain('x = x -> relu as stage{i}_{i}\n')
  })

  test('a chain that is too long: a layer a line, names in a column', () => {
    expect(
      laidOut(
        'net n { features = image -> conv(20, 5) as conv1 -> batch_norm as bn1 -> relu -> max_pool(2, stride: 2)\n\n -> conv(50, 5) as conv2 -> relu as relu_of_the_second }',
      ),
    ).toBe(`\
net n {
  features = image
    -> conv(20, 5) as conv1
    -> batch_norm  as bn1
    -> relu
    -> max_pool(2, stride: 2)

    -> conv(50, 5) as conv2
    -> relu        as relu_of_the_second
}
`)
  })

  test('a chain that fits: one line, wherever it was broken', () => {
    expect(laidOut('net n { h = x\n  -> relu\n\n  -> relu }')).toBe('net n {\n  h = x -> relu -> relu\n}\n')
  })

  test('results and settings in columns', () => {
    expect(
      laidOut(
        'net n { output prob = softmax(x) loss = l(x) metric accuracy = a(x)\n\n loss = x }\ntrain { data mnist\n\n schedule cosine // falls\n batch 1 }',
      ),
    ).toBe(`\
net n {
  output prob     = softmax(x)
  loss            = l(x)
  metric accuracy = a(x)

  loss = x
}

train {
  data     mnist

  schedule cosine  // falls
  batch    1
}
`)
  })

  test('values of a setting that are too many for a line', () => {
    expect(laidOut(`train { augment mirror, crop(32, pad: 4), normalize(mean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616]) }`))
      .toBe(`\
train {
  augment mirror, crop(32, pad: 4),
          normalize(mean: [0.4914, 0.4822, 0.4465], std: [0.2470, 0.2435, 0.2616])
}
`)
  })

  test('a condition in one line if it fits, else a statement a line', () => {
    expect(laidOut('net n { h = if a > 1 {\n x -> relu }\n else { x }\n if b { h = x } else if c { h = y } else { h = z } }')).toBe(`\
net n {
  h = if a > 1 { x -> relu } else { x }
  if b {
    h = x
  } else if c {
    h = y
  } else {
    h = z
  }
}
`)
  })

  test('a call that is too long: an argument a line', () => {
    const argument = (name: string): string => `${name}_of_a_layer_with_quite_a_long_name`
    expect(laidOut(`net n { h = join(${['a', 'b', 'c'].map(argument).join(', ')}, axis: 1) as joined }`)).toBe(`\
net n {
  h = join(
    a_of_a_layer_with_quite_a_long_name,
    b_of_a_layer_with_quite_a_long_name,
    c_of_a_layer_with_quite_a_long_name,
    axis: 1
  ) as joined
}
`)
  })

  test('a long list of numbers fills its lines', () => {
    const lines = laidOut(`net n { h = f([${Array.from({ length: 60 }, (_, i) => i).join(', ')}]) }`).split('\n')
    expect(lines.length).toBeLessThan(12)
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(100)
  })

  test('at most one empty line, none at the edges of braces', () => {
    expect(laidOut('\n\nnet n {\n\n\n  a = 1\n\n\n\n  b = 2\n\n}\n\n\n')).toBe('net n {\n  a = 1\n\n  b = 2\n}\n')
  })

  test('nothing stays nothing', () => expect(laidOut('  \n ')).toBe(''))
})

describe('comments', () => {
  test('at ends of lines in a column, on lines of their own as deep as what follows', () => {
    expect(laidOut(`// of the file
net n {   // a net
      // of the input
  input x: f32[3]// small
  input label: class[10]   // large

  /* of h
     on two lines */
  h = x /* in between */ -> relu
// last
}
// end`)).toBe(`\
// of the file
net n {  // a net
  // of the input
  input x: f32[3]         // small
  input label: class[10]  // large

  /* of h
     on two lines */
  h = x /* in between */ -> relu
  // last
}

// end
`)
  })

  test('within a chain', () => {
    expect(laidOut('net n { h = x // the picture\n -> relu // first\n // of tanh\n -> tanh }')).toBe(`\
net n {
  h = x  // the picture
    -> relu  // first
    // of tanh
    -> tanh
}
`)
  })

  test('within a call', () => {
    expect(laidOut('net n { h = conv(x, // what\n 20, // planes\n 5) }')).toBe(`\
net n {
  h = conv(
    x,   // what
    20,  // planes
    5
  )
}
`)
  })

  test('a comment alone', () => expect(laidOut('// nothing')).toBe('// nothing\n'))
})

test.each(samples)('$name is laid out as it says', ({ text }) => {
  const once = laidOut(text)
  expect(commentsOf(once)).toEqual(commentsOf(text))
  for (const line of once.split('\n')) expect(line.length).toBeLessThanOrEqual(120)
})

describe('a text with syntax errors', () => {
  test('is refused, with reasons', () => {
    expect(() => format({ file: 'a.net', text: 'net n { h = }' })).toThrow(
      expect.objectContaining({ name: 'CompileError', diagnostics: [expect.objectContaining({ severity: 'error' })] }),
    )
  })
})

test('any program: the same is said, no comment is lost, and it is laid out for good', () => {
  fc.assert(
    fc.property(scattered, ({ text, comments }) => {
      const once = laidOut(text)
      expect(commentsOf(once)).toEqual(comments.map((c) => c.split('\n').map((l) => l.trimEnd()).join('\n')))
      for (const line of once.split('\n')) expect(line).toBe(line.trimEnd())
    }),
    { numRuns: 300 },
  )
})
