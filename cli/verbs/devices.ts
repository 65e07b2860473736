import { listDevices } from '../devices.ts'
import { EXIT } from '../exit.ts'
import type { Verb } from '../verb.ts'

export const devices: Verb = {
  name: 'devices',
  summary: 'tell where nets can run here, which --device auto takes, and why',
  describe() {},
  async run({ screen }) {
    const { candidates, chosen, why } = await listDevices()
    screen.table(['', 'device', 'kind', 'adapter'], candidates.map((candidate) => [
      candidate === chosen ? '*' : '', candidate.name, candidate.kind, candidate.available ? candidate.description : `none: ${candidate.description}`,
    ]))
    screen.print(`auto takes ${chosen.name} (${chosen.kind}): ${why}`)
    screen.result({ chosen: { device: chosen.name, kind: chosen.kind, why }, devices: candidates })
    return EXIT.done
  },
}
