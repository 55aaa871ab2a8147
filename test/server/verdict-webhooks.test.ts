import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { Logger } from '../../src/log/logger.ts';
import { Reattestation } from '../../src/server/reattestation/reattestation-settings.ts';
import { type VerdictNews, VerdictWebhooks } from '../../src/server/reattestation/verdict-webhooks.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';

let resources = new AsyncDisposableStack();
afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

const news = (changes: Partial<VerdictNews> = {}): VerdictNews => ({
  agentId: parseSpiffeId('spiffe://example.org/spire/agent/tpm/a'),
  attestor: 'tpm',
  verdict: 'lost',
  before: { verdict: 'held', policies: ['policy:web'] },
  reason: 'policy "web": event 7',
  policies: [],
  evidenceSha256: 'ab',
  at: 1_800_000_000,
  ...changes,
});

/** A web server, and what tells it. */
async function start(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const bodies: unknown[] = [];
  const server = createServer((request, response) => {
    void json(request).then((body) => {
      bodies.push(body);
      answer(request, response);
    });
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  resources.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const records: unknown[] = [];
  const log = new Logger(({ message, fields }) => void records.push({ message, ...fields }), 'error');
  const configuration = `reattest_interval = "1s"\nverdict_webhook = "http://127.0.0.1:${port}/hook?token=secret"`;
  const settings = new Reattestation([{ name: 'tpm', configuration }]);
  return { bodies, records, webhooks: resources.use(new VerdictWebhooks({ settings, log, pauseMs: () => 1 })) };
}

const ok = (_request: IncomingMessage, response: ServerResponse) => void response.end('thanks');

test('a change of verdict is told, in its order', async () => {
  const { bodies, webhooks } = await start(ok);
  const policies = ['policy:web'];
  webhooks.tell(news());
  webhooks.tell(news({ verdict: 'held', before: { verdict: 'lost', policies: [] }, reason: '', policies }));
  await expect.poll(() => bodies).toHaveLength(2);
  expect(bodies).toEqual([
    {
      agent_id: 'spiffe://example.org/spire/agent/tpm/a',
      attestor: 'tpm',
      verdict: 'lost',
      before: 'held',
      reason: 'policy "web": event 7',
      policies: [],
      evidence_sha256: 'ab',
      at: '2027-01-15T08:00:00.000Z',
    },
    expect.objectContaining({ verdict: 'held', before: 'lost', policies }),
  ]);
});

test('what is no change of standing is not told, nor what is of another attestor', async () => {
  const { bodies, webhooks } = await start(ok);
  const policies = ['policy:web'];
  webhooks.tell(news({ verdict: 'held', before: { verdict: 'attested', policies }, policies }));
  webhooks.tell(news({ verdict: 'attested', before: undefined, policies }));
  webhooks.tell(news({ attestor: 'join_token' }));
  webhooks.tell(news({ verdict: 'attested', before: { verdict: 'held', policies }, policies: ['policy:lab'] }));
  webhooks.tell(news({ verdict: 'overdue', before: undefined }));
  await expect.poll(() => bodies).toHaveLength(2);
  expect(bodies).toEqual([
    expect.objectContaining({ verdict: 'attested', policies: ['policy:lab'] }),
    expect.objectContaining({ verdict: 'overdue', before: null }),
  ]);
});

test('a web server that fails is asked again, five times; then the log says so, without the URL', async () => {
  let failures = 2;
  const { bodies, records, webhooks } = await start((_request, response) => {
    response.statusCode = failures-- > 0 ? 503 : 200;
    response.end();
  });
  webhooks.tell(news());
  await expect.poll(() => bodies).toHaveLength(3);
  expect(records).toEqual([]);
  failures = 5;
  webhooks.tell(news());
  await expect.poll(() => records).toHaveLength(1);
  expect(bodies).toHaveLength(8);
  expect(records).toEqual([
    {
      message: 'a change of verdict could not be told to "verdict_webhook"',
      agent_id: 'spiffe://example.org/spire/agent/tpm/a',
      attestor: 'tpm',
      verdict: 'lost',
      reason: 'the web server answered 503',
    },
  ]);
});

test('a redirect is not followed', async () => {
  const { bodies, records, webhooks } = await start((_request, response) => {
    response.writeHead(307, { location: '/elsewhere' }).end();
  });
  webhooks.tell(news());
  await expect.poll(() => records).toHaveLength(1);
  expect(bodies).toHaveLength(5);
  expect(JSON.stringify(records)).not.toContain('secret');
});

test('the end of the server waits for no web server', async () => {
  const { bodies, records, webhooks } = await start(() => {}); // never answers
  webhooks.tell(news());
  webhooks.tell(news());
  await expect.poll(() => bodies).toHaveLength(1);
  await webhooks[Symbol.asyncDispose]();
  expect(records).toMatchObject([{ reason: 'the server ends' }, { reason: 'the server ends' }]);
});
