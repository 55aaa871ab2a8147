import {
  defineUpstreamAuthority,
  type JwtAuthority,
  type MintedX509Ca,
  type MintRequest,
  type Plugin,
  type PluginContext,
  sameJwtAuthorities,
  sameX509Authorities,
  type UpstreamBundle,
} from '../../plugin-sdk/index.ts';
import { type UpstreamSpireConfig, upstreamSpireConfig } from './config.ts';
import { UpperBundle } from './upper-bundle.ts';
import { UpperLink } from './upper-link.ts';

interface Upper extends Disposable {
  readonly link: UpperLink;
  readonly bundle: UpperBundle;
}

/** A server of the same trust domain above this one, ours or SPIRE's: its CA signs ours, and all keys are known everywhere. */
export const upstreamSpire: Plugin = defineUpstreamAuthority<UpstreamSpireConfig, Upper>({
  name: 'spire',
  config: upstreamSpireConfig,
  configure: (config, { trustDomain }) => {
    const link = new UpperLink(config, trustDomain);
    return { link, bundle: new UpperBundle(link), [Symbol.dispose]: () => link[Symbol.dispose]() };
  },
  mintX509Ca: (request, upper, context) => mint(request, upper, context),
  publishJwtKey: (key, upper, context) => publish(key, upper, context),
  subscribeToLocalBundle: (upper, context) => follow(upper, context),
});

/** The answer that has the CA does not say which roots are tainted: the bundle does. */
async function* mint(
  { csr, preferredTtlSeconds }: MintRequest,
  { link, bundle }: Upper,
  { log, signal }: PluginContext,
): AsyncGenerator<MintedX509Ca, void, undefined> {
  const server = await link.server();
  const { certificates } = await server.newDownstreamX509Ca(csr, preferredTtlSeconds, signal);
  let { x509Authorities: roots } = await bundle.fetch(signal);
  yield { certificates, roots };
  for await (const { x509Authorities } of bundle.follow(log, signal)) {
    if (sameX509Authorities(x509Authorities, roots)) continue;
    roots = x509Authorities;
    yield { roots };
  }
}

async function* publish(
  key: JwtAuthority,
  { link, bundle }: Upper,
  { log, signal }: PluginContext,
): AsyncGenerator<readonly JwtAuthority[], void, undefined> {
  const server = await link.server();
  let keys = await server.publishJwtAuthority(key, signal);
  bundle.putJwtAuthorities(keys);
  yield keys;
  for await (const { jwtAuthorities } of bundle.follow(log, signal)) {
    if (sameJwtAuthorities(jwtAuthorities, keys)) continue;
    keys = jwtAuthorities;
    yield keys;
  }
}

async function* follow(
  { bundle }: Upper,
  { log, signal }: PluginContext,
): AsyncGenerator<UpstreamBundle, void, undefined> {
  let last: UpstreamBundle = await bundle.fetch(signal);
  yield last;
  for await (const next of bundle.follow(log, signal)) {
    const isSame =
      sameX509Authorities(next.x509Authorities, last.x509Authorities) &&
      sameJwtAuthorities(next.jwtAuthorities, last.jwtAuthorities);
    if (isSame) continue;
    last = next;
    yield next;
  }
}
