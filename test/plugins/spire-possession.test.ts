import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { AgentAttributes } from '../../src/plugin-sdk/index.ts';
import {
  decodePayload as decodeHttpPayload,
  encodePayload as encodeHttpPayload,
} from '../../src/plugins/http-challenge/messages.ts';
import { attestHost } from '../../src/plugins/sshpop/attest.ts';
import { readAuthorities } from '../../src/plugins/sshpop/authorities.ts';
import { sshServerConfig } from '../../src/plugins/sshpop/server-config.ts';
import { attestPossession } from '../../src/plugins/x509pop/attest.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { popState } from './x509pop/pop-exchange.ts';

// What passed between halves of ours and halves of SPIRE, in all four pairings: test/vectors/possession/SOURCE.

interface Recording {
  readonly of: string;
  readonly agent: 'spire' | 'ours';
  readonly server: 'spire' | 'ours';
  /** Of the server half; `FOLDER` is that of the vectors. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly recorded_at: string;
  readonly client_address: string;
  readonly messages: Readonly<Partial<Record<'payload' | 'challenge' | 'response', string>>>;
  readonly verdict:
    | {
        readonly outcome: 'admitted';
        readonly spiffe_id: string;
        readonly selector_values: readonly string[];
        readonly can_reattest: boolean;
      }
    | { readonly outcome: 'refused'; readonly status: string };
}

type Server = AsyncGenerator<Uint8Array, AgentAttributes, Uint8Array>;

const folder = join(import.meta.dirname, '..', 'vectors', 'possession');
const text = readFileSync(join(folder, 'recordings.json'), 'utf8').replaceAll('FOLDER', folder);
const recordings: readonly Recording[] = JSON.parse(text);
const bytesOf = (base64 = '') => new Uint8Array(Buffer.from(base64, 'base64'));
const jsonOf = (base64: string | undefined) => JSON.parse(Buffer.from(bytesOf(base64)).toString());
const of = (attestor: string) => recordings.filter(({ of: name }) => name.startsWith(attestor));
const trustDomain = parseTrustDomain('example.org');

async function replay(server: Server, { messages }: Recording): Promise<AgentAttributes> {
  const { value: challenge } = await server.next();
  expect(Buffer.from(challenge as Uint8Array).toString()).toBe(Buffer.from(bytesOf(messages.challenge)).toString());
  const last = await server.next(bytesOf(messages.response));
  if (last.done !== true) throw new Error('the server asked twice');
  return last.value;
}

/** Our server's half in the place of the one that was there: it asks what that one asked. */
const startX509pop = ({ settings, messages, recorded_at, client_address }: Recording): Server =>
  attestPossession(bytesOf(messages.payload), x509popState(settings), {
    trustDomain,
    now: async () => new Date(recorded_at),
    randomBytes: async () =>
      bytesOf((jsonOf(messages.challenge).rsa_signature ?? jsonOf(messages.challenge).ecdsa_signature).nonce),
    forwardedClientIp: client_address,
    ownAuthorities: async () => [],
    warn: () => {},
  });

function x509popState(settings: Recording['settings']) {
  const pem = readFileSync(String(settings.ca_bundle_path), 'latin1');
  return popState(settings, [bytesOf(pem.replace(/-----[A-Z ]+-----|\n/g, ''))]);
}

async function startSshpop({ settings, messages, recorded_at }: Recording): Promise<Server> {
  const config = sshServerConfig.parse(settings);
  const trust = { authorities: await readAuthorities(config), canonicalDomain: config.canonical_domain };
  return attestHost(
    bytesOf(messages.payload),
    { config, trust },
    {
      trustDomain,
      now: async () => new Date(recorded_at),
      randomBytes: async () => bytesOf(jsonOf(messages.challenge).Nonce),
    },
  );
}

describe('what passed is judged by our server as it was then', () => {
  test.each(of('x509pop').filter(({ verdict }) => verdict.outcome === 'admitted'))(
    '$of, agent: $agent, server: $server',
    async (recording) => {
      const { spiffeId, selectorValues, canReattest } = await replay(startX509pop(recording), recording);
      expect({
        outcome: 'admitted',
        spiffe_id: spiffeId,
        selector_values: selectorValues.toSorted(),
        can_reattest: canReattest,
      }).toEqual(sorted(recording.verdict));
    },
  );

  test.each(of('sshpop'))('$of, agent: $agent, server: $server', async (recording) => {
    const { spiffeId, canReattest } = await replay(await startSshpop(recording), recording);
    expect(recording.verdict).toMatchObject({ outcome: 'admitted', spiffe_id: spiffeId, can_reattest: canReattest });
  });

  test.each(of('x509pop').filter(({ verdict }) => verdict.outcome === 'refused'))(
    'a refusal of $of, agent: $agent, server: $server',
    async (recording) => {
      expect(recording.verdict).toMatchObject({ status: 'PermissionDenied' });
      await expect(startX509pop(recording).next()).rejects.toMatchObject({ code: 'ATTESTATION_DENIED' });
    },
  );
});

test('there is every pairing, of every kind of key', () => {
  const pairings = recordings.map(({ of: name, agent, server }) => `${name} ${agent} ${server}`);
  const kinds = [
    'http_challenge',
    'sshpop-ecdsa',
    'sshpop-ed25519',
    'sshpop-rsa',
    'x509pop-ecdsa',
    'x509pop-p384',
    'x509pop-rsa',
    'x509pop-wrongip',
  ];
  const sides = ['ours ours', 'ours spire', 'spire ours', 'spire spire'];
  expect(pairings.toSorted()).toEqual(kinds.flatMap((kind) => sides.map((side) => `${kind} ${side}`)));
});

test.each(of('http_challenge'))(
  'http_challenge, agent: $agent, server: $server: the same messages and the same ID',
  (recording) => {
    const { messages, verdict } = recording;
    const payload = decodeHttpPayload(bytesOf(messages.payload));
    expect(Buffer.from(encodeHttpPayload(payload)).toString('base64')).toBe(messages.payload);
    expect(jsonOf(messages.challenge).nonce).toMatch(/^[\w-]{43}=$/);
    const answer = recording.agent === 'spire' ? '\n' : `${jsonOf(messages.challenge).nonce}\n`;
    expect(Buffer.from(bytesOf(messages.response)).toString()).toBe(answer);
    expect(verdict).toEqual({
      outcome: 'admitted',
      spiffe_id: 'spiffe://example.org/spire/agent/http_challenge/127.0.0.1',
      selector_values: ['hostname:127.0.0.1'],
      can_reattest: false,
    });
  },
);

function sorted(verdict: Recording['verdict']) {
  return verdict.outcome === 'refused' ? verdict : { ...verdict, selector_values: verdict.selector_values.toSorted() };
}
