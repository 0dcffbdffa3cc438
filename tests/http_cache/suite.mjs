// Runs the suite that it lies in against the proxy that is named, and counts what it does: raw, a test passes whose result is exactly
// `true`; on the suite's own result pages (`site`), one whose dependency does not pass is greyed out, and counts no more.
import fetch from 'node-fetch'
import { runTests, getResults } from './client/runner.mjs'
import tests from './tests/index.mjs'

// `Surrogate-Control`, a suite of its own beside these, is for content delivery networks.
await runTests(tests, fetch, false, process.argv[2])
const results = getResults()
const all = new Map(tests.flatMap(suite => suite.tests).map(test => [test.id, test]))
const kind = test => test.kind ?? 'required'
const stands = test => (test.depends_on ?? []).every(id => results[id] === true && stands(all.get(id)))
const counted = [...all.values()].filter(test => !test.browser_only)
const figure = (name, wanted, shown = () => true) => {
  const members = counted.filter(test => kind(test) === wanted)
  return `${name} ${members.filter(test => passes(test) && shown(test)).length}/${members.length}`
}
const passes = test => results[test.id] === true
// No cache passes these, nor has any whose results the suite has on record: they want a field of a response (`Server-Request-Count`)
// whose connection the suite's server has dropped before it sent anything.
const impossible = test => /^stale-close-./.test(test.id)
const failed = counted.filter(test => !passes(test))
const possible = failed.filter(test => kind(test) === 'required' && !impossible(test))
console.log([
  figure('required', 'required'),
  figure('site', 'required', stands),
  figure('optimal', 'optimal'),
  figure('check', 'check')
].join('  '))
console.log(`required and not passed: ${failed.filter(impossible).length} that no cache can pass, ${possible.length} others`)
for (const test of failed) {
  console.log(`${kind(test)} ${test.id}: ${[results[test.id]].flat().join(': ')}`)
}
process.exitCode = possible.length > 0 ? 1 : 0
