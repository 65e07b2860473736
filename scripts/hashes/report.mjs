import { KEY_ORDER } from './bundle-hash.mjs'

/** Names of files that differ between two bundles; how the keys of the manifest are ordered is no difference. */
export function differingFiles(before, after) {
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) =>
    name !== KEY_ORDER && name !== 'reason' && before[name] !== after[name]
  ).sort()
}

/** Rows of a table: a net, its bundles that differ, and in which files. Bundles of a net that differ alike share a row. */
export function rowsOf(differing, variantsOf) {
  const rows = new Map()
  for (const { net, variant, files } of differing) {
    const key = `${net}\0${files.join()}`
    const row = rows.get(key) ?? { net, variants: [], files }
    row.variants.push(variant)
    rows.set(key, row)
  }
  return [...rows.values()].map((
    { net, variants, files },
  ) => [net, variants.length === variantsOf(net) && variants.length > 1 ? `all ${variants.length}` : variants.join(', '), files.join(' ')])
}

/** Columns as wide as their longest cell. */
export function table(rows) {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)))
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join('  ').trimEnd()).join('\n')
}
