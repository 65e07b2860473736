/*
 * npm run docs:pictures: draws the nets that the pages show, to docs/pictures. Needs a build.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PICTURES, picture } from '../dist/cli/draw/pictures.js'

const root = join(import.meta.dirname, '..')
await mkdir(join(root, 'docs/pictures'), { recursive: true })
for (const name of Object.keys(PICTURES)) await writeFile(join(root, 'docs/pictures', name), await picture(name, root))
console.log(`${Object.keys(PICTURES).length} pictures in docs/pictures`)
