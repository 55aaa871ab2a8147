/** Services that SPIRE's metrics have under a shorter name. */
const SHORT_NAMES: readonly (readonly [string, string])[] = [
  ['spire.api.server.', ''],
  ['SpiffeWorkloadAPI', 'WorkloadAPI'],
  ['envoy.service.secret.v3.SecretDiscoveryService', 'SDS.v3'],
  ['grpc.health.v1.Health', 'Health'],
  ['logger.v1.Logger', 'Logger'],
  ['spire.api.agent.logger.v1.Logger', 'Logger'],
  ['spire.agent.debug.v1.Debug', 'Debug'],
  ['spire.api.agent.delegatedidentity.v1.DelegatedIdentity', 'DelegatedIdentity'],
];

/** Methods that the rule of {@link snakeCase} would not name as SPIRE does. */
const METHOD_KEYS: Readonly<Record<string, string>> = { SubscribeToX509SVIDs: 'subscribe_to_x509_svids' };

/**
 * The key of SPIRE's metrics of a method: `/spire.api.server.svid.v1.SVID/MintX509SVID` →
 * `rpc`, `svid`, `v1`, `svid`, `mint_x509svid`.
 *
 * @param path `/package.Service/Method`
 */
export function rpcKey(path: string): readonly string[] {
  const [service = '', method = ''] = path.slice(1).split('/');
  const short = SHORT_NAMES.reduce((name, [long, replacement]) => {
    return name.startsWith(long) ? `${replacement}${name.slice(long.length)}` : name;
  }, service);
  return ['rpc', ...short.split('.').map(snakeCase), METHOD_KEYS[method] ?? snakeCase(method)];
}

/** Capitals that begin a word get an underscore before them; those inside an acronym do not. */
export function snakeCase(name: string): string {
  let text = '';
  for (const [index, character] of [...name].entries()) {
    if (!/[A-Za-z0-9]/.test(character)) {
      text += '_';
      continue;
    }
    const isCapital = /[A-Z]/.test(character);
    const isBesideSmall = /[a-z]/.test(name[index + 1] ?? '') || /[a-z]/.test(name[index - 1] ?? '');
    const isInside = index > 0 && index + 1 < name.length;
    if (isCapital && isInside && isBesideSmall && !text.endsWith('_')) text += '_';
    text += character.toLowerCase();
  }
  return text;
}
