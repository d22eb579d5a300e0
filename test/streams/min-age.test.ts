import { expect, test } from 'vitest'
import { minAgeAnnotation, validateMinAge } from '../../src/streams/min-age.ts'

test.each(['', '72', '72 h', '-1h', '366d', 'long'])('"%s" is no age, and what to write is told', (text) => {
  const causes = validateMinAge({ [minAgeAnnotation]: text }, null, 'tag.annotations')
  expect(causes).toMatchObject([{ field: `tag.annotations[${minAgeAnnotation}]`, reason: 'FieldValueInvalid' }])
  expect(causes[0]?.message).toContain('such as 72h')
  expect(validateMinAge({ [minAgeAnnotation]: text }, { [minAgeAnnotation]: text }, 'a')).toEqual([])
})

test.each(['0s', '72h', '7d', '365d'])('%s is an age', (text) => {
  expect(validateMinAge({ [minAgeAnnotation]: text }, null, 'a')).toEqual([])
})
