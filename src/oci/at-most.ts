/**
 * Options of an LRUCache that keeps at most so many entries. It takes memory as they come; under the option `max` it would
 * take, when it is made, the memory of all that it may ever keep.
 */
export function atMost(entries: number): { maxSize: number; sizeCalculation: () => number } {
  return { maxSize: entries, sizeCalculation: () => 1 }
}
