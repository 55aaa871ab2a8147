import type { SandboxManifest } from '../../config/sandbox-config.ts';
import type { PluginSide, PluginType } from '../../rpc/go-plugin.ts';

/** A manifest with everything in it, and what goes with it. */
export type SuggestedManifest = Required<Omit<SandboxManifest, 'variables' | 'filledByOthers' | keyof SuggestedLimits>>;

export interface SuggestedLimits {
  readonly memoryBytes: number;
  readonly processes: number;
  readonly files: number;
}

/** What the suggestion is about where something has to be said of it. */
export type NoteSubject = keyof SandboxManifest | 'limits' | 'observation';

/** Why something is in the suggestion, or is not, or cannot be known. */
export interface Note {
  readonly about: NoteSubject;
  readonly message: string;
}

/** The part of a start under the suggestion that did not go well. */
export type SuggestionStep = 'start' | 'connection' | 'init' | 'configuration' | 'calls';

/** What became of the plugin under the suggested sandbox. */
export interface SuggestionTrial {
  readonly works: boolean;
  readonly step?: SuggestionStep;
  readonly reason?: string;
  /** Measures that this host, or this user, could not take: they are not tried. */
  readonly untried: readonly string[];
}

/** Whose manifest it is, as far as a run tells. */
export interface SuggestionSubject {
  readonly name: string;
  readonly side: PluginSide;
  readonly type: PluginType;
  /** What `plugin_data` had. */
  readonly configuration: string;
}

/** The least that a plugin would have done with in the run that was watched. */
export interface Suggestion {
  readonly manifest: SuggestedManifest;
  readonly limits: SuggestedLimits;
  readonly notes: readonly Note[];
  /** Absent where only what was seen is looked at. */
  readonly subject?: SuggestionSubject;
  readonly trial?: SuggestionTrial;
}

/** Where the run took place. */
export interface ObservedRun {
  /** Absolute path. */
  readonly command: string;
  readonly args: readonly string[];
  /** The folder between host and plugin, which each plugin has. */
  readonly socketFolder: string;
}
