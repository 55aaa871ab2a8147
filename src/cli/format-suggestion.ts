import { type Suggestion, toManifestJson, toSandboxBlock } from '../authoring/suggest/index.ts';

/** The suggested sandbox in both of its forms, each as it can be copied, and what is to be said of it. */
export function formatSuggestion(suggestion: Suggestion): string {
  const { notes, trial, manifest, subject } = suggestion;
  return [
    '\nSuggested block of the plugin’s configuration:\n\n',
    toSandboxBlock(suggestion),
    ...(manifest.allProcesses ? [NO_PLACES] : []),
    `\nThe same as a manifest${subject === undefined ? '' : `, ${escapeControls(subject.name)}.manifest.json`}:\n\n`,
    `${JSON.stringify(toManifestJson(suggestion), undefined, 2)}\n\n`,
    ...notes.map(({ about, message }) => `Note on ${about}: ${escapeControls(message)}\n`),
    ...(trial === undefined ? [] : [formatTrial(trial)]),
  ].join('');
}

/** For `-output json`: the manifest as it can be put beside the plugin. */
export function toSuggestionJson(suggestion: Suggestion): object {
  const { notes, trial } = suggestion;
  return { manifest: toManifestJson(suggestion), block: toSandboxBlock(suggestion), notes, trial };
}

const NO_PLACES =
  '# A block with files and folders hides the processes of others, which this plugin looks at: a manifest does not.\n';

function formatTrial({ works, step, reason, untried }: NonNullable<Suggestion['trial']>): string {
  const outcome = works
    ? 'Tried: the plugin becomes ready with it and answers\n'
    : `Tried: the plugin does not work with it: ${step}: ${escapeControls(reason ?? '')}\n`;
  return [outcome, ...untried.map((measure) => `Not tried here: ${escapeControls(measure)}\n`)].join('');
}

/** What came from a plugin is not to move the cursor. */
function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, (letter) => JSON.stringify(letter).slice(1, -1).replace(/^.$/u, '?'));
}
