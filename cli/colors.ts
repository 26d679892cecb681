import pc from 'picocolors'

export type Colors = ReturnType<typeof pc.createColors>

/** Colours for where something is printed: none in a pipe, or with NO_COLOR. */
export function colorsOf(out: NodeJS.WriteStream): Colors {
  return pc.createColors(out.hasColors?.() ?? false)
}

/** No colours. */
export const plain: Colors = pc.createColors(false)
