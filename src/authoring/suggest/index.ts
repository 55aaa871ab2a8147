export { notesOnManifest, toManifestJson } from './manifest-json.ts';
export { toSandboxBlock } from './sandbox-block.ts';
export { suggestManifest } from './suggest-manifest.ts';
export type {
  Note,
  ObservedRun,
  Suggestion,
  SuggestionStep,
  SuggestionSubject,
  SuggestionTrial,
} from './suggestion.ts';
