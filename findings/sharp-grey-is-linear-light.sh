#!/usr/bin/env bash
# sharp 0.35.5: toColourspace('b-w') weighs colours in linear light, where PIL, OpenCV and torchvision weigh the encoded values (ITU-R BT.601).
# A net trained on greys of the one reads others from the other: pure green is 220 of 255 here and 150 there.
# Seen on Node 20:
#   sharp 0.35.5, toColourspace('b-w'): red 127, green 220, blue 76
#   BT.601 of the encoded values:       red 76, green 150, blue 29
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > /dev/null
npm install --silent --no-audit --no-fund sharp@0.35.5
cat > grey.mjs <<'JS'
import sharp from 'sharp'
const colours = { red: [255, 0, 0], green: [0, 255, 0], blue: [0, 0, 255] }
const seen = {}
const bt601 = {}
for (const [name, [r, g, b]] of Object.entries(colours)) {
  const picture = sharp({ create: { width: 1, height: 1, channels: 3, background: { r, g, b } } })
  seen[name] = (await picture.toColourspace('b-w').raw().toBuffer())[0]
  bt601[name] = Math.round(0.299 * r + 0.587 * g + 0.114 * b)
}
const show = (values) => Object.entries(values).map(([name, value]) => `${name} ${value}`).join(', ')
console.log(`toColourspace('b-w'): ${show(seen)}`)
console.log(`BT.601:               ${show(bt601)}`)
if (seen.green !== 220 || bt601.green !== 150) { console.error('sharp does otherwise now'); process.exit(1) }
JS
node grey.mjs
