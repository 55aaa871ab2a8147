import {
  type Certificate,
  defineUpstreamAuthority,
  type MintedX509Ca,
  type MintRequest,
  type Plugin,
  type PluginContext,
  type UpstreamBundle,
  type X509Authority,
} from '../../plugin-sdk/index.ts';
import { AuthorityFiles } from './authority-files.ts';
import { type UpstreamDiskConfig, upstreamDiskConfig } from './config.ts';
import type { DiskAuthority } from './read-authority.ts';
import { parseCaRequest, signCa } from './sign-ca.ts';

/** A CA on disk above the server's own. JWT keys stay with the server, which has the only bundle there is. */
export const upstreamDisk: Plugin = defineUpstreamAuthority<UpstreamDiskConfig, AuthorityFiles>({
  name: 'disk',
  config: upstreamDiskConfig,
  configure: (config, { trustDomain }) => AuthorityFiles.open(config, trustDomain),
  mintX509Ca: (request, files, context) => mint(request, files, context),
  subscribeToLocalBundle: (files, context) => follow(files, context),
});

async function* mint(
  { csr, preferredTtlSeconds: ttlSeconds }: MintRequest,
  files: AuthorityFiles,
  { trustDomain, log, signal }: PluginContext,
): AsyncGenerator<MintedX509Ca, void, undefined> {
  const request = parseCaRequest(csr, trustDomain);
  const authority = await files.current(log);
  const certificates = await signCa(authority, request, { trustDomain, ttlSeconds });
  yield { certificates, roots: rootsOf(authority) };
  for await (const roots of rootChanges(authority, files, log, signal)) yield { roots };
}

/** The roots without any minting: a server that starts again keeps the CA that it has. */
async function* follow(
  files: AuthorityFiles,
  { log, signal }: PluginContext,
): AsyncGenerator<UpstreamBundle, void, undefined> {
  const authority = await files.current(log);
  yield { x509Authorities: rootsOf(authority), jwtAuthorities: [] };
  for await (const roots of rootChanges(authority, files, log, signal)) {
    yield { x509Authorities: roots, jwtAuthorities: [] };
  }
}

async function* rootChanges(
  from: DiskAuthority,
  files: AuthorityFiles,
  log: PluginContext['log'],
  signal: AbortSignal,
): AsyncGenerator<readonly X509Authority[], void, undefined> {
  let { roots } = from;
  for await (const next of files.changes(from, log, signal)) {
    if (sameCertificates(next.roots, roots)) continue;
    roots = next.roots;
    yield rootsOf(next);
  }
}

const rootsOf = ({ roots }: DiskAuthority): readonly X509Authority[] =>
  roots.map(({ der }) => ({ certificate: der, tainted: false }));

function sameCertificates(these: readonly Certificate[], those: readonly Certificate[]): boolean {
  const encoded = (certificates: readonly Certificate[]) =>
    certificates.map(({ der }) => Buffer.from(der).toString('base64')).toSorted();
  return encoded(these).join() === encoded(those).join();
}
