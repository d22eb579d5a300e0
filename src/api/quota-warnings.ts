import { quotaResources } from '../quotas.ts'
import { isJsonObject } from './json.ts'

const counted: readonly string[] = Object.values(quotaResources)

/** What there is to tell of the `hard` of a ResourceQuota that limits nothing here: for the whole object one sentence. */
export function quotaWarnings(object: unknown): string[] {
  if (!isJsonObject(object) || object.kind !== 'ResourceQuota') return []
  const { spec } = object
  const hard = isJsonObject(spec) && isJsonObject(spec.hard) ? Object.keys(spec.hard) : []
  const idle = hard.filter((name) => !counted.includes(name)).map((name) => name.slice(0, 60))
  if (idle.length === 0) return []
  const shown = idle.length > 3 ? `${idle.slice(0, 3).join(', ')} and ${idle.length - 3} more` : idle.join(', ')
  return [`spec.hard: limits only ${counted.join(' and ')} here; nothing is done about ${shown}`]
}
