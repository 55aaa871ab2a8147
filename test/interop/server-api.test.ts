import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { pathOf } from '../../src/spiffe/spiffe-id.ts';
import { TestDomain } from '../agent/test-domain.ts';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';

const run = promisify(execFile);
const BUILD_MS = 600_000;

describeWithGo('an agent’s admin socket and clients of spire-api-sdk', () => {
  test(
    'Logger, Debug and Health',
    async () => {
      const program = await buildGo(fileURLToPath(new URL('server-api', import.meta.url)), '.');
      await using domain = await TestDomain.start();
      const socket = domain.folder.join('private/admin.sock');
      const settings = `join_token = "${await domain.createToken()}" admin_socket_path = "${socket}"`;
      await using agent = await domain.startAgent('agent', { settings });
      const { stdout } = await run(program, ['-agent', socket], { timeout: 90_000 });
      expect(JSON.parse(stdout)).toEqual({
        health: 'SERVING SERVING',
        set: 'TRACE DEBUG',
        unknown: 'InvalidArgument',
        get: 'TRACE DEBUG',
        reset: 'DEBUG DEBUG',
        chain: 2,
        id: pathOf(agent.running.agentId),
        cached: 1, // of the token's alias
        synced: true,
      });
    },
    BUILD_MS,
  );
});

describeWithGo('the server and clients of spire-api-sdk', () => {
  test.each(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096'])(
    'every call, with keys of type %s',
    async (keyType) => {
      const program = await buildGo(fileURLToPath(new URL('server-api', import.meta.url)), '.');
      await using folder = await createTemporaryFolder();
      const settings = `ca_key_type = "${keyType}"`;
      await using server = await TestServer.start({ folder: folder.path, settings });
      const { port, socketPath } = server.running;
      const { stdout } = await run(program, ['-admin', socketPath, '-address', `127.0.0.1:${port}`], {
        timeout: 90_000,
      });
      expect(JSON.parse(stdout)).toEqual({
        bundle: { trustDomain: 'example.org', x509Authorities: 1, jwtAuthorities: 1, count: 1, federated: 'NotFound' },
        mint: { subject: 'CN=minted.example,O=SPIRE,C=US', seconds: 70 },
        entries: {
          same: 6,
          pages: [1, 1],
          lastPage: true,
          maskedSelector: 0,
          revision: 1,
          withHint: 1,
          deletions: [0, 0, 5],
        },
        agent: {
          anonymous: 'PermissionDenied',
          retired: 'AGENT_NOT_ACTIVE',
          bundle: 'example.org',
          authorized: 2,
          small: { whole: 2, revisions: 0, pages: [], entries: 2 },
          large: { whole: 0, revisions: 1202, pages: [500, 500, 202], entries: 1202 },
          svids: { codes: [0, 5, 3], seconds: 610, unknown: 'NotFound' },
        },
        agents: { type: 'join_token', version: 'go-1', listed: 1, banned: 1, deleted: 'NotFound' },
        health: { check: 'SERVING', watch: 'SERVING', list: 1 },
        logger: {
          first: 'DEBUG DEBUG',
          set: 'ERROR DEBUG',
          unspecified: 'InvalidArgument',
          kept: 'ERROR DEBUG',
          reset: 'DEBUG DEBUG',
        },
        debug: {
          id: 'spiffe://example.org/spire/server',
          subject: 'O=SPIRE,C=US',
          agents: 0,
          bundles: 1,
          soon: true,
        },
        reflection: {
          services: expect.arrayContaining([
            'grpc.health.v1.Health',
            'grpc.reflection.v1.ServerReflection',
            'grpc.reflection.v1alpha.ServerReflection',
            'spire.api.server.entry.v1.Entry',
            'spire.api.server.svid.v1.SVID',
          ]),
          methods: true,
          counted: true,
          unknown: 5,
          alpha: true,
        },
      });
      expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
    },
    BUILD_MS,
  );
});
