/** Where lines go. */
export interface Sink {
  /**
   * Adds lines after what is there. Never throws: of what could not be written `error` says why, and `written` how many bytes
   * could. Whatever comes next begins a line of its own.
   */
  append(lines: Buffer): Promise<{ written: number; error?: unknown }>
  close(): Promise<void>
}
