import { describe, expect, test } from 'vitest'
import { compile } from '../../compiler/index.ts'
import { bundleFiles, InputError, open, packBundle, savedNets, wasm } from '../../runtime/index.ts'
import { filesOf } from '../../runtime/saved/one-file.ts'
import { unzip, zip } from '../../runtime/saved/zip.ts'

const text = new TextEncoder()
/** By CPython's zipfile: a folder, one file packed by Deflate, one as it is, a comment behind the end. */
const ELSEWHERE = Uint8Array.from(
  Buffer.from(
    'UEsDBBQAAAAIAAAAIVCAXAFgBwAAADwAAAAJAAAAZGlyL2EudHh0y0jMIBsCAFBLAwQUAAAAAAAAACFQAAAAAAAAAAAAAAAABAAAAGRpci9QSwMEFAAAAAAAAAAhUB2AvFUDAAAAAwAAAAkAAABkaXIvYi5iaW4BAgNQSwECFAMUAAAACAAAACFQgFwBYAcAAAA8AAAACQAAAAAAAAAAAAAAgAEAAAAAZGlyL2EudHh0UEsBAhQDFAAAAAAAAAAhUAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAIABLgAAAGRpci9QSwECFAMUAAAAAAAAACFQHYC8VQMAAAADAAAACQAAAAAAAAAAAAAAgAFQAAAAZGlyL2IuYmluUEsFBgAAAAADAAMAoAAAAHoAAAAOAG1hZGUgZWxzZXdoZXJl',
    'base64',
  ),
)

/** Three times the same file in the directory: 400 bytes behind 31, each entry 47. */
function sharing(): Uint8Array {
  const one = zip(new Map([['a', new Uint8Array(400)]]))
  const [entry, end] = [one.subarray(431, 478), one.slice(478)]
  end[10] = 3
  return Uint8Array.of(...one.subarray(0, 431), ...entry, ...entry, ...entry, ...end)
}

describe('archives', () => {
  test('made elsewhere are read', async () => {
    const files = await unzip(ELSEWHERE, 'x.zip')
    expect([...files.keys()]).toEqual(['dir/a.txt', 'dir/b.bin'])
    expect(new TextDecoder().decode(files.get('dir/a.txt'))).toBe('ha'.repeat(30))
    expect([...files.get('dir/b.bin')!]).toEqual([1, 2, 3])
  })

  test('hold what is put into them, with the CRC that the standard gives', async () => {
    const bytes = zip(new Map([['check', text.encode('123456789')], ['ü/empty', new Uint8Array()]]))
    // CRC-32 of "123456789" is cbf43926.
    expect(new DataView(bytes.buffer).getUint32(14, true)).toBe(0xcbf43926)
    expect([...await unzip(bytes, 'x')].map(([name, data]) => [name, data.length])).toEqual([['check', 9], ['ü/empty', 0]])
  })

  test.each([
    ['cut', (b: Uint8Array) => b.slice(0, -40), /end is missing/],
    ['damaged', (b: Uint8Array) => b.map((v, i) => (i === 120 ? 9 : v)), /b\.bin is damaged/],
    ['a name that lies', (b: Uint8Array) => b.map((v, i) => (i === 0x7a ? 0 : v)), /directory is damaged/],
    ['packed by what is not read', (b: Uint8Array) => b.map((v, i) => (i === 0x7a + 10 ? 12 : v)), /a\.txt is packed by method 12/],
    [
      'larger than it says',
      (b: Uint8Array) => b.map((v, i) => (i === 0x7a + 24 ? 5 : v)),
      /a\.txt cannot be unpacked: it is larger than the archive says/,
    ],
    // 60 bytes of Deflate's 7: ten thousand are more than it can make of them.
    [
      'larger than can be',
      (b: Uint8Array) => b.map((v, i) => (i === 0x7a + 25 ? 0x27 : v)),
      /a\.txt is damaged: it cannot be as large as it says/,
    ],
    ['files that share their bytes', () => sharing(), /a is damaged: it cannot be as large as it says/],
    ['encrypted', (b: Uint8Array) => b.map((v, i) => (i === 0x7a + 8 ? 1 : v)), /a\.txt is encrypted/],
  ])('%s: refused', async (_, change, why) => {
    await expect(unzip(change(ELSEWHERE), 'x.zip')).rejects.toThrow(InputError)
    await expect(unzip(change(ELSEWHERE), 'x.zip')).rejects.toThrow(why)
  })
})

