import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { newSigner } from '../../../../src/authoring/conformance/throwaway-authority.ts';
import {
  type MintX509CAResponse,
  UpstreamAuthorityDefinition,
} from '../../../../src/gen/spire/plugin/server/upstreamauthority/v1/upstreamauthority.ts';
import { type BoundService, bindService } from '../../../../src/rpc/service.ts';
import { SpiffeError } from '../../../../src/spiffe/error.ts';
import { issueCaCertificate } from '../../../../src/x509/ca-template.ts';
import { parseCertificate } from '../../../../src/x509/certificate.ts';
import { parseCsr } from '../../../../src/x509/csr.ts';
import { untilAborted } from './layer.ts';
import type { PluginState } from './state.ts';

const trustDomain = 'example.org';
const fields = () => ({
  trustDomain,
  serialNumber: Uint8Array.of(0x40, ...randomBytes(17)),
  notBefore: new Date(Date.now() - 60_000),
  notAfter: new Date(Date.now() + 3_600_000),
});

export function upstreamAuthority(state: PluginState): BoundService {
  const signer = newSigner();
  const root = issueCaCertificate({ issuer: 'self', signer, ...fields() });
  let open = 0;
  return bindService(UpstreamAuthorityDefinition, {
    async *mintX509CAAndSubscribe({ csr }, { signal }) {
      await state.enter();
      const first = await mint(state, csr, { signer, root: await root });
      open++;
      if (state.has('mint-one-at-a-time') && open > 1) throw new SpiffeError('TOO_LARGE', 'one at a time');
      yield first;
      await delay(50);
      if (state.has('chain-again')) yield first;
      if (state.has('roots-missing')) yield { x509CaChain: [], upstreamX509Roots: [] };
      await untilAborted(signal);
      open--;
    },
    async *publishJWTKeyAndSubscribe({ jwtKey }, { signal }) {
      await state.enter();
      yield { upstreamJwtKeys: jwtKey === undefined || state.has('publish-loses-key') ? [] : [jwtKey] };
      await untilAborted(signal);
    },
    async *subscribeToLocalBundle(_request, { signal }) {
      await state.enter();
      const asn1 = state.has('local-garbage') ? Buffer.from('garbage') : await root;
      yield { upstreamX509Roots: [{ asn1, tainted: false }], upstreamJwtKeys: [] };
      await untilAborted(signal);
    },
  });
}

async function mint(
  state: PluginState,
  csr: Uint8Array,
  { signer, root }: { readonly signer: ReturnType<typeof newSigner>; readonly root: Uint8Array },
): Promise<MintX509CAResponse> {
  const request = state.has('any-csr') ? undefined : parseCsr(csr);
  const isOther = request === undefined || state.has('another-key');
  const subjectPublicKeyInfo = isOther ? newSigner().publicKey : request.subjectPublicKeyInfo;
  const issuer = { signer, certificate: parseCertificate(root) };
  const chain = await issueCaCertificate({ issuer, subjectPublicKeyInfo, ...fields() });
  const otherRoot = await issueCaCertificate({ issuer: 'self', signer: newSigner(), ...fields() });
  return {
    x509CaChain: state.has('chain-missing') ? [] : [{ asn1: chain, tainted: false }],
    upstreamX509Roots: [{ asn1: state.has('other-root') ? otherRoot : root, tainted: false }],
  };
}
