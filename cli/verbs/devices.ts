import { listDevices } from '../devices.ts'
import { EXIT } from '../exit.ts'
import type { Verb } from '../verb.ts'

export const devices: Verb = {
  name: 'devices',
  summary: 'tell where nets can run here, which --device auto takes, and why',
  describe(command) {
    command.option('--verbose', 'also what graphics drivers complained of when they were asked, which no other verb shows')
  },
  async run({ options, screen }) {
    const { candidates, chosen, why } = await listDevices()
    screen.table(
      ['', 'device', 'kind', 'adapter'],
      candidates.map((candidate) => [
        candidate === chosen ? '*' : '',
        candidate.name,
        candidate.kind,
        candidate.available ? candidate.description : `none: ${candidate.description}`,
      ]),
    )
    screen.print(`auto takes ${chosen.name} (${chosen.kind}): ${why}`)
    if (options['verbose']) {
      const complaints = candidates.flatMap((candidate) => candidate.complaints ?? [])
      screen.print(
        complaints.length > 0 ? `\nGraphics drivers and their loader said:\n${complaints.map((line) => `  ${line}`).join('\n')}`
          : '\nGraphics drivers said nothing.',
      )
    }
    screen.result({ chosen: { device: chosen.name, kind: chosen.kind, why }, devices: candidates })
    return EXIT.done
  },
}
