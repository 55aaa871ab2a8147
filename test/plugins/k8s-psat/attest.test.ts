import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfigText } from '../../../src/config/read-config.ts';
import { Logger } from '../../../src/log/logger.ts';
import { attestPsat } from '../../../src/plugins/k8s-psat/attest.ts';
import { encodePayload, MAX_PAYLOAD_BYTES } from '../../../src/plugins/k8s-psat/payload.ts';
import { psatServerConfig } from '../../../src/plugins/k8s-psat/server-config.ts';
import { openServerState, type PsatServerState } from '../../../src/plugins/k8s-psat/server-state.ts';
import { findOperatorReason } from '../../../src/rpc/operator-reason.ts';
import { parseTrustDomain } from '../../../src/spiffe/trust-domain.ts';
import { TestAuthority } from '../../../src/testing/test-authority.ts';
import { createTemporaryFolder } from '../../harness/temporary-folder.ts';
import { ApiStandIn } from '../kubernetes/api-stand-in.ts';
import { type Exchange, recordedExchanges } from '../kubernetes/exchange.ts';
import { sampleToken } from './sample-token.ts';

// What a real API server answered, each time to the very requests of this plugin: test/vectors/kube-apiserver/SOURCE.
const resources = new AsyncDisposableStack();
const trustDomain = parseTrustDomain('example.org');
const ATTESTED = recordedExchanges('attested');
const [REVIEW, POD, NODE] = ATTESTED;
const podUid = String(fieldOf(POD?.body, 'metadata.uid'));
const nodeUid = String(fieldOf(NODE?.body, 'metadata.uid'));
let api: ApiStandIn;
let state: PsatServerState;

beforeAll(async () => {
  const folder = resources.use(await createTemporaryFolder());
  api = resources.use(await ApiStandIn.start(resources.use(await TestAuthority.create())));
  const path = await api.writeKubeconfig(folder.join('kubeconfig'));
  const cluster = `service_account_allow_list = ["spire:spire-agent"]\nkube_config_file = "${path}"`;
  const text = `clusters = {
    "main" = {
      ${cluster}
      allowed_pod_label_keys = ["app"]
      allowed_node_label_keys = ["kubernetes.io/os"]
    }
    "pods" = {
      ${cluster}
      use_pod_uid_for_agent_id = true
    }
    "own-audience" = {
      ${cluster}
      audience = []
    }
  }`;
  const config = readConfigText(psatServerConfig, text, { source: 'plugin_data' });
  const context = { log: new Logger(() => {}) } as Parameters<typeof openServerState>[1];
  state = resources.use(await openServerState(config, context));
});
afterAll(() => resources.disposeAsync());

function attest(exchanges: readonly Exchange[], payload: Uint8Array = payloadFor('main')) {
  api.forget();
  api.replay(exchanges);
  const { signal } = new AbortController();
  return attestPsat(payload, state, { trustDomain, signal, now: async () => new Date() });
}

const payloadFor = (cluster: string, claims: object = {}) => encodePayload({ cluster, token: sampleToken(claims) });

/** The recorded answers with another value at one place of one of them. */
function changed(which: Exchange | undefined, path: string, value: unknown): readonly Exchange[] {
  return ATTESTED.map((each) => {
    if (each !== which) return each;
    const copy = structuredClone(each);
    const names = path.split('.');
    const last = (names.pop() ?? '').replaceAll(':', '.');
    const parent = fieldOf(copy.body, names.join('.')) as Record<string, unknown>;
    parent[last] = value;
    return copy;
  });
}

/** Names of what users have extra have dots, and are written with `:` here. */
function fieldOf(value: unknown, path: string): unknown {
  if (path === '') return value;
  return path
    .split('.')
    .reduce((found: unknown, name) => (found as Record<string, unknown>)[name.replaceAll(':', '.')], value);
}

test('a pod attests, with every selector', async () => {
  const { spiffeId, selectorValues, canReattest } = await attest(ATTESTED);
  expect(spiffeId).toBe(`spiffe://example.org/spire/agent/k8s_psat/main/${nodeUid}`);
  expect(canReattest).toBe(true);
  expect(selectorValues.filter((value) => !value.startsWith('agent_node_ip:'))).toEqual([
    'cluster:main',
    'agent_ns:spire',
    'agent_sa:spire-agent',
    'agent_pod_name:agent',
    `agent_pod_uid:${podUid}`,
    'agent_node_name:localhost',
    `agent_node_uid:${nodeUid}`,
    'agent_node_label:kubernetes.io/os:linux',
    'agent_pod_label:app:agent',
  ]);
});

