#!/usr/bin/env bash
# sharp 0.35.5: enlarging (resize with kernel cubic) displaces the picture by half a new pixel to the right and down; making small keeps the middle where it is.
# PIL, OpenCV and torchvision keep it in both. A net whose pictures were enlarged by sharp sees others from them, and what it learned of edges and boxes is off.
# Seen on Node 20, a white line in the middle of 8 pixels:
#   brought to  4 pixels: centre of mass  1.50, the middle is  1.50
#   brought to 16 pixels: centre of mass  8.00, the middle is  7.50
#   brought to 32 pixels: centre of mass 16.00, the middle is 15.50
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y > /dev/null
npm install --silent --no-audit --no-fund sharp@0.35.5
cat > middle.mjs <<'JS'
import sharp from 'sharp'
const row = [0, 0, 0, 255, 255, 0, 0, 0]
const picture = Buffer.from(row.flatMap(() => row))
const seen = []
for (const size of [4, 16, 32]) {
  const { data, info } = await sharp(picture, { raw: { width: 8, height: 8, channels: 1 } }).resize(size, size, { kernel: 'cubic' }).raw()
    .toBuffer({ resolveWithObject: true })
  const line = Array.from({ length: size }, (_, i) => data[i * info.channels])
  const centre = line.reduce((sum, value, i) => sum + value * i, 0) / line.reduce((sum, value) => sum + value, 0)
  console.log(`brought to ${size} pixels: centre of mass ${centre.toFixed(2)}, the middle is ${((size - 1) / 2).toFixed(2)}`)
  seen.push(centre - (size - 1) / 2)
}
const wanted = [0, 0.5, 0.5]
if (!seen.every((off, i) => Math.abs(off - wanted[i]) < 0.01)) { console.error('sharp does otherwise now'); process.exit(1) }
JS
node middle.mjs
