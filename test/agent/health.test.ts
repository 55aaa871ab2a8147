import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { startAgent } from '../../src/agent/index.ts';
import { readAgentConfig } from '../../src/config/agent-config.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { builtinPlugins } from '../harness/built-programs.ts';
import { curl } from '../harness/curl.ts';
import { eventually } from '../harness/eventually.ts';
import { healthPortIn, withFreePorts } from '../harness/free-ports.ts';
import { TestDomain } from './test-domain.ts';

// health_checks of an agent (inventory C143 to C147), asked by curl.
vi.setConfig({ testTimeout: 60_000 });
const HEALTH = 'listener_enabled = true bind_address = "127.0.0.1"';

const ask = async (port: number, path: string) => {
  const { status, body } = await curl(`http://127.0.0.1:${port}${path}`);
  return [status, JSON.parse(body)];
};
const ALL_WELL = [200, { agent: {}, 'catalog.plugins': {} }];

test('an agent that is well says so; one whose socket has gone is neither live nor ready', async () => {
  await using domain = await TestDomain.start();
  await using agent = await domain.startAgent('agent', { health: HEALTH });
  expect(await ask(agent.healthPort, '/live')).toEqual(ALL_WELL);
  expect(await ask(agent.healthPort, '/ready')).toEqual(ALL_WELL);
  await rm(agent.running.socketPath);
  const agentDetails = { make_new_x509_err: "the agent's socket does not answer: see the log" };
  for (const path of ['/live', '/ready']) {
    await eventually(async () =>
      expect(await ask(agent.healthPort, path)).toEqual([500, { agent: agentDetails, 'catalog.plugins': {} }]),
    );
  }
});

test('an agent whose server does not answer yet is live, and not ready', async () => {
  await using domain = await TestDomain.start();
  // One has run, so that there is a configuration. Another starts, with a server that accepts and says nothing.
  await using former = await domain.startAgent('agent', { health: HEALTH });
  await former[Symbol.asyncDispose]();
  await rm(join(domain.folder.path, 'agent', 'data'), { recursive: true });
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const address = silent.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has an address with a port');
  const records: LogRecord[] = [];
  const giveUp = new AbortController();
  const config = withFreePorts(readAgentConfig({ path: join(domain.folder.path, 'agent', 'agent.conf') }));
  const started = startAgent(
    { ...config, serverPort: address.port },
    {
      builtins: builtinPlugins('agent'),
      log: new Logger((record) => records.push(record)),
      signal: giveUp.signal,
    },
  );
  try {
    await eventually(() => healthPortIn(records));
    const port = healthPortIn(records);
    expect(await ask(port, '/live')).toEqual(ALL_WELL);
    const agent = { make_new_x509_err: 'the server has not told what workloads there are' };
    expect(await ask(port, '/ready')).toEqual([500, { agent, 'catalog.plugins': {} }]);
  } finally {
    giveUp.abort();
    await expect(started).rejects.toThrow();
    silent.close();
  }
});
