import type { Command } from 'commander'
import type { VerbContext } from './verbs.ts'
export function addDescribeVerb(_program: Command, _context: VerbContext): void {}
