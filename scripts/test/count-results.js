/**
 * Sums up vitest's JSON report. A file that broke before its tests were known counts as one failed.
 *
 * @param {{ testResults: { name: string, status: string, assertionResults: { fullName: string, status: string }[] }[] } | undefined} report
 *   undefined where vitest never wrote one
 * @returns {{ passed: number, failed: number, notRun: string[] }} `notRun` names each test that was skipped
 */
export function countResults(report) {
  const results = { passed: 0, failed: report === undefined ? 1 : 0, notRun: [] };
  for (const file of report?.testResults ?? []) {
    const before = results.failed;
    for (const { fullName, status } of file.assertionResults) {
      if (status === 'passed') results.passed += 1;
      else if (status === 'failed') results.failed += 1;
      else results.notRun.push(fullName);
    }
    if (file.status === 'failed' && results.failed === before) results.failed += 1;
  }
  return results;
}
