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
console.log([
  figure('required', 'required'),
  figure('site', 'required', stands),
  figure('optimal', 'optimal'),
  figure('check', 'check')
].join('  '))
for (const test of counted.filter(test => !passes(test))) {
  console.log(`${kind(test)} ${test.id}: ${[results[test.id]].flat().join(': ')}`)
}