test('the token and the audiences are asked about, by the server’s own token', async () => {
  await attest(ATTESTED);
  expect(api.arrived[0]).toMatchObject({ authorization: 'Bearer secret', contentType: 'application/json' });
  expect(JSON.parse(api.arrived[0]?.body ?? '')).toMatchObject({
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token: sampleToken(), audiences: ['spire-server'] },
  });
  await attest(ATTESTED, payloadFor('own-audience'));
  expect(JSON.parse(api.arrived[0]?.body ?? '').spec).toEqual({ token: sampleToken() });
});

test('the agent may be called after its pod', async () => {
  const { spiffeId } = await attest(ATTESTED, payloadFor('pods'));
  expect(spiffeId).toBe(`spiffe://example.org/spire/agent/k8s_psat/pods/pod/${podUid}`);
});

test('a token that ends in a line break is the same', async () => {
  const payload = encodePayload({ cluster: 'main', token: `${sampleToken()}\n` });
  expect((await attest(ATTESTED, payload)).selectorValues).toContain('cluster:main');
});

describe('by what a real API server answered, refused is', () => {
  const past = Math.floor(Date.now() / 1000) - 3600;
  test.each([
    ['wrong-audience', { aud: ['vault'] }, /does not take the token.*it is for "vault" and not for "spire-server"/],
    ['audience-of-api-server', { aud: ['https://kubernetes.default.svc'] }, /and not for "spire-server"/],
    ['no-pod', {}, /"spire:spire-agent" and of no pod/],
    ['wrong-service-account', {}, /"spire:stranger" is not in the service_account_allow_list of cluster "main"/],
    ['other-cluster', {}, /does not take the token.*is it that of another cluster/],
    ['expired', { exp: past }, /does not take the token.*it expired 3[56]\d\d s ago/],
    ['not-yet-valid', {}, /does not take the token/],
    ['changed', {}, /does not take the token/],
  ])('%s', async (name, claims, message) => {
    await expect(attest(recordedExchanges(name), payloadFor('main', claims))).rejects.toMatchObject({
      code: 'ATTESTATION_DENIED',
      message: expect.stringMatching(message),
    });
  });

  test('pod-gone', async () => {
    await expect(attest(recordedExchanges('pod-gone'))).rejects.toMatchObject({ code: 'ATTESTATION_DENIED' });
  });

  test.each([
    ['nobody', /status 403.*cannot create resource.*"create" on "tokenreviews"/],
    ['unknown', /does not know the token or certificate.*status 401/],
  ])('%s: the operator is told what the node is not', async (name, reason) => {
    const failure = await attest(recordedExchanges(name)).catch((error) => error);
    expect(failure).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'the API server of cluster "main" could not be asked',
    });
    expect(findOperatorReason(failure)).toMatch(reason);
  });
});

