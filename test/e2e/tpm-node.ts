import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { PluginConfig } from '../../src/config/plugins.ts';
import { Logger, type LogRecord } from '../../src/log/logger.ts';
import { PluginCatalog } from '../../src/plugin-host/catalog.ts';
import type { AgentNodeAttestor } from '../../src/plugin-host/kinds/agent-node-attestor.ts';
import { parseTrustDomain } from '../../src/spiffe/trust-domain.ts';
import { createCsr } from '../../src/x509/csr.ts';
import { signerOfKeyObject } from '../../src/x509/signer.ts';
import { builtinPlugins } from '../harness/built-programs.ts';
import type { TestServer } from '../harness/running-server.ts';
import { type Attested, attestAgent } from './attest-agent.ts';

/** A key for an agent's SVID, and the CSR that asks for it. */
export interface CsrKey {
  readonly privateKey: KeyObject;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
  readonly csr: Uint8Array;
}

export async function newCsrKey(...uriNames: readonly string[]): Promise<CsrKey> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signer = signerOfKeyObject(privateKey);
  return { privateKey, publicKey: signer.publicKey, csr: await createCsr({ signer, uriNames }) };
}

/** What somebody between the node's plugin and the server makes of the messages. */
export interface Tampering {
  readonly payload?: (payload: Uint8Array) => Uint8Array;
  readonly csr?: (csr: Uint8Array) => Uint8Array;
  /** @param respond asks the node's plugin; not calling it is allowed. */
  readonly answer?: (
    challenge: Uint8Array,
    respond: (challenge: Uint8Array) => Promise<Uint8Array>,
  ) => Promise<Uint8Array>;
}

/** Everything that one attestation said. */
export interface Recording extends Attested {
  readonly payload: Uint8Array;
  readonly csrKey: CsrKey;
  readonly answers: readonly Uint8Array[];
}

/** A node with a TPM: the agent's plugin in its process, and a client of ours in the agent's place. */
export class TpmNode implements AsyncDisposable {
  readonly records: readonly LogRecord[];
  readonly #catalog: PluginCatalog;

  private constructor(catalog: PluginCatalog, records: readonly LogRecord[]) {
    this.#catalog = catalog;
    this.records = records;
  }

  /** @param settings further lines of the plugin's configuration. */
  static async start(tcti: string, settings = ''): Promise<TpmNode> {
    const records: LogRecord[] = [];
    const catalog = await PluginCatalog.load({
      side: 'agent',
      plugins: [
        plugin('KeyManager', 'memory', ''),
        plugin('WorkloadAttestor', 'unix', ''),
        plugin('NodeAttestor', 'tpm', `tcti = "${tcti}"\n${settings}`),
      ],
      trustDomain: parseTrustDomain('example.org'),
      builtins: builtinPlugins('agent'),
      hostServices: [],
      log: new Logger((record) => records.push(record), 'trace'),
    });
    return new TpmNode(catalog, records);
  }

  get attestor(): AgentNodeAttestor {
    const { agentNodeAttestor } = this.#catalog;
    if (agentNodeAttestor === undefined) throw new Error('the plugin is not loaded');
    return agentNodeAttestor;
  }

  /** Attests to `server`, honestly but for `tampering`. @throws RemoteError for a refusal, or what the plugin says. */
  async attest(server: TestServer, tampering: Tampering = {}): Promise<Recording> {
    const csrKey = await newCsrKey();
    const { signal } = new AbortController();
    await using proof = this.attestor.attest({ csrPublicKey: csrKey.publicKey, signal });
    const honestPayload = await proof.payload;
    const payload = tampering.payload?.(honestPayload) ?? honestPayload;
    const answers: Uint8Array[] = [];
    const respond = (challenge: Uint8Array) => proof.respond(challenge);
    const attested = await attestAgent(server, {
      payload,
      csr: tampering.csr?.(csrKey.csr) ?? csrKey.csr,
      async answer(challenge) {
        const answer = await (tampering.answer?.(challenge, respond) ?? respond(challenge));
        answers.push(answer);
        return answer;
      },
    });
    return { ...attested, payload, csrKey, answers };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#catalog[Symbol.asyncDispose]();
  }
}

function plugin(type: string, name: string, text: string): PluginConfig {
  return { type, name, args: [], data: { text }, enabled: true, autoMtls: false };
}