describe('a bundle as one file', async () => {
  const bundle = compile('net tiny { input x: f32[2] output y = x -> fc(2) }', { targets: ['wasm'], programs: ['infer'] })
  const device = await wasm({ threads: 1 })
  const net = await open(bundle, { device, seed: 3 })
  const saved = await net.save()
  const packed = await packBundle(saved)
  const want = (await net.run({ x: [1, 2] }))['y']

  const named = (data: Uint8Array, path: string): File =>
    Object.defineProperty(new File([data as Uint8Array<ArrayBuffer>], path.split('/').at(-1)!), 'webkitRelativePath', { value: path })

  test('files of a page go with it', async () => {
    const beside = new Map([['examples.safetensors', Uint8Array.of(1, 2, 3)]])
    const both = await packBundle(saved, beside)
    expect((await filesOf(both)).get('examples.safetensors')).toEqual(Uint8Array.of(1, 2, 3))
    const again = await open(both, { device })
    expect((await again.run({ x: [1, 2] }))['y']).toEqual(want)
    again.close()
    await expect(packBundle(saved, new Map([['bundle.json', Uint8Array.of(1)]]))).rejects.toThrow(/bundle has one of that name/)
    await expect(packBundle(saved, new Map([['../x', Uint8Array.of(1)]]))).rejects.toThrow(/letters, digits/)
  })

  test.each([
    ['bytes', () => packed],
    ['an ArrayBuffer', () => packed.buffer],
    ['a file', () => new File([packed], 'mine.zip')],
    ['a list with one', () => [new File([packed], 'mine.zip')]],
    ['the files of a folder', async () => [...await bundleFiles(saved)].map(([name, data]) => named(data, `somewhere/mine/${name}`))],
  ])('opens from %s', async (_, source) => {
    const again = await open(await source(), { device })
    expect((await again.run({ x: [1, 2] }))['y']).toEqual(want)
    again.close()
  })

  test('opens from its address, whatever is asked with it', async () => {
    const asked: string[] = []
    const get = async (url: string): Promise<Response> => {
      asked.push(url)
      return url.includes('lost') ? new Response(null, { status: 404 }) : new Response(packed)
    }
    for (const address of ['https://x.org/mine.zip', new URL('https://x.org/a/mine.zip?v=2#part')]) {
      const again = await open(address, { device, fetch: get as never })
      expect((await again.run({ x: [1, 2] }))['y']).toEqual(want)
      again.close()
    }
    // With a slash it is a folder that is called so.
    await expect(open('https://x.org/mine.zip/', { device, fetch: get as never })).rejects.toThrow(/mine\.zip\/bundle\.json: is not UTF-8/)
    await expect(open('https://x.org/lost.zip', { device, fetch: get as never })).rejects.toThrow(/lost\.zip: is not there \(status 404/)
    expect(asked).toEqual([
      'https://x.org/mine.zip',
      'https://x.org/a/mine.zip?v=2',
      'https://x.org/mine.zip/bundle.json',
      'https://x.org/lost.zip',
    ])
  })

  test.each([
    ['another file', new File(['hello'], 'notes.txt'), /notes\.txt is no bundle: a zip archive/],
    ['an archive of other things', ELSEWHERE, /no bundle\.json among these files \(dir\/a\.txt, dir\/b\.bin\)/],
    ['nothing chosen', [], /no file was chosen/],
    ['a damaged one', packed.map((v, i) => (i === 300 ? v ^ 1 : v)), /is damaged|was changed/],
  ])('%s: refused', async (_, source, why) => {
    await expect(open(source, { device })).rejects.toThrow(why)
  })

  test('two bundles in one are told', async () => {
    const one = await bundleFiles(saved)
    await expect(filesOf(zip(new Map([...one].flatMap(([name, data]) => [[`a/${name}`, data], [`b/${name}`, data]] as const))))).rejects
      .toThrow(/several bundles/)
  })

  test('where there is no page', async () => {
    await expect(savedNets()).rejects.toThrow(/no IndexedDB here.*in Node: writeBundle/)
    await expect(net.save('indexeddb://x')).rejects.toThrow(/no IndexedDB here/)
    await expect(net.save('download://x')).rejects.toThrow(/packBundle/)
    await expect(net.save('out/')).rejects.toThrow(/not 'out\/': a folder is written by writeBundle/)
    await expect(net.save(3 as never)).rejects.toThrow(/save takes 'indexeddb:\/\/name'.*not 3/)
    await expect(open('indexeddb://')).rejects.toThrow(/a name is wanted/)
  })
})
