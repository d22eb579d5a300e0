/**
 * How much more one request is told of what it imported. All of it waits in memory until the last image is there, and is
 * one answer.
 */
export interface Room {
  /** Whether so many bytes still fit; they are taken then. */
  take(bytes: number): boolean
  /** Whether something did not fit. */
  readonly isFull: boolean
}

/** Most bytes of manifests, and of the records of an index's children, that one request is told. */
const maxToldBytes = 16 * 1024 * 1024

export function createRoom(bytes = maxToldBytes): Room {
  let left = bytes
  let isFull = false
  return {
    take(wanted) {
      const fits = wanted <= left
      if (fits) left -= wanted
      else isFull = true
      return fits
    },
    get isFull() {
      return isFull
    },
  }
}
