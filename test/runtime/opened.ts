import { arrays } from '../../runtime/data/dataset.ts'
import type { LocalNet } from '../../runtime/net.ts'
import { openLocal as open } from '../../runtime/open.ts'
import type { OpenOptions } from '../../runtime/open-options.ts'
import type { TrainEvent } from '../../runtime/train-options.ts'
import { FakeDevice } from './fake-device.ts'
import { fixture, type FixtureOptions } from './fixture.ts'

/** A net opened over the fixture for a batch of 4, and the device that it runs on. */
export const opened = async (
  fixtureOptions: FixtureOptions = {},
  options: Partial<OpenOptions> = {},
): Promise<{ net: LocalNet; device: FakeDevice }> => {
  const device = new FakeDevice()
  return { device, net: await open(fixture(fixtureOptions), { device, batch: 4, ...options }) }
}
/** So many samples that fit the fixture. */
export const samples = (count: number) =>
  arrays({
    x: { shape: [3], type: 'f32', data: Float32Array.from({ length: 3 * count }, (_, i) => ((i * 7) % 11) / 4) },
    label: { shape: [], type: 'i32', classes: 3, data: Int32Array.from({ length: count }, (_, i) => (i * 5) % 3) },
  })
/** A batch of 4. */
export const x = Float32Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
export const label = Int32Array.of(0, 1, 2, 0)

/** All events of a loop. */
export async function collect(events: AsyncIterable<TrainEvent>): Promise<TrainEvent[]> {
  const all: TrainEvent[] = []
  for await (const event of events) all.push(event)
  return all
}
