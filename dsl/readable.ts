/** Words that are longer are cut: a name may be a megabyte long. */
const LONGEST_WORD = 80
const ENDS = [50, 15] as const
const LONG_WORDS = new RegExp(`\\S{${LONGEST_WORD + 1},}`, 'g')
/** The most letters of a whole message, whatever it is made of. */
const LONGEST_TEXT = 2000

/** Directions of writing that change what a line seems to say (Boucher & Anderson 2021, "Trojan Source"), and what has no width. */
const HIDDEN = /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]/

/** A character as a terminal may show it: what moves cursors, colours text or turns it around becomes a sign that says so. */
export function visible(character: string): string {
  const code = character.codePointAt(0)!
  if (code < 0x20) return String.fromCharCode(0x2400 + code)
  if (code === 0x7f) return '\u2421'
  if ((code > 0x7f && code < 0xa0) || (character.length === 1 && HIDDEN.test(character)))
    return `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`
  return character
}

/** A message for people: without signs that terminals obey, and without endless words. Lines stay lines. */
export function readable(text: string): string {
  const words = text.replace(LONG_WORDS, (word) => cut(word, ...ENDS))
  const short = words.length > LONGEST_TEXT ? cut(words, LONGEST_TEXT - ENDS[0], ENDS[0]) : words
  return [...short].map((c) => (c === '\n' ? c : visible(c))).join('')
}

const cut = (text: string, first: number, last: number): string => `${text.slice(0, first)}...${text.slice(-last)}`

/** East Asian wide characters and pictures take two columns (Unicode Standard Annex 11); marks that stand over others take none. */
export function columnsOf(character: string): number {
  if (/^\p{M}$/u.test(character)) return 0
  return /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]$/u
      .test(character) ? 2 : 1
}
