export { toManifestJson, toSandboxBlock } from './format-suggestion.ts';
export { suggestManifest } from './suggest-manifest.ts';
export type { Note, ObservedRun, Suggestion, SuggestionStep, SuggestionTrial } from './suggestion.ts';
