/**
 * node test/bench/edges.mjs FILE.net|NAME|SEED... [--program P] [--batch N] [--turns N] [--least US] [--all]: what each fusion of a net is worth on this CPU.
 * Kernels with what is joined to them, without it, and the passes that it replaces are run by themselves, on tensors of the sizes that they have in the
 * net; time is that of the process' threads, the least of many runs. NAME is a net of the zoo, a number the seed of a net drawn at random. Prints
 * the fusions that were slower than passes of their own (`--all`: all), and how far estimates are off.
 */
import { existsSync, readFileSync } from 'node:fs'
import { readArguments } from './arguments.mjs'
import { dist, openDevice } from './device.mjs'
import { randomNet } from './zoo/random-nets.mjs'
import { readZooNet, ZOO } from './zoo/list.mjs'
import { end } from './end.mjs'

const { values: options, positionals, count, refuse } = readArguments(import.meta.url, {
  positionals: true,
  options: {
    program: { type: 'string', default: 'train' },
    batch: { type: 'string' },
    turns: { type: 'string', default: '5' },
    /** Microseconds: what takes less is not told. */
    least: { type: 'string', default: '50' },
    all: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
if (positionals.length === 0) refuse('name a net')
const load = (file) => import(new URL(file, dist))
const [{ compileFor }, { TARGETS }, { CpuScheduler }, { kernelKey }, { oneKernel, OneKernel }] = await Promise.all([
  'compiler/compile.js',
  'compiler/targets/targets.js',
  'compiler/codegen/cpu/choose.js',
  'compiler/ir/kernel-key.js',
  'measure/kernel-benchmark.js',
].map(load))

const device = await openDevice('wasm', { threads: 1 })
const wasm = TARGETS.find(({ name }) => name === 'wasm')
const scheduler = new CpuScheduler()
const wall = performance.now.bind(performance)
const cpu = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const found = []
for (const name of positionals) found.push(...await measure(netOf(name)))
device.close()
if (options.json) console.log(JSON.stringify(found))
else report(found)
await end()

function netOf(name) {
  if (existsSync(name)) return { name, text: readFileSync(name, 'utf8'), batch: 16 }
  const known = ZOO.find((net) => net.name === name)
  if (!known && !/^(?:.*-)?\d+$/.test(name)) refuse(`${name} is no file, no seed, and none of ${ZOO.map((net) => net.name).join(', ')}`)
  return known ? readZooNet(known) : randomNet(Number(name.replace(/^.*-/, '')))
}

/** Every fusion of a net that the rules allowed: `{ net, what, joinedUs, apartUs, estimate }`, microseconds of a batch. */
async function measure({ name, text, batch: own }) {
  const batch = options.batch ? count('batch') : own
  const edges = new Map()
  const price = (joined, plain, passes) => {
    const estimate = wasm.price(joined, plain, passes)
    edges.set([...joined, ...plain, ...passes].map((e) => kernelKey(e)).join(), { joined, plain, passes, estimate })
    return estimate
  }
  const { bundle, pipelines: [{ plan, programs }] } = compileFor(text, [{ ...wasm, price }], {
    programs: [options.program],
    estimates: true,
  })
  const packed = (role) => Math.max(0, ...plan.buffers.filter((b) => b.role === role).map((b) => b.elements.fixed))
  const context = {
    target: wasm,
    batch,
    trainBatch: bundle.manifest.train?.batch ?? 1,
    constants: new Map(programs.flatMap(({ graph }) => (graph.constants ?? []).map((c) => [c.value.storage.slot ?? '', c]))),
    packed: { parameters: Math.max(...['parameters', 'gradients', 'history'].map(packed)), states: packed('states') },
  }
  const list = []
  for (const { joined, plain, passes, estimate } of edges.values()) {
    const times = await kernelsUs([...joined, ...plain, ...passes], context)
    const sum = (from, count) => times.slice(from, from + count).reduce((total, us) => total + us, 0)
    list.push({
      net: name,
      what: joined.map((e) => e.name).join(' & '),
      passes: passes.map((e) => e.name).join(' & '),
      how: `${scheduler.scheduleOf(plain[0]).algorithm} > ${scheduler.scheduleOf(joined[0]).algorithm}`,
      joinedUs: sum(0, joined.length),
      plainUs: sum(joined.length, plain.length),
      passUs: sum(joined.length + plain.length, passes.length),
      estimate: estimate && { joinedUs: estimate.joinedNs * batch / 1000, passUs: estimate.apartNs * batch / 1000 },
    })
  }
  return list
}

/** Microseconds of each of some kernels, in turns. */
async function kernelsUs(equations, context) {
  const kernels = []
  try {
    for (const e of equations) {
      const { bundle, tensors } = oneKernel(e, {}, context, 1)
      const session = await device.load(bundle, context.batch)
      const one = new OneKernel(session, e, tensors, 1)
      kernels.push({ session, one, best: Infinity })
      await one.results(true)
      for (const start = wall(); wall() - start < 50;) await one.time()
    }
    performance.now = cpu
    for (let i = 0, start = wall(); i < count('turns') || (i < 200 && wall() - start < 100); i++)
      for (const kernel of kernels) kernel.best = Math.min(kernel.best, await kernel.one.time(), await kernel.one.time())
    return kernels.map(({ best }) => best * 1000)
  } finally {
    performance.now = wall
    for (const { session } of kernels) session.close()
  }
}

function report(list) {
  const apart = (r) => r.plainUs + r.passUs
  const shown = list.filter((r) => options.all || (r.joinedUs > 1.02 * apart(r) && r.joinedUs - apart(r) > count('least')))
  for (const r of shown.sort((a, b) => b.joinedUs - apart(b) - a.joinedUs + apart(a))) {
    const us = (x) => x.toFixed(0)
    const e = r.estimate
    console.log(
      `${r.net}: ${r.what.slice(0, 90)} <- ${r.passes.slice(0, 60)} [${r.how}]: ${us(r.joinedUs)} us here, apart ${us(r.plainUs)} + ${
        us(r.passUs)
      }: ${(r.joinedUs / apart(r)).toFixed(2)}; more here ${us(r.joinedUs - r.plainUs)}${
        e ? `, estimated ${us(e.joinedUs)} for ${us(e.passUs)}` : ''
      }`,
    )
  }
  console.log(`${list.length} fusions, ${shown.length} shown`)
}
