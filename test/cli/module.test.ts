import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { writeModule } from '../../cli/module.ts'
import type { Bundle } from '../../bundle/format.ts'
import { fixture } from '../runtime/fixture.ts'

/** No such bundle comes through `validate`; the writer does not rely on it. */
test('a name that would be code is a comment all the same', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'fusenet-module-'))
  const place = globalThis as { cameThrough?: number }
  try {
    const { manifest, files } = fixture()
    const name = 'line\nglobalThis.cameThrough = 1 //\u2028globalThis.cameThrough = 2 //*/ globalThis.cameThrough = 3 /*'
    const bundle: Bundle = {
      files,
      manifest: {
        ...manifest,
        name,
        outputs: manifest.outputs.map((o) => ({ ...o, name: o.name.replace('y', name) })),
        inputs: manifest.inputs.map((i) => (i.classes ? { ...i, classNames: [name, 'b', 'c'] } : i)),
      },
    }
    await writeModule(join(folder, 'line.mjs'), bundle)
    const module = await import(/* @vite-ignore */ pathToFileURL(join(folder, 'line.mjs')).href) as {
      files: Map<string, string | Uint8Array>
    }
    const manifestText = module.files.get('bundle.json')!
    expect(JSON.parse(typeof manifestText === 'string' ? manifestText : new TextDecoder().decode(manifestText)).name).toBe(name)
    expect(place.cameThrough).toBeUndefined()
    const types = await readFile(join(folder, 'line.d.mts'), 'utf8')
    // In a text in quotes U+2028 ends no line.
    expect(types.split('\n').filter((line) => line.startsWith('globalThis'))).toEqual([])
    expect(types.split('\n')[0]).toMatch(/^\/\/ [\x20-\x7e]+$/)
    expect(types).toContain(JSON.stringify(name))
  } finally {
    delete place.cameThrough
    await rm(folder, { recursive: true })
  }
})