describe('what does not fit together is refused:', () => {
  const extra = (name: string) => `status.user.extra.authentication:kubernetes:io/${name}`;
  const NOT_FOUND = { kind: 'Status', status: 'Failure', reason: 'NotFound', message: 'not found', code: 404 };
  const gone = (which: Exchange | undefined) =>
    ATTESTED.map((each) => (each === which ? { ...each, status: 404, body: NOT_FOUND } : each));

  test.each([
    [
      'a token that is authenticated with an error',
      changed(REVIEW, 'status.error', 'a\nb'),
      /does not take the token: a b/,
    ],
    ['a review that says nothing', changed(REVIEW, 'status', {}), /does not take the token/],
    [
      'a review that knows no audiences',
      changed(REVIEW, 'status.audiences', null),
      /for other audiences than "spire-server"/,
    ],
    [
      'a user of a certificate',
      changed(REVIEW, 'status.user.username', 'spire:agent'),
      /"spire:agent", which is no service account/,
    ],
    [
      'a user who looks like an account',
      changed(REVIEW, 'status.user.username', 'x:y:spire:spire-agent'),
      /no service account/,
    ],
    [
      'an account whose name leads elsewhere',
      changed(REVIEW, 'status.user.username', 'system:serviceaccount:spire/..:a'),
      /no service account/,
    ],
    ['two pods', changed(REVIEW, extra('pod-name'), ['a', 'b']), /names 2 of what there is one of: pod-name/],
    ['a pod without a name', changed(REVIEW, extra('pod-name'), ['']), /of no pod/],
    ['a pod whose name leads elsewhere', changed(REVIEW, extra('pod-name'), ['../../nodes/localhost']), /of no pod/],
    ['a pod without a UID', changed(REVIEW, extra('pod-uid'), []), /of no pod/],
    ['a UID that is no part of a path', changed(REVIEW, extra('pod-uid'), ['a/../b']), /of no pod/],
    ['a pod that is gone', gone(POD), /pod "spire\/agent" of the token is gone/],
    [
      'another pod by the name',
      changed(POD, 'metadata.uid', 'other'),
      /is another than that of the token: its UID is "other"/,
    ],
    [
      'another account of the pod',
      changed(POD, 'spec.serviceAccountName', 'x'),
      /another service account than the token: "x"/,
    ],
    ['a pod that has ended', changed(POD, 'status.phase', 'Succeeded'), /has ended: its phase is Succeeded/],
    ['a pod that failed', changed(POD, 'status.phase', 'Failed'), /has ended: its phase is Failed/],
    ['a pod on no node', changed(POD, 'spec.nodeName', ''), /is on no node/],
    [
      'a token of another node',
      changed(REVIEW, extra('node-name'), ['elsewhere']),
      /its token was made on node "elsewhere"/,
    ],
    ['a node that is gone', gone(NODE), /node "localhost" is gone/],
    [
      'another node by the name',
      changed(REVIEW, extra('node-uid'), ['other']),
      /node "localhost" is another than that of the token/,
    ],
  ])('%s', async (_what, exchanges, message) => {
    await expect(attest(exchanges)).rejects.toMatchObject({
      code: 'ATTESTATION_DENIED',
      message: expect.stringMatching(message),
    });
  });

  test.each([
    ['a review that is something else', changed(REVIEW, 'kind', 'Pod'), /no TokenReview/],
    ['a pod that is another', changed(POD, 'metadata.name', 'other'), /is not pod "spire\/agent"/],
    ['a pod of another namespace', changed(POD, 'metadata.namespace', 'other'), /is not pod/],
    ['a node that is another', changed(NODE, 'metadata.name', 'other'), /is not node "localhost"/],
    ['a node without a UID', changed(NODE, 'metadata.uid', ''), /is not node/],
    ['a UID that is no part of a SPIFFE ID', changed(NODE, 'metadata.uid', 'a/b'), /is not node/],
    ['an API server without the pod’s kind', ATTESTED.filter((each) => each !== POD), /is it an API server/],
  ])('%s', async (_what, exchanges, reason) => {
    const failure = await attest(exchanges).catch((error) => error);
    expect(failure).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/could not be asked/),
    });
    expect(findOperatorReason(failure)).toMatch(reason);
  });

  test('a node before the kubelet has told its address has no selector of it', async () => {
    const { selectorValues } = await attest(changed(POD, 'status', {}));
    expect(selectorValues.filter((value) => value.startsWith('agent_node_ip'))).toEqual([]);
  });
});

describe('payloads that are refused before anybody is asked', () => {
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  test.each([
    ['no JSON', Buffer.from('x'), /is no JSON text/],
    ['half of one', payloadFor('main').subarray(0, 40), /is no JSON text.*cut off/],
    ['bytes that are no text', Buffer.from([0x22, 0xff, 0x22]), /is no JSON text/],
    ['a list', json([]), /no JSON object/],
    ['another attestor’s', json({ DevIDCert: [] }), /another attestor/],
    ['a token that is a list', json({ cluster: 'main', token: ['x'] }), /no JSON object/],
    ['no cluster', json({ cluster: '', token: sampleToken() }), /names no cluster/],
    ['no token', json({ cluster: 'main', token: ' ' }), /has no token/],
    ['a token that is no JWT', json({ cluster: 'main', token: 'a.b' }), /no JWT/],
    ['a token with a line of a header', json({ cluster: 'main', token: 'a.b.c\r\nX: y' }), /no JWT/],
    ['a cluster that nobody configured', payloadFor('elsewhere'), /no cluster "elsewhere" is configured/],
    ['a cluster that every object has', payloadFor('constructor'), /no cluster "constructor" is configured/],
    ['too large', json({ cluster: 'main', token: 'x'.repeat(MAX_PAYLOAD_BYTES) }), /at most 65536 are read/],
  ])('%s', async (_what, payload, message) => {
    await expect(attest(ATTESTED, payload)).rejects.toThrow(message);
    expect(api.arrived).toEqual([]);
  });
});
