import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, expect, test } from 'vitest';
import { webContextOf } from '../../src/http/web-roots.ts';
import { fetchBundle } from '../../src/server/federation/fetch-bundle.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { TestAuthority } from '../../src/testing/test-authority.ts';
import { encodePem } from '../../src/x509/pem.ts';
import { RawEndpoint } from '../server/federation/raw-endpoint.ts';

// A bundle endpoint that answers with a redirect would have the server ask what only the server reaches.

const PARTNER = parseTrustDomain('partner.test');
const resources = new AsyncDisposableStack();
afterAll(() => resources.disposeAsync());

test.each([301, 302, 303, 307, 308])('a bundle endpoint’s redirect (status %i) is not followed', async (status) => {
  const asked: string[] = [];
  const trap = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.end('{"keys":[]}');
  }).listen(0, '127.0.0.1');
  await once(trap, 'listening');
  const target = `http://127.0.0.1:${(trap.address() as AddressInfo).port}/latest/meta-data/`;
  const authority = await TestAuthority.create(PARTNER);
  const shown = await authority.issueLeaf({ dnsNames: ['localhost'] });
  await using endpoint = await RawEndpoint.open(shown, (socket) => {
    socket.end(`HTTP/1.1 ${status} Elsewhere\r\nLocation: ${target}\r\nContent-Length: 0\r\n\r\n`);
  });
  const fetched = fetchBundle(
    {
      trustDomain: PARTNER,
      bundleEndpointUrl: `https://localhost:${endpoint.port}/`,
      profile: { type: 'https_web' },
    },
    {
      findBundle: () => undefined,
      webRoots: () => webContextOf([encodePem('CERTIFICATE', authority.certificate.der)]),
      requirePqKem: false,
      deadlineMs: 20_000,
      signal: new AbortController().signal,
    },
  );
  await expect(fetched).rejects.toMatchObject({
    code: 'BUNDLE_INVALID',
    message: expect.stringContaining('redirects'),
  });
  expect(endpoint.connections).toBe(1);
  expect(asked).toEqual([]);
  trap.close();
});
