import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import { findSeries, readExposition } from '../harness/exposition.ts';
import { describeWithGo } from '../harness/requires.ts';
import { TestDomain } from './test-domain.ts';
import { fetchIds } from './workload.ts';

vi.setConfig({ testTimeout: 60_000 });
const run = promisify(execFile);

describeWithGo('an agent’s metrics, as Prometheus reads them', () => {
  test('have SPIRE’s names: calls with status and time, start and uptime (M062, M092, M093)', async () => {
    await using domain = await TestDomain.start();
    await domain.createEntry('/web');
    await using agent = await domain.startAgent('agent', { telemetry: 'Prometheus { port = 9988 }' });
    await fetchIds(agent);
    const scrape = async () =>
      await readExposition(await (await fetch(`http://localhost:${agent.metricsPort}/metrics`)).text());
    // The workload has left its stream, of which the agent learns a little later.
    const name = 'spire_agent_rpc_workload_api_fetch_x509svid';
    await expect.poll(async () => (await scrape()).filter((series) => series.name === name)).toHaveLength(1);
    const all = await scrape();
    expect(findSeries(all, name)).toMatchObject({ kind: 'COUNTER', value: 1 });
    expect(findSeries(all, `${name}_elapsed_time`)).toMatchObject({ kind: 'HISTOGRAM', value: 1 });
    expect(findSeries(all, 'spire_agent_started').labels).toMatchObject({ trust_domain_id: 'example_org' });
    expect(findSeries(all, 'spire_agent_uptime_in_ms').value).toBeGreaterThan(0);
    const attestor = { plugin_type: 'WorkloadAttestor', plugin_name: 'unix' };
    expect(findSeries(all, 'spire_agent_plugin_up', attestor).value).toBe(1);
    expect(findSeries(all, 'spire_agent_plugin_rpc', { ...attestor, method: 'Attest', status: 'OK' }).value).toBe(1);
  });
});

test('use_spire_svid: shows the agent’s X.509-SVID, whose key stays in its key manager, and each that follows', async () => {
  await using domain = await TestDomain.start({ settings: 'agent_ttl = "6s"' });
  const telemetry = 'Prometheus { port = 9988 tls { use_spire_svid = true } }';
  await using agent = await domain.startAgent('agent', { telemetry });
  const url = `https://localhost:${agent.metricsPort}/metrics`;
  expect((await run('curl', ['--silent', '--fail', '--insecure', url])).stdout).toMatch(/^# HELP/);
  const shown = async (what: string) => {
    const certificate = `openssl s_client -connect localhost:${agent.metricsPort} </dev/null 2>/dev/null`;
    return (await run('sh', ['-c', `${certificate} | openssl x509 -noout ${what}`])).stdout;
  };
  expect(await shown('-ext subjectAltName')).toContain(`URI:${agent.running.agentId}`);
  const serialNumbers = new Set<string>();
  await expect.poll(async () => serialNumbers.add(await shown('-serial')).size, { timeout: 30_000 }).toBe(3);
});
