import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import {
  agentId,
  defineServerNodeAttestor,
  type HostServices,
  type ServerAttestationContext,
  SpiffeError,
  Status,
  servePlugin,
  statusOf,
} from '../../../src/plugin-sdk/index.ts';

// A server node attestor that asks for SHA-256(challenge, payload), as the Go plugin of that name does; the payload may ask it to fail.

const config = z.strictObject({
  /** Lines printed to stdout in every attestation. */
  print_lines: z.int().default(0),
  /** Makes Configure fail with this text. */
  refuse: z.string().default(''),
});

await servePlugin(
  defineServerNodeAttestor({
    name: 'digest',
    config,
    configure(given, { log, trustDomain }) {
      if (given.refuse !== '') throw new SpiffeError('CONFIG_INVALID', given.refuse);
      log.info('configured', { trust_domain: trustDomain, print_lines: given.print_lines });
      return given;
    },
    async *attest(payload, { print_lines }, context) {
      const node = Buffer.from(payload).toString();
      for (let line = 0; line < print_lines; line++) process.stdout.write(`line ${line} of something\n`);
      if (node === 'deny') throw new SpiffeError('PERMISSION_DENIED', 'node is not known');
      const challenge = node === 'empty-challenge' ? new Uint8Array() : await context.randomBytes(32);
      const answer = yield challenge;
      if (!createHash('sha256').update(challenge).update(payload).digest().equals(answer)) {
        throw new SpiffeError('ATTESTATION_DENIED', 'digest: the answer is wrong');
      }
      const spiffeId = agentId(context.trustDomain, 'digest', node);
      const known = await knownSelector(context.host, spiffeId);
      const identity = node === 'who-are-you' ? [await identitySelector(context.host)] : [];
      if (node === 'measured') await measure(context.host);
      await (await context.host.metrics()).incrCounter({ key: ['attested'], val: 1, labels: [] });
      return { spiffeId, selectorValues: [...metadataSelectors(context), known, ...identity], canReattest: true };
    },
  }),
);

function metadataSelectors(context: ServerAttestationContext): readonly string[] {
  const { untrustedForwardedHost, forwardedClientIp, csrPublicKey } = context;
  return [
    ...(untrustedForwardedHost === undefined ? [] : [`x-untrusted-forwarded-host:${untrustedForwardedHost}`]),
    ...(forwardedClientIp === undefined ? [] : [`x-forwarded-client-ip:${forwardedClientIp}`]),
    ...(csrPublicKey === undefined ? [] : [`csr:${Buffer.from(csrPublicKey).toString('hex')}`]),
  ];
}

/** What the agent store knows of the agent. */
async function knownSelector(host: HostServices, agent: string): Promise<string> {
  try {
    await (await host.agentStore()).getAgentInfo({ agentId: agent });
    return 'agent-store:OK';
  } catch (error) {
    if (statusOf(error) !== Status.NotFound) throw error;
    return 'agent-store:NotFound';
  }
}

/** Who the server is, by a certificate that its bundle vouches for and a key that belongs to it. */
async function identitySelector(host: HostServices): Promise<string> {
  const { identity, bundle } = await (await host.identityProvider()).fetchX509Identity({});
  const [leaf, ...above] = (identity?.certChain ?? []).map((der) => new X509Certificate(der));
  const roots = (bundle?.x509Authorities ?? []).map(({ asn1 }) => new X509Certificate(asn1));
  const key = createPrivateKey({ key: Buffer.from(identity?.privateKey ?? []), format: 'der', type: 'pkcs8' });
  if (!leaf?.checkPrivateKey(key)) throw new SpiffeError('PERMISSION_DENIED', 'the key is not that of the certificate');
  if (![...above, ...roots].some((issuer) => leaf.verify(issuer.publicKey))) {
    throw new SpiffeError('PERMISSION_DENIED', 'nobody vouches for the certificate');
  }
  return `identity:${leaf.subjectAltName?.replace(/^URI:/, '')} of ${bundle?.trustDomain}`;
}

/** Something of every kind but a counter. */
async function measure(host: HostServices): Promise<void> {
  const metrics = await host.metrics();
  const labels = [{ name: 'place', value: 'hall' }];
  await metrics.setGauge({ key: ['readers'], val: 7.5, labels });
  await metrics.emitKey({ key: ['shelf'], val: 1 });
  await metrics.addSample({ key: ['pages'], val: 300, labels });
  await metrics.measureSince({ key: ['open'], time: BigInt(Date.now()) * 1_000_000n, labels });
}
