import { expect, test } from 'vitest';
import { federationFlags, readRelationships } from '../../src/cli/federation-flags.ts';
import { parseFlags } from '../../src/cli/flags.ts';

async function read(flags: readonly string[], input: string) {
  const { values } = parseFlags(federationFlags, flags);
  const terminal = {
    env: {},
    print: () => {},
    printError: () => {},
    readInput: async () => input,
  };
  return await readRelationships(values, terminal);
}

const URL_AND_WEB = ['-bundleEndpointURL', 'https://x.test', '-bundleEndpointProfile', 'https_web'];
const given = (...flags: readonly string[]) => ['-trustDomain', 'x.test', ...flags];
const item = (fields: object) => JSON.stringify({ federationRelationships: [fields] });
const WEB = { trustDomain: 'x.test', bundleEndpointURL: 'https://x.test', bundleEndpointProfile: 'https_web' };

test('keys of a file count in any case', async () => {
  const fields = { TRUSTDOMAIN: 'x.test', bundleendpointurl: 'https://x.test', bundleEndpointProfile: 'https_web' };
  expect(await read(['-data', '-'], item(fields))).toMatchObject([{ trustDomain: 'x.test' }]);
});

test.each([
  [[], '', /give the -trustDomain to federate with/],
  [given(), '', /give the -bundleEndpointURL/],
  [given('-bundleEndpointURL', 'https://x.test'), '', /give the -bundleEndpointProfile/],
  [
    given('-bundleEndpointURL', 'https://x.test', '-bundleEndpointProfile', 'web'),
    '',
    /profile "web": give https_web or/,
  ],
  [
    given('-bundleEndpointURL', 'https://x.test', '-bundleEndpointProfile', 'https_spiffe'),
    '',
    /SPIFFE ID is required/,
  ],
  [given(...URL_AND_WEB, '-trustDomainBundlePath', '/none'), '', /"\/none" cannot be read/],
  [given(...URL_AND_WEB, '-trustDomainBundleFormat', 'der'), '', /"der" is none of pem, spiffe/],
  [given(...URL_AND_WEB, '-data', '-'), '{}', /-data has whole relationships: leave out the other flags/],
  [['-data', '-'], '{}', /standard input has no "federationRelationships"/],
  [['-data', '-'], '[', /standard input is no JSON/],
  [['-data', '-'], item({}), /federationRelationships\[0\]: trust domain is required/],
  [['-data', '-'], item({ ...WEB, trustDomain: 'X' }), /federationRelationships\[0\]: trust domain "X" has/],
  [['-data', '-'], item({ ...WEB, trustDomain: 1 }), /federationRelationships\[0\]: "trustDomain" must be a text/],
  [
    ['-data', '-'],
    item({ ...WEB, trustDomainBundle: 'x' }),
    /\[0\]: trustDomainBundleFormat "" is none of pem, spiffe/,
  ],
  [
    ['-data', '-'],
    item({ ...WEB, trustDomainBundle: {}, trustDomainBundleFormat: 'spiffe' }),
    /\[0\]: bundle document: "keys" is missing/,
  ],
  [
    ['-data', '-'],
    item({ ...WEB, trustDomainBundle: {}, trustDomainBundleFormat: 'pem' }),
    /\[0\]: "trustDomainBundle" must be a text/,
  ],
  [
    ['-data', '-'],
    item({ ...WEB, bundleEndpointProfile: 'https_spiffe', endpointSPIFFEID: 'x' }),
    /federationRelationships\[0\]: .*"x"/,
  ],
] as const)('%j with %j is refused', async (flags, input, message) => {
  await expect((async () => await read(flags, input))()).rejects.toThrow(message);
});
