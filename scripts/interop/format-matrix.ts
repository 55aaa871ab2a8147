import { ATTESTORS, type Proof, STORES } from '../../test/interop/tried-halves.ts';

/** Where the tables stand in docs/interop.md. */
export const BEGIN = '<!-- halves: written by npm run interop -->';
export const END = '<!-- end of halves -->';

/** Both tables, as they stand between {@link BEGIN} and {@link END}. */
export function formatMatrix(): string {
  const attestors = ATTESTORS.map(({ name, bothOurs, spireAgent, spireServer, badInputs }) => [
    `\`${name}\``,
    ...[bothOurs, spireAgent, spireServer, badInputs].map(formatProofs),
  ]);
  const stores = STORES.map(({ name, peer, wholePrograms, spireHost, badInputs }) => [
    name,
    peer,
    ...[wholePrograms, spireHost, badInputs].map(formatProofs),
  ]);
  return [
    ...table(
      [
        'node attestor',
        'both halves ours',
        'SPIRE’s agent half, our server half',
        'our agent half, SPIRE’s server half',
        'bad inputs',
      ],
      attestors,
    ),
    '',
    ...table(['other plugin', 'against', 'in whole programs', 'in a host that is not ours', 'bad inputs'], stores),
  ].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

const formatProofs = (proofs: readonly Proof[]) => proofs.map(formatProof).join(', ');

function formatProof(proof: Proof): string {
  switch (proof.by) {
    case 'test':
      return `\`${proof.path}\`${proof.what === undefined ? '' : ` (${proof.what})`}`;
    case 'suite':
      return `\`${proof.path}\` (\`npm run ${proof.command}\`)`;
    case 'hand':
      return `by hand: ${proof.what}`;
    case 'nothing':
      return `– (${proof.why})`;
  }
}
