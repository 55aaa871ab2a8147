import { expect } from 'vitest';
import { type AttestationPayload, decodePayload, encodePayload } from '../../src/plugins/tpm/codec.ts';
import { Status } from '../../src/spiffe/status.ts';
import { type Swtpm, startSwtpm } from '../../src/testing/swtpm.ts';
import type { TestServer } from '../harness/running-server.ts';
import { createTemporaryFolder, type TemporaryFolder } from '../harness/temporary-folder.ts';
import { agentRecords } from './admin-records.ts';
import { nothingLeftIn } from './nothing-left.ts';
import { type Tampering, TpmNode } from './tpm-node.ts';
import { tpmServer } from './tpm-server.ts';

/** Two TPMs of two makers, a node with each, and a server that trusts the first's maker. */
export class RefusalFixture implements AsyncDisposable {
  readonly folder: TemporaryFolder;
  readonly tpm: Swtpm;
  readonly other: Swtpm;
  readonly node: TpmNode;
  readonly otherNode: TpmNode;
  readonly server: TestServer;
  readonly #resources: AsyncDisposableStack;

  private constructor(parts: Parts, resources: AsyncDisposableStack) {
    this.folder = parts.folder;
    this.tpm = parts.tpm;
    this.other = parts.other;
    this.node = parts.node;
    this.otherNode = parts.otherNode;
    this.server = parts.server;
    this.#resources = resources;
  }

  static async start(): Promise<RefusalFixture> {
    await using resources = new AsyncDisposableStack();
    const folder = resources.use(await createTemporaryFolder());
    const [tpm, other] = await Promise.all([startSwtpm({ ek: ['rsa-2048'] }), startSwtpm({ ek: ['rsa-2048'] })]);
    for (const made of [tpm, other]) resources.use(made);
    const [server, node, otherNode] = await Promise.all([
      tpmServer(resources, `virtual_ca_path = "${tpm.caPath}"`),
      TpmNode.start(tpm.tcti),
      TpmNode.start(other.tcti),
    ]);
    for (const started of [node, otherNode]) resources.use(started);
    return new RefusalFixture({ folder, tpm, other, node, otherNode, server }, resources.move());
  }

  /** @param trust lines of the attestor's configuration */
  startServer(trust: string): Promise<TestServer> {
    return tpmServer(this.#resources, trust);
  }

  /** The node attests, somebody tampers, the server refuses: the peer is told the check and the reason, and so is the log. */
  async refused(tampering: Tampering, check: string, reason: RegExp): Promise<void> {
    await expectRefusal(this.node.attest(this.server, tampering), check, reason);
    const [last] = this.server.records.filter(({ message }) => message === 'agent refused').slice(-1);
    expect(last).toMatchObject({
      level: 'warning',
      fields: { attestor: 'tpm', reason: expect.stringMatching(reason) },
    });
    expect(last?.fields.reason).toContain(`(check ${check})`);
  }

  /** No agent, no server in trouble, nothing in the TPMs. */
  async expectNothingHappened(): Promise<void> {
    expect(await agentRecords(this.server)).toEqual([]);
    expect(this.server.records.filter(({ level }) => level === 'error')).toEqual([]);
    for (const made of [this.tpm, this.other]) await nothingLeftIn(made);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

type Parts = Pick<RefusalFixture, 'folder' | 'tpm' | 'other' | 'node' | 'otherNode' | 'server'>;

export async function expectRefusal(attestation: Promise<unknown>, check: string, reason: RegExp): Promise<void> {
  await expect(attestation).rejects.toMatchObject({
    name: 'RemoteError',
    status: Status.PermissionDenied,
    message: expect.stringMatching(new RegExp(`^nodeattestor\\(tpm\\): .*\\(check ${check}\\)$`)),
  });
  await expect(attestation).rejects.toThrow(reason);
}

export const withPayload = (change: (payload: AttestationPayload) => Partial<AttestationPayload>): Tampering => ({
  payload(bytes) {
    const payload = decodePayload(bytes);
    return encodePayload({ ...payload, ...change(payload) });
  },
});
