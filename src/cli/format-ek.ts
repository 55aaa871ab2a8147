import { certificateLabel } from '../x509/ek-revocation.ts';
import { formatName } from '../x509/name.ts';
import type { ExaminedEk } from './examine-ek.ts';
import { formatField, formatTime } from './output.ts';

const WIDTH = 13;

/** One field a line. */
export function formatEk(examined: ExaminedEk): string {
  const { ek, certificates, verdict } = examined;
  const [own, ...others] = certificates;
  const facts = verdict?.facts;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['EK hash', ek.pubHash],
    ['Template', `${ek.template.name}, ${describeKey(examined)}`],
    ['Certificate', own === undefined ? 'none: enrol the hash' : certificateLabel(own)],
    ['Valid', own && `${formatTime(own.notBefore)} to ${formatTime(own.notAfter)}`],
    ...others.map((certificate) => ['With it', formatName(certificate.subject)] as const),
    ['Manufacturer', facts?.manufacturer],
    ['Model', facts?.model],
    ['Firmware', facts && `${facts.version} when it was certified`],
    ...(facts?.chain.slice(1) ?? []).map(({ subject }) => ['Trusted by', formatName(subject)] as const),
    ['Verdict', describeVerdict(examined)],
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [formatField(name, value, WIDTH)])).join('');
}

/** The same for programs. */
export function toEkJson({ ek, certificates, verdict, isJudged, problems }: ExaminedEk): string {
  const json = {
    hash: ek.pubHash,
    template: ek.template.name,
    publicKey: base64(ek.spki),
    certificates: certificates.map((certificate) => ({
      label: certificateLabel(certificate),
      subject: formatName(certificate.subject),
      notBefore: certificate.notBefore.toISOString(),
      notAfter: certificate.notAfter.toISOString(),
      der: base64(certificate.der),
    })),
    trusted: isJudged ? verdict !== undefined : null,
    kind: verdict?.kind ?? null,
    manufacturer: verdict?.facts?.manufacturer ?? null,
    model: verdict?.facts?.model ?? null,
    chain: verdict?.facts?.chain.map(({ subject }) => formatName(subject)) ?? [],
    problems,
  };
  return `${JSON.stringify(json)}\n`;
}

function describeKey({ ek: { publicArea } }: ExaminedEk): string {
  return publicArea.type === 'rsa' ? `RSA of ${publicArea.keyBits} bits` : `on ${publicArea.curve.replace('p', 'P-')}`;
}

export function describeVerdict({ isJudged, verdict }: Pick<ExaminedEk, 'isJudged' | 'verdict'>): string {
  if (!isJudged) return 'not judged: say whom to trust with -caPath, -virtualCaPath or -hashPath';
  if (verdict === undefined) return 'not trusted';
  return `trusted as ${verdict.kind}, ${verdict.facts === undefined ? 'its hash is enrolled' : 'by its certificate'}`;
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
