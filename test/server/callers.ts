import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { AgentDefinition } from '../../src/gen/spire/api/server/agent/v1/agent.ts';
import { SVIDDefinition } from '../../src/gen/spire/api/server/svid/v1/svid.ts';
import type { X509SVID } from '../../src/gen/spire/api/types/types.ts';
import { RpcChannel } from '../../src/rpc/channel.ts';
import { type Client, createClient } from '../../src/rpc/client.ts';
import type { ServiceDefinition } from '../../src/rpc/definition.ts';
import { createSpiffeCredentials } from '../../src/rpc/tls-client.ts';
import type { TlsIdentity } from '../../src/rpc/tls-identity.ts';
import { parseSpiffeId } from '../../src/spiffe/spiffe-id.ts';
import { createCsr } from '../../src/x509/csr.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';
import type { TestServer } from '../harness/running-server.ts';

export const TRUST_DOMAIN = 'example.org';
export const apiId = (path: string) => ({ trustDomain: TRUST_DOMAIN, path });

/** A key with a CSR for it. */
export async function newCsr(
  names: { uriNames?: readonly string[]; dnsNames?: readonly string[]; subject?: Uint8Array } = {},
) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { uriNames = [], dnsNames = [], subject } = names;
  const csr = await createCsr({
    signer: signerOfKeyObject(privateKey),
    uriNames,
    dnsNames,
    ...(subject && { subject }),
  });
  return { privateKey, csr };
}

/** Somebody with a TLS connection to a server, as whoever `identity` is. */
export class TlsCaller implements Disposable {
  readonly channel: RpcChannel;

  constructor(server: TestServer, identity?: TlsIdentity, port = server.running.port) {
    this.channel = RpcChannel.open(
      `dns:///127.0.0.1:${port}`,
      createSpiffeCredentials({
        expectedId: parseSpiffeId(`spiffe://${TRUST_DOMAIN}/spire/server`),
        bundle: () => server.running.bundle,
        identity: () => identity,
      }),
    );
  }

  client<Definition extends ServiceDefinition>(definition: Definition): Client<Definition> {
    return createClient(definition, this.channel);
  }

  [Symbol.dispose](): void {
    this.channel[Symbol.dispose]();
  }
}

/** Whoever has an X.509-SVID for `path`, which the server's administrator minted. */
export async function mintedCaller(server: TestServer, path: string): Promise<TlsCaller> {
  const { privateKey, csr } = await newCsr({ uriNames: [`spiffe://${TRUST_DOMAIN}${path}`] });
  const { svid } = await server.admin(SVIDDefinition).mintX509SVID({ csr, ttl: 0 });
  return new TlsCaller(server, identityOf(svid, privateKey));
}

/** An agent with a connection. */
export class AgentCaller extends TlsCaller {
  readonly svid: X509SVID;
  readonly id: { readonly trustDomain: string; readonly path: string };
  readonly #privateKey: KeyObject;

  constructor(server: TestServer, svid: X509SVID, privateKey: KeyObject) {
    super(server, identityOf(svid, privateKey));
    this.svid = svid;
    this.#privateKey = privateKey;
    this.id = svid.id ?? { trustDomain: '', path: '' };
  }

  /** The same agent, connected to another server. */
  at(server: TestServer): AgentCaller {
    return new AgentCaller(server, this.svid, this.#privateKey);
  }

  get spiffeId(): string {
    return `spiffe://${this.id.trustDomain}${this.id.path}`;
  }
}

/** Attests with a token, a new one where none is given. */
export async function attestByJoinToken(server: TestServer, token?: string): Promise<AgentCaller> {
  const value = token ?? (await newJoinToken(server));
  using anonymous = new TlsCaller(server);
  const { privateKey, csr } = await newCsr();
  await using call = anonymous.client(AgentDefinition).attestAgent();
  const data = { type: 'join_token', payload: Buffer.from(value) };
  await call.send({ step: { $case: 'params', value: { data, params: { csr } } } });
  call.end();
  const answer = await call.receive();
  if (answer?.step?.$case !== 'result' || answer.step.value.svid === undefined) throw new Error('no SVID was answered');
  return new AgentCaller(server, answer.step.value.svid, privateKey);
}

/** Renews, and connects with the new SVID, which is not used yet. */
export async function renew(server: TestServer, agent: AgentCaller): Promise<AgentCaller> {
  const { privateKey, csr } = await newCsr();
  const { svid } = await agent.client(AgentDefinition).renewAgent({ params: { csr } });
  if (svid === undefined) throw new Error('no SVID was answered');
  return new AgentCaller(server, svid, privateKey);
}

export async function newJoinToken(server: TestServer, token = ''): Promise<string> {
  const { value } = await server.admin(AgentDefinition).createJoinToken({ ttl: 600, token, agentId: undefined });
  return value;
}

function identityOf(svid: X509SVID | undefined, privateKey: KeyObject): TlsIdentity {
  return { certificates: svid?.certChain ?? [], privateKey };
}
