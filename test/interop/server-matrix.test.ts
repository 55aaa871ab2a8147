import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { buildGo } from '../harness/go.ts';
import { describeWithGo } from '../harness/requires.ts';
import { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder } from '../harness/temporary-folder.ts';
import { CALLERS, expectedAnswers } from './method-table.ts';

const BUILD_MS = 600_000;
/** Longer than the SVIDs of these callers live. */
const TWO_HOURS_MS = 7_200_000;
const SETTINGS = `
  admin_ids = ["spiffe://example.org/chief"]
  authorization {
    role "registrar" {
      callers = ["spiffe://example.org/registrar"]
      methods = ["entries:read"]
      scope { spiffe_id_prefixes = ["spiffe://example.org/ns/shop"] }
    }
  }`;

type Answers = Readonly<Record<string, Readonly<Record<string, string>>>>;

describeWithGo('every method of spire-api-sdk, called as every kind of caller', () => {
  test(
    'answers what the table has',
    async () => {
      const program = await buildGo(fileURLToPath(new URL('server-api', import.meta.url)), '.');
      await using folder = await createTemporaryFolder();
      let offsetMs = 0;
      const clock = () => new Date(Date.now() + offsetMs);
      await using server = await TestServer.start({ folder: folder.path, settings: SETTINGS, clock });
      const { port, socketPath } = server.running;
      const args = ['-matrix', '-admin', socketPath, '-address', `127.0.0.1:${port}`];
      const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
      const exited = once(child, 'exit');
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
      const nextAnswers = async (): Promise<Answers> => {
        const { value, done } = await lines.next();
        if (done === true) throw new Error('the Go program ended');
        return JSON.parse(value);
      };
      const first = await nextAnswers();
      offsetMs = TWO_HOURS_MS;
      child.stdin.end('\n');
      const second = await nextAnswers();
      expect(await exited).toEqual([0, null]);
      const answers = Object.fromEntries(
        Object.entries(first).map(([method, callers]) => [method, inOrder({ ...callers, ...second[method] })]),
      );
      expect(answers).toEqual(expectedAnswers());
      expect(server.records.filter(({ level }) => level === 'error')).toEqual([]);
    },
    BUILD_MS,
  );
});

function inOrder(callers: Readonly<Record<string, string>>): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(CALLERS.map((caller) => [caller, callers[caller]]));
}
