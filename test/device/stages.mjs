/** What is asked of graphics hardware, in the order of its worth: whoever is cut off has had the more important part. */

/** Test files that a machine with graphics hardware answers otherwise than the software adapter could. Below test/. */
export const TESTS = [
  'devices/workgroups.test.ts',
  'devices/subgroups.test.ts',
  'fusion/fused-producers.test.ts',
  'golden/webgpu.test.ts',
  'differential/nets.test.ts',
  'differential/wide-nets.test.ts',
  'differential/constants.test.ts',
  'differential/stored-statistics.test.ts',
  'differential/freeze.test.ts',
  'devices/half.test.ts',
  'runtime/webgpu.test.ts',
]

const SAMPLES = ['resnet20', 'mobilenet_v2', 'resnet18', 'densenet40']

/**
 * The stages: `{ name, atMost, script, arguments }`, `atMost` in seconds. `small`: for rehearsals on a CPU, the same with little work. A stage
 * writes what it finds to a file, `--out`, again and again as it goes, unless it `prints` it.
 */
export function stagesOf({ small }) {
  const repeat = small ? 1 : 15
  const bench = (name, atMost, ...more) => ({
    name,
    atMost,
    script: 'test/bench/run.mjs',
    arguments: [
      '--backend',
      'webgpu',
      '--adapter',
      'any',
      '--repeat',
      repeat,
      ...(small ? ['--batch', 1, '--at-least', 1, '--limit', 600] : ['--full', '--limit', 90]),
      ...more,
    ],
  })
  const zoo = (name, atMost, ...more) => ({
    name,
    atMost,
    script: 'test/bench/run.mjs',
    arguments: [
      'zoo',
      '--backend',
      'webgpu',
      '--adapter',
      'any',
      '--turns',
      repeat,
      ...(small ? ['--batch', 2, '--at-least', 1, '--warmup', 0] : []),
      ...more,
    ],
  })
  const profile = (what, ...more) => ({
    name: `kernels of ${what}${more.length > 0 ? ` ${more.at(-1)}` : ''}`,
    atMost: 40,
    prints: true,
    profile: true,
    script: 'test/bench/profile.mjs',
    arguments: [what, '--device', 'webgpu', '--adapter', 'any', '--json', ...(small ? ['--batch', 2, '--repeat', 1] : []), ...more],
  })
  const sample = (name) => (small ? `samples/mnist.net` : `samples/${name}.net`)
  return [
    { name: 'the adapter', atMost: 40, prints: true, script: 'test/device/probe.mjs', arguments: [] },
    { name: 'tests', atMost: 180, tests: true },
    bench(
      'W1 to W4 beside PyTorch',
      120,
      '--peers',
      'torch',
      ...(small ? ['W1', 'W4b'] : ['W1', 'W1n', 'W1s', 'W2', 'W2x1', 'W4a', 'W4b', 'W3']),
    ),
    profile('W1'),
    zoo('samples, one training step', 150, '--only', (small ? ['resnet20'] : SAMPLES).join(','), '--against', 'split,no-bn,torch'),
    profile(sample('resnet20'), '--program', 'train'),
    ...(small ? [] : [profile('W4b'), profile(sample('mobilenet_v2'), '--program', 'train')]),
    bench(
      'W1 to W4 through torch.compile',
      120,
      '--no-fusenet',
      '--peers',
      'torch-compile',
      ...(small ? ['W1'] : ['W1', 'W2', 'W4b', 'W4a', 'W3']),
    ),
    zoo('the rest of the zoo', 120, '--only', small ? 'mlp' : 'unet,inception,vgg,shuffle,mlp', '--against', 'split,no-bn,torch'),
    ...(small ? []
      : [profile(sample('resnet18'), '--program', 'train'), profile(sample('densenet40'), '--program', 'train'), profile('W3')]),
    zoo('samples, inference', 60, '--only', small ? 'mlp' : SAMPLES.join(','), '--programs', 'infer', '--against', 'split,torch'),
    zoo('samples through torch.compile', 120, '--only', small ? 'mlp' : 'resnet20,mobilenet_v2', '--against', 'torch-compile'),
  ]
}
