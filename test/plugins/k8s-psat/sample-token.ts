/** A JWT that nobody signed: what a cluster says of it is what a test lets it say. */
export function sampleToken(claims: object = {}): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const given = { iss: 'https://kubernetes.default.svc', aud: ['spire-server'], exp: 4_000_000_000, ...claims };
  return `${part({ alg: 'RS256' })}.${part(given)}.c2lnbmF0dXJl`;
}
