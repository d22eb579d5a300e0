/**
 * A whole Weir on a clock that is ahead, so that what an earlier session used is old enough to go. Prints where it listens.
 *
 * `node test/soak/content-weir.ts CONFIG DAYS`
 */
import { readFileSync, writeSync } from 'node:fs'
import { parseConfig } from '../../src/config.ts'
import { createLog } from '../../src/log.ts'
import { startWeir } from '../../src/weir.ts'
import { aheadMs } from './content-clock.ts'

const [name = '', days = '0'] = process.argv.slice(2)
const { config } = parseConfig({ file: { name, text: readFileSync(name, 'utf8') } })
const weir = await startWeir(config, {
  log: createLog(config.log, process.stderr),
  now: () => Date.now() + aheadMs(Number(days)),
})
writeSync(1, `${JSON.stringify({ http: weir.http.port, https: weir.https.port })}\n`)
