import { expect, test } from 'vitest';
import { toPluginError } from '../../src/plugin-host/plugin-error.ts';
import { RemoteError } from '../../src/rpc/status.ts';
import { Status } from '../../src/spiffe/status.ts';

const plugin = { type: 'NodeAttestor', name: 'tpm' } as const;
const detail = (bytes: number) => [{ typeUrl: 'type.googleapis.com/x', value: new Uint8Array(bytes) }];
const passOn = (error: RemoteError) => toPluginError(plugin, error);

test.each([
  ['the prefix of its type and name', 'no', 'nodeattestor(tpm): no'],
  ['one prefix only', 'nodeattestor(tpm): no', 'nodeattestor(tpm): no'],
  ['no prefix of old', 'tpm: no', 'nodeattestor(tpm): no'],
])('a message gets %s (plugin-wire §9)', (_rule, message, expected) => {
  expect(passOn(new RemoteError(Status.Aborted, message))).toMatchObject({ status: Status.Aborted, message: expected });
});

test('details are handed on, and dropped where they would be too long for a header', () => {
  expect(passOn(new RemoteError(Status.Aborted, 'no', detail(100)))).toMatchObject({ details: detail(100) });
  expect(passOn(new RemoteError(Status.Aborted, 'no', detail(1_000_000)))).toMatchObject({ details: [] });
});
